#include <stdlib.h>
#include <string.h>

#include "ir/support/support.h"

static void reserve(hct_text *text, size_t extra) {
  if (text->capacity - text->length > extra) return;
  size_t capacity = text->capacity ? text->capacity : 64;
  while (capacity - text->length <= extra) {
    HCT_BUG_ON(capacity > SIZE_MAX / 2, "text of %zu bytes", capacity);
    capacity *= 2;
  }
  char *data = realloc(text->data, capacity);
  HCT_BUG_ON(!data, "out of memory for %zu bytes of text", capacity);
  text->data = data;
  text->capacity = capacity;
}

void hct_text_append(hct_text *text, const char *bytes, size_t length) {
  reserve(text, length);
  if (length) memcpy(text->data + text->length, bytes, length);
  text->length += length;
  text->data[text->length] = '\0';
}

void hct_text_vprintf(hct_text *text, const char *fmt, va_list args) {
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, fmt, args);
  HCT_BUG_ON(length < 0, "format '%s'", fmt);
  reserve(text, (size_t)length);
  vsnprintf(text->data + text->length, (size_t)length + 1, fmt, again);
  va_end(again);
  text->length += (size_t)length;
}

void hct_text_printf(hct_text *text, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  hct_text_vprintf(text, fmt, args);
  va_end(args);
}

void hct_text_fini(hct_text *text) {
  free(text->data);
  *text = (hct_text){0};
}

size_t hct_text_nesting(const char *text, size_t bytes) {
  size_t depth = 0, most = 0;
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] == '"') {
      for (i++; i < bytes && text[i] != '"' && text[i] != '\n'; i++) i += text[i] == '\\';
    } else if (text[i] == '/' && i + 1 < bytes && text[i + 1] == '/') {
      while (i < bytes && text[i] != '\n') i++;
    } else if (text[i] && strchr("([{<", text[i])) {
      if (++depth > most) most = depth;
    } else if (text[i] && strchr(")]}>", text[i])) {
      bool bracket = text[i] != '>' || !((i && text[i - 1] == '-') || (i + 1 < bytes && text[i + 1] == '=')); /* no -> or >= */
      if (depth && bracket) depth--;
    }
  }
  return most;
}
