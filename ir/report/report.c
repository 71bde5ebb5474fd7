#include "ir/report/report.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "ir/report/memory.h"
#include "ir/timing/energy.h"

/* ---- figures ---- */
typedef struct totals {
  hct_die_stats all;
  hct_energy energy;
  double activity_s[HCT_ACTIVITY_COUNT], most_s[HCT_ACTIVITY_COUNT], step_s, lower_bound_s, utilization, peak_macs_per_s, model_flops;
  const char *bound;
} totals;

static double meta_number(const hct_image *image, const char *key) {
  const char *text = hct_image_meta(image, key);
  return text ? strtod(text, NULL) : 0;
}

/* Whether the program's products are of f32 inputs, by its --dtype. */
static bool is_f32(const hct_image *image) {
  const char *dtype = hct_image_meta(image, "dtype");
  return !dtype || !strcmp(dtype, hct_dtype_name(HCT_F32));
}

static totals totals_make(const hct_report_input *in) {
  totals t = {.all = hct_stats_total(in->stats), .energy = hct_energy_of(in->package, in->stats, in->timing)};
  const hct_package *p = in->package;
  double dies = (double)in->stats->die_count;
  t.model_flops = meta_number(in->image, "model_flops");
  t.peak_macs_per_s = (double)(p->mxu_arrays * p->mxu_rows * p->mxu_cols) * (is_f32(in->image) ? p->mxu_f32_rate : 1) * p->clock_hz * dies;
  if (in->timing) {
    t.step_s = (double)in->timing->step_ps * 1e-12;
    for (size_t die = 0; die < in->stats->die_count; die++)
      for (int a = 0; a < HCT_ACTIVITY_COUNT; a++) {
        double seconds = (double)in->timing->activity_ps[die][a] * 1e-12;
        t.activity_s[a] += seconds / dies;
        if (seconds > t.most_s[a]) t.most_s[a] = seconds;
      }
    double compute = t.model_flops / 2 / t.peak_macs_per_s, link = (double)in->timing->busiest_link_ps * 1e-12;
    double dram = meta_number(in->image, "dram_compulsory_bytes") / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency * (double)p->dram_channels);
    t.lower_bound_s = compute > link ? compute : link;
    t.bound = compute > link ? "mxu" : "link";
    if (dram > t.lower_bound_s) t.lower_bound_s = dram, t.bound = "dram";
    t.utilization = t.step_s > 0 ? compute / t.step_s : 0;
  }
  return t;
}

/* ---- JSON ---- */
/* What became of the model's nodes: how many are part of a composite operator (hct-raise), and the names of those that are not. */
static json_t *nodes_json(const hct_image *image) {
  json_t *primitive = json_array();
  for (const char *at = hct_image_meta(image, "nodes_primitive"); at && *at; at += strcspn(at, "\n"), at += *at == '\n') json_array_append_new(primitive, json_stringn(at, strcspn(at, "\n")));
  return json_pack("{s:I,s:o}", "raised", (json_int_t)meta_number(image, "nodes_raised"), "primitive", primitive);
}

static json_t *program_json(const hct_report_input *in) {
  static const char *const texts[] = {"model", "strategy", "schedule", "overlap", "objective", "recompute", "dtype", "mode"}, *const numbers[] = {"micro_batches_at_once", "token_blocks", "tokens_per_step", "parameters", "fallbacks"};
  json_t *json = json_object();
  for (size_t i = 0; i < HCT_COUNT(texts); i++)
    if (hct_image_meta(in->image, texts[i])) json_object_set_new(json, texts[i], json_string(hct_image_meta(in->image, texts[i])));
  json_object_set_new(json, "batch", json_integer((json_int_t)in->image->batch));
  json_object_set_new(json, "micro_batch", json_integer((json_int_t)in->image->micro_batch));
  for (size_t i = 0; i < HCT_COUNT(numbers); i++)
    if (hct_image_meta(in->image, numbers[i])) json_object_set_new(json, numbers[i], json_integer((json_int_t)meta_number(in->image, numbers[i])));
  json_object_set_new(json, "nodes", nodes_json(in->image));
  return json;
}

static json_t *time_json(const hct_report_input *in, const totals *t) {
  static const char *const names[HCT_ACTIVITY_COUNT] = {"mxu_s", "vpu_s", "exposed_nop_s", "exposed_dram_s", "idle_s"};
  json_t *json = json_object(), *most = json_object();
  json_object_set_new(json, "step_s", json_real(t->step_s));
  for (int a = 0; a < HCT_ACTIVITY_COUNT; a++) {
    json_object_set_new(json, names[a], json_real(t->activity_s[a]));
    json_object_set_new(most, names[a], json_real(t->most_s[a]));
  }
  json_object_set_new(json, "max", most);
  json_object_set_new(json, "busiest_link_s", json_real((double)in->timing->busiest_link_ps * 1e-12));
  json_object_set_new(json, "busiest_channel_s", json_real((double)in->timing->busiest_channel_ps * 1e-12));
  json_object_set_new(json, "lower_bound_s", json_real(t->lower_bound_s));
  json_object_set_new(json, "lower_bound_by", json_string(t->bound));
  if (!in->predicted && hct_image_meta(in->image, "predicted_step_s")) {
    double predicted = meta_number(in->image, "predicted_step_s");
    json_object_set_new(json, "predicted_step_s", json_real(predicted));
    json_object_set_new(json, "prediction_error", json_real(t->step_s > 0 ? predicted / t->step_s - 1 : 0));
  }
  return json;
}

static bool source_same(const hct_source *a, const hct_source *b) {
  return !strcmp(a->collective, b->collective) && !strcmp(a->axis, b->axis) && !strcmp(a->layer, b->layer) && !strcmp(a->pass, b->pass);
}

/* Messages that a die receives in one collective; `restore` is an all-gather. */
static uint64_t messages_each(const hct_report_input *in, const hct_source *source) {
  int64_t rows = in->image->rows, cols = in->image->cols;
  bool twice = !strcmp(source->collective, "all_reduce");
  if (!strcmp(source->axis, "torus")) return (uint64_t)(4 * (rows - 1) + 4 * (cols - 1));
  if (!strcmp(source->axis, "flat")) return (uint64_t)(rows * cols - 1) * (twice ? 4 : 2);
  return (uint64_t)((!strcmp(source->axis, "row") ? rows : cols) - 1) * (twice ? 2 : 1);
}

/* One row a kind, axis, layer and pass: sources that differ in location only are one. */
static json_t *collectives_json(const hct_report_input *in) {
  json_t *rows = json_array();
  const hct_stats *stats = in->stats;
  for (size_t s = 0; s < in->image->source_count; s++) {
    const hct_source *source = &in->image->sources[s];
    bool first = source->collective[0] != 0;
    for (size_t before = 0; before < s && first; before++) first = !source_same(source, &in->image->sources[before]);
    if (!first) continue;
    uint64_t least = UINT64_MAX, most = 0, messages = 0;
    for (size_t die = 0; die < stats->die_count; die++) {
      uint64_t bytes = 0;
      for (size_t o = s; o < in->image->source_count; o++)
        if (source_same(source, &in->image->sources[o])) {
          bytes += hct_stats_of(stats, die, o)->received_bytes;
          messages += hct_stats_of(stats, die, o)->messages;
        }
      if (bytes < least) least = bytes;
      if (bytes > most) most = bytes;
    }
    uint64_t steps = messages_each(in, source) * stats->die_count;
    json_array_append_new(rows, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "kind", source->collective, "axis", source->axis, "layer", source->layer, "pass", source->pass, "count",
                                          (json_int_t)(steps ? messages / steps : 0), "received_bytes_per_die_min", (json_int_t)least, "received_bytes_per_die_max", (json_int_t)most));
  }
  return rows;
}

static json_t *layers_json(const hct_report_input *in) {
  json_t *rows = json_array();
  const hct_stats *stats = in->stats;
  for (size_t s = 0; s < in->image->source_count; s++) {
    const char *layer = in->image->sources[s].layer;
    bool first = true;
    for (size_t before = 0; before < s && first; before++) first = strcmp(layer, in->image->sources[before].layer) != 0;
    if (!first || !layer[0]) continue;
    hct_source_stats sum = {0};
    int64_t time_ps = 0;
    for (size_t o = s; o < in->image->source_count; o++) {
      if (strcmp(layer, in->image->sources[o].layer)) continue;
      if (in->timing) time_ps += in->timing->source_ps[o];
      for (size_t die = 0; die < stats->die_count; die++) {
        const hct_source_stats *one = hct_stats_of(stats, die, o);
        sum.received_bytes += one->received_bytes, sum.macs += one->macs, sum.dram_bytes += one->dram_bytes;
      }
    }
    json_t *row = json_pack("{s:s,s:I,s:I,s:I}", "name", layer, "nop_bytes", (json_int_t)sum.received_bytes, "dram_bytes", (json_int_t)sum.dram_bytes, "macs", (json_int_t)sum.macs);
    if (in->timing) json_object_set_new(row, "time_s", json_real((double)time_ps * 1e-12 / (double)stats->die_count));
    json_array_append_new(rows, row);
  }
  return rows;
}

json_t *hct_report_losses(const double *losses, size_t count) {
  json_t *json = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(json, isfinite(losses[i]) ? json_real(losses[i]) : json_null());
  return json;
}

void hct_report_print_losses(const double *losses, size_t count, FILE *out) {
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < count; i++) {
    fprintf(out, "step %3zu  loss %.7f\n", i, isnan(losses[i]) ? (double)NAN : losses[i]);
    if (!isfinite(losses[i]) && !wrong++) first = i;
  }
  if (wrong) fprintf(out, "warning: the loss is not finite in %zu of %zu steps, first in step %zu\n", wrong, count, first);
}

static json_t *simulator_json(const hct_report_input *in, const totals *t) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  json_t *json = json_pack("{s:I,s:I,s:I}", "instructions", (json_int_t)t->all.instructions, "instructions_skipped_by_recurrence", (json_int_t)(in->timing ? in->timing->skipped_instructions : 0), "peak_rss_bytes", (json_int_t)usage.ru_maxrss * 1024);
  if (!in->predicted) {
    json_object_set_new(json, "wall_s", json_real(in->wall_s));
    json_object_set_new(json, "threads", json_integer(in->threads));
  }
  if (in->timing) json_object_set_new(json, "events", json_integer((json_int_t)in->timing->events));
  return json;
}

static json_t *report_json(const hct_report_input *in) {
  totals t = totals_make(in);
  json_t *json = json_object();
  json_object_set_new(json, "schema", json_string("hecaton-report/1"));
  if (in->predicted) json_object_set_new(json, "predicted", json_true());
  json_object_set_new(json, "program", program_json(in));
  json_object_set_new(json, "package", json_pack("{s:s,s:I,s:I}", "name", in->package->name, "rows", (json_int_t)in->package->rows, "cols", (json_int_t)in->package->cols));
  json_object_set_new(json, "steps", json_integer((json_int_t)in->steps));
  if (!in->predicted) json_object_set_new(json, "loss", hct_report_losses(in->losses, in->loss_count));
  if (in->timing) {
    json_object_set_new(json, "time", time_json(in, &t));
    json_object_set_new(json, "energy", json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "total_j", t.energy.total_j, "mac_j", t.energy.mac_j, "vector_j", t.energy.vector_j, "sram_j", t.energy.sram_j, "nop_j", t.energy.nop_j, "dram_j", t.energy.dram_j, "static_j", t.energy.static_j));
  }
  json_t *traffic = json_pack("{s:I,s:I,s:I}", "dram_read_bytes", (json_int_t)t.all.dram_read_bytes, "dram_write_bytes", (json_int_t)t.all.dram_write_bytes, "nop_injected_bytes", (json_int_t)t.all.sent_bytes);
  static const char *const floors[] = {"dram_compulsory_bytes", "dram_relaxed_bytes"};
  for (size_t i = 0; i < HCT_COUNT(floors); i++)
    if (hct_image_meta(in->image, floors[i])) json_object_set_new(traffic, floors[i], json_integer((json_int_t)meta_number(in->image, floors[i])));
  if (in->timing) {
    json_object_set_new(traffic, "nop_link_bytes", json_integer((json_int_t)in->timing->link_bytes));
    json_object_set_new(traffic, "dram_transit_link_bytes", json_integer((json_int_t)in->timing->dram_transit_bytes));
  }
  json_object_set_new(json, "traffic", traffic);
  json_object_set_new(json, "collectives", collectives_json(in));
  json_t *compute = json_pack("{s:I,s:I}", "macs", (json_int_t)t.all.macs, "model_flops", (json_int_t)t.model_flops);
  if (in->timing) json_object_set_new(compute, "mxu_utilization", json_real(t.utilization));
  json_object_set_new(json, "compute", compute);
  json_object_set_new(json, "sram", hct_memory_sram_json(in->image, in->package));
  json_object_set_new(json, "dram", hct_memory_dram_json(in->image, in->package));
  json_object_set_new(json, "per_layer", layers_json(in));
  json_object_set_new(json, "simulator", simulator_json(in, &t));
  return json;
}

hct_status hct_report_write(hct_diags *diags, const hct_report_input *input, const char *path) {
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  json_t *json = report_json(input);
  json_dumpf(json, hct_output_stream(output), JSON_INDENT(2));
  fputc('\n', hct_output_stream(output));
  json_decref(json);
  return hct_output_commit(diags, output);
}

/* ---- text ---- */
static const char *scaled_text(double value, const char *unit, char buffer[32]) {
  static const char *const prefixes[] = {"", "m", "u", "n", "p"};
  int at = 0;
  for (; value != 0 && value < 1 && at < 4; at++) value *= 1000;
  snprintf(buffer, 32, "%.4g %s%s", value, prefixes[at], unit);
  return buffer;
}

void hct_report_print(const hct_report_input *in, FILE *out) {
  totals t = totals_make(in);
  char a[32], b[32];
  fprintf(out, "%s on %s, %lldx%lld dies, batch %lld, micro-batch %lld, %.0f at once\n", hct_image_meta(in->image, "model") ? hct_image_meta(in->image, "model") : "program", in->package->name,
          (long long)in->package->rows, (long long)in->package->cols, (long long)in->image->batch, (long long)in->image->micro_batch, fmax(1, meta_number(in->image, "micro_batches_at_once")));
  hct_report_print_losses(in->losses, in->loss_count, out);
  if (in->timing) {
    fprintf(out, "step time      %s (lower bound %s, by %s; MXU utilization %.2f %%)\n", scaled_text(t.step_s, "s", a), scaled_text(t.lower_bound_s, "s", b), t.bound, 100 * t.utilization);
    static const char *const names[HCT_ACTIVITY_COUNT] = {"MXU", "VPU", "NoP exposed", "DRAM exposed", "idle"};
    for (int k = 0; k < HCT_ACTIVITY_COUNT; k++) fprintf(out, "  %-12s %s (%.1f %%)\n", names[k], scaled_text(t.activity_s[k], "s", a), t.step_s > 0 ? 100 * t.activity_s[k] / t.step_s : 0);
    fprintf(out, "energy         %s (MAC %.1f %%, vector %.1f %%, SRAM %.1f %%, NoP %.1f %%, DRAM %.1f %%, static %.1f %%)\n", scaled_text(t.energy.total_j, "J", a), 100 * t.energy.mac_j / t.energy.total_j,
            100 * t.energy.vector_j / t.energy.total_j, 100 * t.energy.sram_j / t.energy.total_j, 100 * t.energy.nop_j / t.energy.total_j, 100 * t.energy.dram_j / t.energy.total_j, 100 * t.energy.static_j / t.energy.total_j);
  }
  fprintf(out, "DRAM           %s read, %s written\n", hct_bytes_text((double)t.all.dram_read_bytes, a), hct_bytes_text((double)t.all.dram_write_bytes, b));
  fprintf(out, "NoP            %s sent in %llu messages\n", hct_bytes_text((double)t.all.sent_bytes, a), (unsigned long long)t.all.messages);
  hct_memory_print(in->image, in->package, out);
}
