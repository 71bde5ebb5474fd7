/* Mutations of a protobuf message by its fields: the result is a message again, which changed bytes seldom are. Everything is in an arena, so that
 * messages may share parts. */
#ifndef HCT_TEST_MUTATE_MODEL_H
#define HCT_TEST_MUTATE_MODEL_H

#include <protobuf-c/protobuf-c.h>
#include <string.h>

#include "ir/support/support.h"

typedef struct mutation_site { ProtobufCMessage *message; const ProtobufCFieldDescriptor *field; } mutation_site;
typedef struct mutation {
  hct_arena *arena;
  uint32_t state; /* of the random numbers */
  struct { mutation_site *items; size_t count, capacity; } sites;
  struct { char **items; size_t count, capacity; } texts;
} mutation;

static inline uint32_t mutation_random(mutation *m, size_t below) {
  m->state ^= m->state << 13, m->state ^= m->state >> 17, m->state ^= m->state << 5;
  return below ? m->state % (uint32_t)below : 0;
}

static inline void *mutation_alloc(void *arena, size_t bytes) { return hct_arena_alloc(arena, bytes); }
static inline void mutation_keep(void *arena, void *pointer) { (void)arena, (void)pointer; }

static inline void *field_at(const mutation_site *site) { return (char *)site->message + site->field->offset; }
static inline void *count_at(const mutation_site *site) { return (char *)site->message + site->field->quantifier_offset; }

static inline size_t element_bytes(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
    case PROTOBUF_C_TYPE_INT64: case PROTOBUF_C_TYPE_UINT64: case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_STRING: case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 4;
  }
}

/* All fields that a message may have, and the texts that are there. */
static void sites_find(mutation *m, ProtobufCMessage *message, unsigned depth) {
  for (unsigned f = 0; f < message->descriptor->n_fields && depth < 20; f++) {
    mutation_site site = {message, &message->descriptor->fields[f]};
    bool repeated = site.field->label == PROTOBUF_C_LABEL_REPEATED;
    size_t count = repeated ? *(size_t *)count_at(&site) : !(site.field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || *(uint32_t *)count_at(&site) == site.field->id;
    HCT_PUSH(m->arena, &m->sites, site);
    void **items = repeated ? *(void ***)field_at(&site) : field_at(&site);
    for (size_t i = 0; i < count; i++) {
      if (site.field->type == PROTOBUF_C_TYPE_STRING && items[i]) HCT_PUSH(m->arena, &m->texts, items[i]);
      if (site.field->type == PROTOBUF_C_TYPE_MESSAGE && items[i]) sites_find(m, items[i], depth + 1);
    }
  }
}

static int64_t number_pick(mutation *m) {
  static const int64_t edges[] = {0, 1, -1, 2, 3, 4, 7, 8, 9, 100, -2, INT32_MAX, INT32_MIN, INT64_C(1) << 31, INT64_C(1) << 40, INT64_C(1) << 62, INT64_MAX, INT64_MIN};
  return mutation_random(m, 2) ? edges[mutation_random(m, HCT_COUNT(edges))] : (int64_t)mutation_random(m, 24);
}

static void element_change(mutation *m, const mutation_site *site, void *at) {
  int64_t number = number_pick(m);
  float real = mutation_random(m, 2) ? (float)number : 1.0f / (float)(1 + mutation_random(m, 9));
  double wide = (double)real;
  switch (site->field->type) {
    case PROTOBUF_C_TYPE_STRING: *(char **)at = m->texts.count ? m->texts.items[mutation_random(m, m->texts.count)] : hct_arena_strdup(m->arena, "x"); break;
    case PROTOBUF_C_TYPE_BYTES: {
      ProtobufCBinaryData *bytes = at;
      if (bytes->len) bytes->data[mutation_random(m, bytes->len)] = (uint8_t)number;
      if (bytes->len && !mutation_random(m, 4)) bytes->len = mutation_random(m, bytes->len);
      break;
    }
    case PROTOBUF_C_TYPE_MESSAGE: break;
    case PROTOBUF_C_TYPE_FLOAT: memcpy(at, &real, sizeof real); break;
    case PROTOBUF_C_TYPE_DOUBLE: memcpy(at, &wide, sizeof wide); break;
    default: memcpy(at, &number, element_bytes(site->field)); break;
  }
}

/* One is taken out, made twice, moved, or changed. */
static void repeated_change(mutation *m, const mutation_site *site) {
  size_t *count = count_at(site), size = element_bytes(site->field), at = mutation_random(m, *count), other = mutation_random(m, *count);
  uint8_t *items = hct_arena_alloc(m->arena, (*count + 1) * size);
  if (*count) memcpy(items, *(void **)field_at(site), *count * size);
  uint32_t way = mutation_random(m, 4);
  if (!*count || way == 0) {
    if (*count) memcpy(items + *count * size, items + at * size, size);
    else if (site->field->type == PROTOBUF_C_TYPE_MESSAGE || site->field->type == PROTOBUF_C_TYPE_BYTES) return;
    else element_change(m, site, items);
    ++*count;
  } else if (way == 1) {
    memmove(items + at * size, items + (at + 1) * size, (*count - at - 1) * size);
    --*count;
  } else if (way == 2) {
    for (size_t b = 0; b < size; b++) {
      uint8_t kept = items[at * size + b];
      items[at * size + b] = items[other * size + b];
      items[other * size + b] = kept;
    }
  } else {
    element_change(m, site, items + at * size);
  }
  *(void **)field_at(site) = items;
}

static void site_change(mutation *m, const mutation_site *site) {
  bool pointer = site->field->type == PROTOBUF_C_TYPE_STRING || site->field->type == PROTOBUF_C_TYPE_MESSAGE, one_of = site->field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
  if (site->field->label == PROTOBUF_C_LABEL_REPEATED) {
    repeated_change(m, site);
  } else if (one_of) {
    if (site->field->type == PROTOBUF_C_TYPE_MESSAGE) return;
    *(uint32_t *)count_at(site) = site->field->id;
    memset(field_at(site), 0, sizeof(void *));
    element_change(m, site, field_at(site));
  } else if (pointer && !mutation_random(m, 8)) {
    *(void **)field_at(site) = NULL;
  } else {
    element_change(m, site, field_at(site));
    if (!pointer) *(protobuf_c_boolean *)count_at(site) = mutation_random(m, 8) != 0;
  }
}

/* 0 where `data` is no message of the type, or the result does not fit. */
static size_t mutate_message(const ProtobufCMessageDescriptor *type, uint8_t *data, size_t bytes, size_t capacity, uint32_t seed) {
  mutation m = {.arena = hct_arena_create(), .state = seed | 1};
  ProtobufCAllocator allocator = {mutation_alloc, mutation_keep, m.arena};
  ProtobufCMessage *message = bytes ? protobuf_c_message_unpack(type, &allocator, bytes, data) : NULL;
  size_t made = 0;
  if (message) {
    sites_find(&m, message, 0);
    for (uint32_t times = 1 + mutation_random(&m, 3); times; times--) site_change(&m, &m.sites.items[mutation_random(&m, m.sites.count)]);
    made = protobuf_c_message_get_packed_size(message);
    if (made <= capacity) protobuf_c_message_pack(message, data);
    else made = 0;
  }
  hct_arena_destroy(m.arena);
  return made;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t capacity);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t capacity, unsigned seed);

#endif
