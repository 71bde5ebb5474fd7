#include "runtime/exec/effects.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
  QUEUE_EFFECTS = 128, /* a die's queue */
  WORKER_TURN = 64,    /* a worker goes to another die after so many effects */
  LOOP_TURN = 4,       /* the event loop, which helps while it waits, looks up after so many */
};
#define MESSAGE_BYTES (INT64_C(256) << 20) /* messages under way, unless it is a single one */
#define WAKE_WORK (INT64_C(1) << 15)       /* elements: less is not worth waking a thread for */
#define AT_ONCE_WORK (INT64_C(1) << 12)    /* elements: less is not worth handing over, when the die has nothing to do */
#define NO_FAULT UINT64_MAX

enum { MESSAGE_EMPTY, MESSAGE_FULL, MESSAGE_AWAITED };

typedef struct message {
  atomic_int state;
  int64_t bytes;
  size_t receiver;
  const hct_instr *receive;
  uint8_t *data; /* NULL until full, and after a send that was skipped */
} message;

typedef enum effect_kind { EFFECT_EXEC, EFFECT_SEND, EFFECT_RECEIVE } effect_kind;
typedef struct effect {
  uint64_t order;
  effect_kind kind;
  hct_issued issued;
  message *message;
} effect;

typedef struct die_queue {
  effect items[QUEUE_EFFECTS];
  atomic_size_t head, tail; /* both only grow; head is of the thread that has the die, tail of the event loop */
  atomic_bool scheduled;    /* it is among the ready dies, or a thread has it, or a message will make it ready */
} die_queue;

struct hct_effects {
  const hct_memory *memories;
  size_t dies, worker_count;
  die_queue *queues;
  pthread_t *workers;
  uint64_t next_order; /* this and the next: of the event loop */
  int64_t work_since_wake;
  atomic_int_fast64_t message_bytes;
  atomic_uint_fast64_t left;        /* effects handed over and not done */
  atomic_uint_fast64_t fault_order; /* effects from this one on are skipped */
  atomic_size_t asleep;
  atomic_bool loop_waits;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t work, progress;
  size_t *ready, ready_head, ready_count; /* ring of `dies` */
  bool stop;
  hct_effect_fault fault;
};

/* ---- faults ---- */
static void fault_keep(hct_effects *e, uint64_t order, size_t die, const hct_instr *instr, const char *text) {
  pthread_mutex_lock(&e->lock);
  if (order < atomic_load(&e->fault_order)) {
    e->fault = (hct_effect_fault){.die = die, .instr = instr};
    snprintf(e->fault.text, sizeof e->fault.text, "%s", text);
    atomic_store(&e->fault_order, order);
  }
  pthread_mutex_unlock(&e->lock);
}

/* ---- ready dies ---- */
static void ready_push(hct_effects *e, size_t die, bool wake) {
  pthread_mutex_lock(&e->lock);
  e->ready[(e->ready_head + e->ready_count++) % e->dies] = die;
  if (atomic_load(&e->loop_waits)) pthread_cond_signal(&e->progress);
  else if (wake && atomic_load(&e->asleep)) pthread_cond_signal(&e->work);
  pthread_mutex_unlock(&e->lock);
}

/* With the lock held. */
static bool ready_pop(hct_effects *e, size_t *out_die) {
  if (!e->ready_count) return false;
  *out_die = e->ready[e->ready_head];
  e->ready_head = (e->ready_head + 1) % e->dies;
  e->ready_count--;
  return true;
}

/* ---- one effect ---- */
static void send_do(hct_effects *e, size_t die, const effect *f, bool skip) {
  message *m = f->message;
  char text[256];
  if (!skip) {
    m->data = malloc((size_t)m->bytes + 1);
    HCT_BUG_ON(!m->data, "out of memory");
    if (!hct_exec_send(&f->issued, &e->memories[die], m->receive, m->data, text)) fault_keep(e, f->order, m->receiver, m->receive, text);
  }
  size_t receiver = m->receiver; /* the message is the receiver's, once it is full */
  if (atomic_exchange(&m->state, MESSAGE_FULL) == MESSAGE_AWAITED) ready_push(e, receiver, true);
}

/* False: the message is not full; its sender makes the die ready, which is no longer this thread's. */
static bool receive_do(hct_effects *e, size_t die, const effect *f) {
  message *m = f->message;
  char text[256];
  int empty = MESSAGE_EMPTY;
  if (atomic_load(&m->state) != MESSAGE_FULL && atomic_compare_exchange_strong(&m->state, &empty, MESSAGE_AWAITED)) return false;
  bool skip = f->order >= atomic_load(&e->fault_order);
  if (!skip && !hct_exec_receive(&f->issued, &e->memories[die], m->data, text)) fault_keep(e, f->order, die, f->issued.instr, text);
  atomic_fetch_sub(&e->message_bytes, m->bytes);
  free(m->data);
  free(m);
  return true;
}

static bool effect_do(hct_effects *e, size_t die, const effect *f) {
  char text[256];
  bool skip = f->order >= atomic_load(&e->fault_order);
  switch (f->kind) {
    case EFFECT_EXEC:
      if (!skip && !hct_exec(&f->issued, &e->memories[die], text)) fault_keep(e, f->order, die, f->issued.instr, text);
      return true;
    case EFFECT_SEND: send_do(e, die, f, skip); return true;
    case EFFECT_RECEIVE: return receive_do(e, die, f);
  }
  return true;
}

/* ---- threads ---- */
static void progress_tell(hct_effects *e) {
  if (!atomic_load(&e->loop_waits)) return;
  pthread_mutex_lock(&e->lock);
  pthread_cond_signal(&e->progress);
  pthread_mutex_unlock(&e->lock);
}

/* Works on a die that this thread has; gives it away at the end. */
static void die_turn(hct_effects *e, size_t die, int effects) {
  die_queue *q = &e->queues[die];
  for (;;) {
    size_t head = atomic_load(&q->head);
    if (head == atomic_load(&q->tail)) {
      atomic_store(&q->scheduled, false);
      if (head == atomic_load(&q->tail) || atomic_exchange(&q->scheduled, true)) return;
      continue; /* the event loop added one, and left it to us */
    }
    if (effects-- == 0) {
      ready_push(e, die, true);
      return;
    }
    if (!effect_do(e, die, &q->items[head % QUEUE_EFFECTS])) return;
    atomic_store(&q->head, head + 1);
    atomic_fetch_sub(&e->left, 1);
    progress_tell(e);
  }
}

static void *worker_main(void *user) {
  hct_effects *e = user;
  size_t die;
  pthread_mutex_lock(&e->lock);
  while (!e->stop) {
    if (!ready_pop(e, &die)) {
      atomic_fetch_add(&e->asleep, 1);
      pthread_cond_wait(&e->work, &e->lock);
      atomic_fetch_sub(&e->asleep, 1);
      continue;
    }
    pthread_mutex_unlock(&e->lock);
    die_turn(e, die, WORKER_TURN);
    pthread_mutex_lock(&e->lock);
  }
  pthread_mutex_unlock(&e->lock);
  return NULL;
}

hct_effects *hct_effects_create(const hct_memory *memories, size_t dies, size_t threads) {
  hct_effects *e = calloc(1, sizeof *e);
  HCT_BUG_ON(!e, "out of memory");
  e->memories = memories;
  e->dies = dies;
  atomic_init(&e->fault_order, NO_FAULT);
  pthread_mutex_init(&e->lock, NULL);
  pthread_cond_init(&e->work, NULL);
  pthread_cond_init(&e->progress, NULL);
  if (threads > dies + 1) threads = dies + 1;
  if (threads < 2) return e;
  e->queues = calloc(dies, sizeof *e->queues);
  e->ready = calloc(dies, sizeof *e->ready);
  e->workers = calloc(threads - 1, sizeof *e->workers);
  HCT_BUG_ON(!e->queues || !e->ready || !e->workers, "out of memory");
  while (e->worker_count < threads - 1 && pthread_create(&e->workers[e->worker_count], NULL, worker_main, e) == 0) e->worker_count++;
  return e;
}

void hct_effects_destroy(hct_effects *e) {
  if (!e) return;
  pthread_mutex_lock(&e->lock);
  e->stop = true;
  pthread_cond_broadcast(&e->work);
  pthread_mutex_unlock(&e->lock);
  for (size_t i = 0; i < e->worker_count; i++) pthread_join(e->workers[i], NULL);
  pthread_mutex_destroy(&e->lock);
  pthread_cond_destroy(&e->work);
  pthread_cond_destroy(&e->progress);
  free(e->queues);
  free(e->ready);
  free(e->workers);
  free(e);
}

size_t hct_effects_threads(const hct_effects *e) { return e->worker_count + 1; }

/* ---- the event loop's side ---- */
static bool has_room(const hct_effects *e, int64_t die) { return atomic_load(&e->queues[die].tail) - atomic_load(&e->queues[die].head) < QUEUE_EFFECTS; }
static bool has_message_room(const hct_effects *e, int64_t bytes) {
  int64_t under_way = atomic_load(&e->message_bytes);
  return under_way == 0 || under_way + bytes <= MESSAGE_BYTES;
}
static bool has_none_left(const hct_effects *e, int64_t unused) { return (void)unused, atomic_load(&e->left) == 0; }

/* Until `done`: helps with dies that are ready, or sleeps until an effect is done or a die becomes ready. */
static void loop_wait(hct_effects *e, bool (*done)(const hct_effects *e, int64_t argument), int64_t argument) {
  while (!done(e, argument)) {
    size_t die;
    pthread_mutex_lock(&e->lock);
    bool found = ready_pop(e, &die);
    if (e->ready_count && atomic_load(&e->asleep)) pthread_cond_signal(&e->work);
    if (!found) {
      atomic_store(&e->loop_waits, true);
      if (!done(e, argument)) pthread_cond_wait(&e->progress, &e->lock);
      atomic_store(&e->loop_waits, false);
    }
    pthread_mutex_unlock(&e->lock);
    if (found) die_turn(e, die, LOOP_TURN);
  }
}

static int64_t work_of(const hct_issued *issued) {
  int64_t work = 1;
  for (int d = 0, dims = hct_opcode_lookup(issued->instr->opcode)->dims; d < dims; d++) work *= issued->instr->shape[d];
  return work;
}

/* Gets a die that has nothing to do; nobody else can touch it until die_release. */
static bool die_take(hct_effects *e, size_t die) { return !e->worker_count || !atomic_exchange(&e->queues[die].scheduled, true); }
static void die_release(hct_effects *e, size_t die) {
  if (e->worker_count) atomic_store(&e->queues[die].scheduled, false);
}

static void hand_over(hct_effects *e, size_t die, effect_kind kind, const hct_issued *issued, message *m) {
  die_queue *q = &e->queues[die];
  loop_wait(e, has_room, (int64_t)die);
  size_t tail = atomic_load(&q->tail);
  q->items[tail % QUEUE_EFFECTS] = (effect){.order = e->next_order++, .kind = kind, .issued = *issued, .message = m};
  atomic_fetch_add(&e->left, 1);
  atomic_store(&q->tail, tail + 1);
  if (!atomic_exchange(&q->scheduled, true)) ready_push(e, die, false);
  e->work_since_wake += work_of(issued);
  if (e->work_since_wake < WAKE_WORK || !atomic_load(&e->asleep)) return;
  e->work_since_wake = 0;
  pthread_mutex_lock(&e->lock);
  if (e->ready_count) pthread_cond_signal(&e->work);
  pthread_mutex_unlock(&e->lock);
}

static bool is_fine(const hct_effects *e) { return atomic_load(&e->fault_order) == NO_FAULT; }

bool hct_effects_run(hct_effects *e, size_t die, const hct_issued *issued) {
  char text[256];
  bool small = !e->worker_count || work_of(issued) < AT_ONCE_WORK;
  if (small && die_take(e, die)) {
    if (!hct_exec(issued, &e->memories[die], text)) fault_keep(e, e->next_order++, die, issued->instr, text);
    die_release(e, die);
  } else {
    hand_over(e, die, EFFECT_EXEC, issued, NULL);
  }
  return is_fine(e);
}

static void transfer_at_once(hct_effects *e, size_t sender, const hct_issued *send, size_t receiver, const hct_issued *receive) {
  char text[256];
  const hct_memory *from = &e->memories[sender], *to = &e->memories[receiver];
  uint8_t *data = sender == receiver ? malloc((size_t)hct_exec_message_bytes(send->instr) + 1) : NULL; /* what overlaps is read first */
  bool good = data ? hct_exec_send(send, from, receive->instr, data, text) && hct_exec_receive(receive, to, data, text) : hct_exec_transfer(send, from, receive, to, text);
  if (!good) fault_keep(e, e->next_order++, receiver, receive->instr, text);
  free(data);
}

bool hct_effects_transfer(hct_effects *e, size_t sender, const hct_issued *send, size_t receiver, const hct_issued *receive) {
  bool small = !e->worker_count || work_of(send) < AT_ONCE_WORK;
  bool has_sender = small && die_take(e, sender), has_both = has_sender && (sender == receiver || die_take(e, receiver));
  if (has_both) transfer_at_once(e, sender, send, receiver, receive);
  if (has_both && sender != receiver) die_release(e, receiver);
  if (has_sender) die_release(e, sender);
  if (has_both) return is_fine(e);
  message *m = calloc(1, sizeof *m);
  HCT_BUG_ON(!m, "out of memory");
  m->bytes = hct_exec_message_bytes(send->instr);
  m->receiver = receiver;
  m->receive = receive->instr;
  loop_wait(e, has_message_room, m->bytes);
  atomic_fetch_add(&e->message_bytes, m->bytes);
  hand_over(e, sender, EFFECT_SEND, send, m);
  hand_over(e, receiver, EFFECT_RECEIVE, receive, m);
  return is_fine(e);
}

static bool hook_run(void *effects, size_t die, const hct_issued *issued) { return hct_effects_run(effects, die, issued); }
static bool hook_transfer(void *effects, size_t sender, const hct_issued *send, size_t receiver, const hct_issued *receive) { return hct_effects_transfer(effects, sender, send, receiver, receive); }
hct_machine_effects hct_effects_hooks(hct_effects *e) { return (hct_machine_effects){e, hook_run, hook_transfer}; }

bool hct_effects_finish(hct_effects *e, hct_effect_fault *out_fault) {
  if (e->worker_count) loop_wait(e, has_none_left, 0);
  if (is_fine(e)) return true;
  *out_fault = e->fault;
  return false;
}
