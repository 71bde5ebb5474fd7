#include "runtime/report/report_host.h"

#include <jansson.h>
#include <sys/resource.h>

#include "ir/report/report.h"

hct_status hct_report_host_write(hct_diags *diags, const hct_report_host_input *input, const char *path) {
  static const char *const keys[] = {"model", "mode", "dtype"};
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  json_t *losses = hct_report_losses(input->losses, input->loss_count), *program = json_object();
  for (size_t i = 0; i < HCT_COUNT(keys); i++)
    if (hct_image_meta(input->image, keys[i])) json_object_set_new(program, keys[i], json_string(hct_image_meta(input->image, keys[i])));
  json_object_set_new(program, "batch", json_integer((json_int_t)input->image->batch));
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  json_t *simulator = json_pack("{s:f,s:I,s:i}", "wall_s", input->wall_s, "peak_rss_bytes", (json_int_t)usage.ru_maxrss * 1024, "threads", 1);
  json_t *json = json_pack("{s:s,s:o,s:I,s:o,s:o}", "schema", "hecaton-report/1", "program", program, "steps", (json_int_t)input->steps, "loss", losses, "simulator", simulator);
  json_dumpf(json, hct_output_stream(output), JSON_INDENT(2));
  fputc('\n', hct_output_stream(output));
  json_decref(json);
  return hct_output_commit(diags, output);
}

void hct_report_host_print(const hct_report_host_input *input, FILE *out) {
  const char *model = hct_image_meta(input->image, "model");
  fprintf(out, "%s on this machine, batch %lld\n", model ? model : "program", (long long)input->image->batch);
  hct_report_print_losses(input->losses, input->loss_count, out);
  fprintf(out, "%lld steps in %.3f s\n", (long long)input->steps, input->wall_s);
}
