/* What is proved of an image on its streams alone: every access lies inside the scratchpad in use, or inside one tensor in DRAM; loop
 * bodies leave every semaphore as they found it; and, by running the streams without data (of each class of dies one: classes.h), with the queue depths given, that every
 * send meets a receive of its size in order, nothing waits for ever, and all semaphores end at zero. That accesses are ordered:
 * verify_races.c. */
#include <stdlib.h>
#include <string.h>

#include "ir/isa/classes.h"
#include "ir/isa/sequencer.h"
#include "ir/isa/verify.h"

typedef struct verifier {
  hct_diags *diags;
  hct_arena *arena;
  const hct_image *image;
  const hct_verify_limits *limits;
  hct_die_classes classes; /* one die of each is run */
  const hct_tensor **tensors; /* by where they lie */
  size_t tensor_count;
  hct_status status;
} verifier;

static void violation(verifier *v, const char *where, const hct_instr *instr, const char *fmt, ...) HCT_PRINTF(4, 5);
static void violation(verifier *v, const char *where, const hct_instr *instr, const char *fmt, ...) {
  hct_text text = {0}, line = {0};
  va_list args;
  va_start(args, fmt);
  hct_text_vprintf(&text, fmt, args);
  va_end(args);
  v->status = hct_error(v->diags, HCT_E_VERIFY, (hct_loc){.file = where}, "%s", text.data);
  if (instr) {
    hct_instr_print(instr, &line);
    hct_note(v->diags, "'%s'", line.data);
    if (instr->source < v->image->source_count && v->image->sources[instr->source].location[0]) hct_note(v->diags, "from %s", v->image->sources[instr->source].location);
  }
  hct_text_fini(&text);
  hct_text_fini(&line);
}

/* ---- accesses ---- */
__extension__ typedef __int128 wide;
typedef struct extent { wide low, high; } extent;

static extent times(int64_t low, int64_t high, int64_t stride) {
  wide a = (wide)low * stride, b = (wide)high * stride;
  return a < b ? (extent){a, b} : (extent){b, a};
}

/* All values an address can take, whatever the die and the loops: exact for one term, an outer bound for several that depend on each other. Term `without` is left out; -1: none. */
static extent addr_extent(const verifier *v, const hct_addr *addr, const int64_t trips[HCT_MAX_LOOPS], int without) {
  extent e = {addr->base, addr->base};
  for (int i = 0; i < addr->term_count; i++) {
    if (i == without) continue;
    const hct_term *t = &addr->terms[i];
    int64_t ring = hct_ring_size((hct_ring)t->ring, v->image->rows, v->image->cols), low = 0, high = ring - 1;
    if (t->kind == HCT_TERM_LOOP) {
      int64_t last = trips[t->level] > 0 ? trips[t->level] - 1 : 0;
      low = t->offset + (t->sign < 0 ? -last : 0), high = t->offset + (t->sign < 0 ? 0 : last);
      if (t->size && (low < 0 || high >= t->size)) low = 0, high = t->size - 1;
    }
    extent part = times(low, high, t->stride);
    e.low += part.low, e.high += part.high;
  }
  return e;
}

static int by_offset(const void *a, const void *b) {
  const hct_tensor *x = *(hct_tensor *const *)a, *y = *(hct_tensor *const *)b;
  return x->dram_offset < y->dram_offset ? -1 : x->dram_offset > y->dram_offset;
}

static void tensors_sort(verifier *v) {
  v->tensors = HCT_NEW_ARRAY(v->arena, const hct_tensor *, v->image->tensor_count + 1);
  for (size_t i = 0; i < v->image->tensor_count; i++)
    if (v->image->tensors[i].tile_bytes > 0) v->tensors[v->tensor_count++] = &v->image->tensors[i];
  qsort(v->tensors, v->tensor_count, sizeof *v->tensors, by_offset);
}

/* The last tensor that begins at or before the first byte, or, where tensors overlap, any. */
static bool inside_tensor(const verifier *v, extent e) {
  size_t low = 0, high = v->tensor_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (v->tensors[middle]->dram_offset <= e.low) low = middle + 1;
    else high = middle;
  }
  while (low-- > 0)
    if (e.high <= (wide)v->tensors[low]->dram_offset + v->tensors[low]->tile_bytes) return true;
  return false;
}

/* Inside one tensor, or, where a loop goes from tensor to tensor, in each of its iterations inside one. `reach`: of the operand around its address. */
static bool inside_tensors(const verifier *v, const hct_addr *addr, extent reach, const int64_t trips[HCT_MAX_LOOPS]) {
  extent e = addr_extent(v, addr, trips, -1);
  if (inside_tensor(v, (extent){e.low + reach.low, e.high + reach.high})) return true;
  int widest = -1;
  for (int t = 0; t < addr->term_count; t++)
    if (addr->terms[t].kind == HCT_TERM_LOOP && !addr->terms[t].size && (widest < 0 || llabs(addr->terms[t].stride) > llabs(addr->terms[widest].stride))) widest = t;
  if (widest < 0) return false;
  const hct_term *term = &addr->terms[widest];
  e = addr_extent(v, addr, trips, widest);
  for (int64_t i = 0; i < trips[term->level]; i++) {
    wide at = ((wide)term->offset + term->sign * i) * term->stride;
    if (!inside_tensor(v, (extent){e.low + reach.low + at, e.high + reach.high + at})) return false;
  }
  return true;
}

static void check_views(verifier *v, const char *where, const hct_instr *instr, const int64_t trips[HCT_MAX_LOOPS]) {
  const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
  for (int d = 0; d < info->dims; d++)
    if (instr->shape[d] == 0) return;
  for (int k = 0; k < info->view_count; k++) {
    const hct_view *view = &instr->views[k];
    if (info->views[k].space == HCT_SPACE_NUMBER) continue;
    bool table = (instr->opcode == HCT_OP_GATHER && k == 1) || (instr->opcode == HCT_OP_SCATTER && k == 0);
    wide size = (wide)hct_dtype_bytes(view->dtype);
    extent reach = {0, size * hct_opcode_run(instr->opcode, k)}, e = addr_extent(v, &view->addr, trips, -1);
    for (int d = 0; d < info->dims; d++) {
      int64_t last = table && d == 0 ? instr->values[1].base - 1 : instr->shape[d] - 1;
      if (last < 0) last = 0;
      extent part = times(0, last, view->stride[d]);
      reach.low += part.low * size, reach.high += part.high * size;
    }
    e.low += reach.low, e.high += reach.high;
    bool sram = info->views[k].space == HCT_SPACE_SRAM;
    if (sram ? e.low < 0 || e.high > v->image->sram_bytes_used : !inside_tensors(v, &view->addr, reach, trips))
      violation(v, where, instr, "operand '%s' reaches bytes %lld to %lld, outside of %s", info->views[k].name, (long long)e.low, (long long)e.high, sram ? "the scratchpad in use" : "every tensor of the DRAM region");
  }
}

static void check_stream(verifier *v, size_t index) {
  const hct_stream *stream = &v->image->streams[index];
  int64_t trips[HCT_MAX_LOOPS] = {0}, net[HCT_MAX_LOOPS + 1][HCT_SEMAPHORES];
  unsigned depth = 0;
  memset(net, 0, sizeof net);
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    char where[64];
    snprintf(where, sizeof where, "stream %zu, instruction %zu", index, i);
    if (instr->opcode == HCT_OP_LOOP) {
      extent e = addr_extent(v, &instr->values[0], trips, -1);
      trips[depth++] = e.high > INT32_MAX ? INT32_MAX : (int64_t)e.high;
      memset(net[depth], 0, sizeof net[depth]);
    } else if (instr->opcode == HCT_OP_END) {
      for (int s = 0; s < HCT_SEMAPHORES; s++)
        if (net[depth][s]) violation(v, where, instr, "the loop's body changes semaphore %d by %lld", s, (long long)net[depth][s]);
      depth--;
    }
    for (int k = 0; k < instr->wait_count; k++) net[depth][instr->waits[k].semaphore] -= instr->waits[k].count;
    for (int k = 0; k < instr->signal_count; k++) net[depth][instr->signals[k].semaphore] += instr->signals[k].count;
    check_views(v, where, instr, trips);
    if (v->status != HCT_OK) return; /* one a stream: what follows is often its echo */
  }
  for (int s = 0; s < HCT_SEMAPHORES; s++)
    if (net[0][s]) violation(v, "stream", NULL, "stream %zu leaves semaphore %d at %lld", index, s, (long long)net[0][s]);
}

/* ---- running without data ---- */
typedef struct dry_engine { const hct_instr **queue; int64_t head, count; } dry_engine;
typedef struct dry_die {
  hct_sequencer sequencer;
  const hct_instr *held;
  bool waiting; /* at the end of an iteration, for all other dies */
  dry_engine engines[HCT_ENGINE_COUNT];
  int32_t semaphores[HCT_SEMAPHORES];
} dry_die;

static const hct_instr *head_ready(const dry_die *die, int engine) {
  const dry_engine *e = &die->engines[engine];
  if (!e->count) return NULL;
  const hct_instr *instr = e->queue[e->head];
  for (int k = 0; k < instr->wait_count; k++)
    if (die->semaphores[instr->waits[k].semaphore] < instr->waits[k].count) return NULL;
  return instr;
}

static void dry_retire(const verifier *v, dry_die *die, int engine) {
  dry_engine *e = &die->engines[engine];
  const hct_instr *instr = e->queue[e->head];
  for (int k = 0; k < instr->wait_count; k++) die->semaphores[instr->waits[k].semaphore] -= instr->waits[k].count;
  for (int k = 0; k < instr->signal_count; k++) die->semaphores[instr->signals[k].semaphore] += instr->signals[k].count;
  e->head = (e->head + 1) % v->limits->queue_depth;
  e->count--;
}

/* Whether the last call began another iteration of a loop that is not run to its end. */
static bool ends_iteration(const hct_sequencer *s) {
  for (unsigned level = 0; s->limits && s->again >> level; level++)
    if ((s->again >> level & 1) && s->limits[s->loops[level].body - 1]) return true;
  return false;
}

static bool dry_issue(const verifier *v, dry_die *die) {
  if (!die->held) {
    die->held = hct_sequencer_next(&die->sequencer);
    die->waiting = ends_iteration(&die->sequencer);
  }
  if (!die->held || die->waiting) return false;
  if (die->held->opcode == HCT_OP_FENCE) {
    for (int e = 0; e < HCT_ENGINE_COUNT; e++)
      if (die->engines[e].count) return false;
  } else {
    dry_engine *e = &die->engines[die->held->engine];
    if (e->count == v->limits->queue_depth) return false;
    e->queue[(e->head + e->count++) % v->limits->queue_depth] = die->held;
  }
  die->held = NULL;
  return true;
}

static bool is_transfer(const hct_instr *i) { return i->opcode == HCT_OP_SEND || i->opcode == HCT_OP_RECV || i->opcode == HCT_OP_RECVR; }

static bool dry_transfer(verifier *v, dry_die *dies, size_t sender, int ring) {
  size_t receiver = v->classes.items[sender].next[ring];
  const hct_instr *send = head_ready(&dies[sender], HCT_ENGINE_SEND0 + 2 * ring), *receive = head_ready(&dies[receiver], HCT_ENGINE_RECV0 + 2 * ring);
  if (!send || !receive || !is_transfer(send) || !is_transfer(receive)) return false;
  if (memcmp(send->shape, receive->shape, sizeof send->shape) || send->views[0].dtype != receive->views[0].dtype) {
    char where[64];
    size_t from = v->classes.items[sender].first, to = v->classes.items[receiver].first, cols = (size_t)v->image->cols;
    snprintf(where, sizeof where, "die %zu,%zu", to / cols, to % cols);
    violation(v, where, receive, "a receive of %lldx%lldx%lldx%lld meets a send of %lldx%lldx%lldx%lld from die %zu,%zu", (long long)receive->shape[0], (long long)receive->shape[1], (long long)receive->shape[2],
              (long long)receive->shape[3], (long long)send->shape[0], (long long)send->shape[1], (long long)send->shape[2], (long long)send->shape[3], from / cols, from % cols);
    return false;
  }
  dry_retire(v, &dies[sender], HCT_ENGINE_SEND0 + 2 * ring);
  dry_retire(v, &dies[receiver], HCT_ENGINE_RECV0 + 2 * ring);
  return true;
}

static bool dry_advance(verifier *v, dry_die *dies, size_t index) {
  bool moved = false;
  while (dry_issue(v, &dies[index])) moved = true;
  for (int e = 0; e < HCT_ENGINE_COUNT; e++)
    for (const hct_instr *instr; (instr = head_ready(&dies[index], e)) && !is_transfer(instr); moved = true) dry_retire(v, &dies[index], e);
  for (int ring = 0; ring < HCT_RING_COUNT; ring++)
    while (v->status == HCT_OK && dry_transfer(v, dies, index, ring)) moved = true;
  return moved;
}

static void report_stuck(verifier *v, const dry_die *dies, size_t count) {
  size_t notes = 0;
  for (size_t i = 0; i < count; i++) {
    bool stuck = dies[i].held != NULL;
    for (int e = 0; e < HCT_ENGINE_COUNT; e++) stuck |= dies[i].engines[e].count != 0;
    if (!stuck) continue;
    if (v->status == HCT_OK) violation(v, "deadlock", NULL, "the program cannot go on");
    for (int e = 0; e < HCT_ENGINE_COUNT && notes < 16; e++) {
      if (!dies[i].engines[e].count) continue;
      const hct_instr *instr = dies[i].engines[e].queue[dies[i].engines[e].head];
      hct_text line = {0};
      hct_instr_print(instr, &line);
      const char *reason = !is_transfer(instr) || !head_ready(&dies[i], e) ? "for semaphores" : instr->opcode == HCT_OP_SEND ? "for the next die's receive" : "for the die before to send";
      hct_note(v->diags, "die %zu,%zu, %s waits %s: '%s'", v->classes.items[i].first / (size_t)v->image->cols, v->classes.items[i].first % (size_t)v->image->cols, hct_engine_name((hct_engine)e), reason, line.data);
      hct_text_fini(&line);
      notes++;
    }
  }
}

/* Loops that do more than pass messages on: of those with messages two iterations are run, of others one. */
typedef struct shortened {
  uint8_t *limits; /* by instruction of the stream */
  struct { int64_t *items; size_t count, capacity; } trips; /* of those with messages */
} shortened;

static shortened stream_shorten(hct_arena *arena, const hct_stream *stream) {
  shortened s = {.limits = HCT_NEW_ARRAY(arena, uint8_t, stream->count + 1)};
  for (size_t i = 0; i < stream->count; i++) {
    bool messages = false, work = false;
    unsigned depth = 0;
    for (size_t k = i; stream->items[i].opcode == HCT_OP_LOOP && k < stream->count; k++) {
      const hct_instr *instr = &stream->items[k];
      depth += instr->opcode == HCT_OP_LOOP;
      if (instr->opcode == HCT_OP_END && --depth == 0) break;
      messages |= is_transfer(instr);
      work |= !is_transfer(instr) && instr->engine != HCT_ENGINE_SEQ;
    }
    if (!work || stream->items[i].values[0].term_count) continue;
    s.limits[i] = messages ? 2 : 1;
    if (messages) HCT_PUSH(arena, &s.trips, stream->items[i].values[0].base);
  }
  return s;
}

/* NULL where messages would not go by turns: dies run some loop with messages a different number of times. */
static shortened *streams_shorten(verifier *v) {
  shortened *all = HCT_NEW_ARRAY(v->arena, shortened, v->image->stream_count + 1);
  for (size_t s = 0; s < v->image->stream_count; s++) {
    all[s] = stream_shorten(v->arena, &v->image->streams[s]);
    if (all[s].trips.count != all[0].trips.count || (all[0].trips.count && memcmp(all[s].trips.items, all[0].trips.items, all[0].trips.count * sizeof(int64_t)))) return NULL;
  }
  return all;
}

/* All dies are at the end of an iteration, and nothing is in flight: go on. */
static bool dry_release(dry_die *dies, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!dies[i].waiting) return false;
    for (int e = 0; e < HCT_ENGINE_COUNT; e++)
      if (dies[i].engines[e].count) return false;
  }
  for (size_t i = 0; i < count; i++) dies[i].waiting = false;
  return true;
}

static dry_die *dry_run(verifier *v, const shortened *loops) {
  size_t count = v->classes.count;
  dry_die *dies = HCT_NEW_ARRAY(v->arena, dry_die, count);
  for (size_t i = 0; i < count; i++) {
    size_t first = v->classes.items[i].first;
    hct_sequencer_init(&dies[i].sequencer, v->image, (int64_t)first / v->image->cols, (int64_t)first % v->image->cols);
    if (loops) dies[i].sequencer.limits = loops[v->image->die_stream[first]].limits;
    for (int e = 0; e < HCT_ENGINE_COUNT; e++) dies[i].engines[e].queue = HCT_NEW_ARRAY(v->arena, const hct_instr *, (size_t)v->limits->queue_depth);
  }
  for (bool moved = true; moved && v->status == HCT_OK;) {
    moved = false;
    for (size_t i = 0; i < count; i++) moved |= dry_advance(v, dies, i);
    if (!moved) moved = dry_release(dies, count);
  }
  return dies;
}

static bool dry_stuck(const dry_die *dies, size_t count) {
  bool stuck = false;
  for (size_t i = 0; i < count; i++) {
    stuck |= dies[i].held != NULL;
    for (int e = 0; e < HCT_ENGINE_COUNT; e++) stuck |= dies[i].engines[e].count != 0;
  }
  return stuck;
}

/* A loop's second iteration begins where its first does: at the same instruction, with semaphores as they were, since its body leaves them so, and,
 * when all dies have come there with nothing in flight, with nothing else. So all further ones end as the first does, and need not be
 * run. Where dies cannot be stopped there, all iterations are. */
static void check_run(verifier *v) {
  v->classes = hct_die_classes_find(v->arena, v->image);
  shortened *loops = streams_shorten(v);
  dry_die *dies = dry_run(v, loops);
  if (v->status == HCT_OK && loops && dry_stuck(dies, v->classes.count)) dies = dry_run(v, NULL);
  if (v->status == HCT_OK) report_stuck(v, dies, v->classes.count);
}

hct_status hct_image_verify(hct_diags *diags, const hct_image *image, const hct_verify_limits *limits) {
  verifier v = {.diags = diags, .arena = hct_arena_create(), .image = image, .limits = limits};
  if (image->sram_bytes_used > limits->sram_bytes) violation(&v, "image", NULL, "it uses %lld bytes of SRAM, the package has %lld", (long long)image->sram_bytes_used, (long long)limits->sram_bytes);
  tensors_sort(&v);
  for (size_t s = 0; s < image->stream_count; s++) check_stream(&v, s);
  if (v.status == HCT_OK) check_run(&v);
  if (v.status == HCT_OK) v.status = hct_verify_races(diags, image);
  hct_arena_destroy(v.arena);
  return v.status;
}
