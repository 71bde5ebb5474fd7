/* Tensors whose data lie in files beside the model (TensorProto.external_data). A file is mapped once. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct external_file {
  bool present;
  hct_file file;
  const char *path;      /* for diagnostics */
  const char *reference; /* relative to the pass's directory */
  size_t tensors;        /* that wanted it */
  int64_t bytes;
} external_file;

static const char *entry_of(const Onnx__TensorProto *tensor, const char *key) {
  const char *value = NULL;
  for (size_t i = 0; i < tensor->n_external_data; i++)
    if (tensor->external_data[i]->key && !strcmp(tensor->external_data[i]->key, key)) value = tensor->external_data[i]->value;
  return value;
}

static bool climbs(const char *path) {
  for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
    if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2])) return true;
  return false;
}

static hct_status refuse_place(importer *im, const char *location, const char *why) {
  import_refuse(im, HCT_E_ONNX_DATA, "its external data '%s' %s", location, why);
  hct_note(im->pass->diags, "external data must lie in the folder of the model: %s", hct_path_folder(im->arena, im->path));
  return HCT_REFUSED;
}

static hct_status file_find(importer *im, const char *location, external_file *out_file) {
  const char *folder = hct_path_folder(im->arena, im->path), *real_folder = hct_path_resolve(im->arena, folder);
  if (!location[0] || location[0] == '/' || climbs(location)) return refuse_place(im, location, "is no path inside of a folder");
  external_file file = {.path = hct_path_join(im->arena, folder, location)};
  const char *real = hct_path_resolve(im->arena, file.path);
  if (!real && errno != ENOENT) return import_refuse(im, HCT_E_IO, "its external data '%s' cannot be opened: %s", location, strerror(errno));
  size_t length = real_folder ? strlen(real_folder) : 0;
  if (real && (!real_folder || strncmp(real, real_folder, length) || (length > 1 && real[length] != '/'))) return refuse_place(im, location, "is a link that leads out of it");
  file.present = real != NULL;
  hct_status status = real ? hct_file_map(im->pass->diags, real, &file.file) : HCT_OK;
  if (status != HCT_OK) {
    hct_note(im->pass->diags, "%s of %s has its data there", im->loc.where, im->file);
    return status;
  }
  file.reference = hct_path_relative(im->arena, file.path, im->pass->directory ? im->pass->directory : ".");
  *out_file = file;
  return HCT_OK;
}

static hct_status number_of(importer *im, const Onnx__TensorProto *tensor, const char *key, int64_t fallback, int64_t *out_value) {
  const char *text = entry_of(tensor, key);
  *out_value = fallback;
  if (text && (!hct_parse_i64(text, out_value) || *out_value < 0)) return import_refuse(im, HCT_E_ONNX_DATA, "its external data has %s '%s', which is no number of bytes", key, text);
  return HCT_OK;
}

hct_status import_external(importer *im, const Onnx__TensorProto *tensor, int64_t bytes, import_bytes *out_bytes) {
  const char *location = entry_of(tensor, "location");
  int64_t offset, length;
  if (!location) return import_refuse(im, HCT_E_ONNX_INVALID, "its external data has no location");
  HCT_TRY(number_of(im, tensor, "offset", 0, &offset));
  HCT_TRY(number_of(im, tensor, "length", bytes, &length));
  if (length != bytes) return import_refuse(im, HCT_E_ONNX_DATA, "its external data has %" PRId64 " bytes; its shape needs %" PRId64, length, bytes);
  external_file *file = hct_map_get(im->externals, location);
  if (!file) {
    external_file found;
    HCT_TRY(file_find(im, location, &found));
    file = HCT_NEW(im->arena, external_file);
    *file = found;
    hct_map_put(im->externals, location, file);
  }
  file->tensors++;
  hct_add_i64(file->bytes, bytes, &file->bytes);
  if (file->present && ((uint64_t)offset > file->file.bytes || (uint64_t)bytes > file->file.bytes - (uint64_t)offset))
    return import_refuse(im, HCT_E_ONNX_DATA, "its external data is %" PRId64 " bytes at %" PRId64 " of %s, which has %zu", bytes, offset, file->path, file->file.bytes);
  *out_bytes = (import_bytes){.data = file->present ? file->file.data + offset : NULL, .bytes = (size_t)bytes, .file = file->reference, .offset = offset};
  return HCT_OK;
}

void import_externals_end(importer *im, bool imported) {
  const external_file *absent = NULL;
  size_t files = 0, tensors = 0;
  for (size_t i = 0; i < hct_map_count(im->externals); i++) {
    external_file *file = hct_map_value_at(im->externals, i);
    if (file->present) {
      hct_file_unmap(&file->file);
      continue;
    }
    if (!files++) absent = file;
    tensors += file->tensors;
  }
  if (!imported || !files) return;
  hct_remark(im->pass->diags, (hct_loc){.file = im->file}, "%zu parameters are without data, for %s%s not there: the program can be timed, not run", tensors, absent->path,
             files > 1 ? " and other files are" : " is");
}
