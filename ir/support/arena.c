#include <stdlib.h>
#include <string.h>

#include "ir/support/support.h"

/* Blocks in a list, newest first; requests over a block's size get a block of their own. */
enum { BLOCK_BYTES = 64 * 1024, ALIGNMENT = 16 };

typedef struct arena_block {
  struct arena_block *next;
  size_t used, capacity;
  _Alignas(ALIGNMENT) unsigned char data[];
} arena_block;

struct hct_arena {
  arena_block *blocks;
  jmp_buf *exceeded; /* where there is a limit */
  size_t left_bytes; /* until then */
};

hct_arena *hct_arena_create(void) {
  hct_arena *arena = calloc(1, sizeof *arena);
  HCT_BUG_ON(!arena, "out of memory");
  return arena;
}

void hct_arena_destroy(hct_arena *arena) {
  if (!arena) return;
  for (arena_block *block = arena->blocks, *next; block; block = next) {
    next = block->next;
    free(block);
  }
  free(arena);
}

void hct_arena_adopt(hct_arena *arena, hct_arena *from) {
  arena_block **end = &arena->blocks;
  while (*end) end = &(*end)->next;
  *end = from->blocks;
  free(from);
}

void hct_arena_limit(hct_arena *arena, size_t bytes, jmp_buf *exceeded) {
  arena->left_bytes = bytes;
  arena->exceeded = exceeded;
}

static arena_block *block_add(hct_arena *arena, size_t bytes) {
  size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
  if (arena->exceeded && capacity > arena->left_bytes) longjmp(*arena->exceeded, 1);
  arena->left_bytes -= arena->exceeded ? capacity : 0;
  arena_block *block = calloc(1, sizeof *block + capacity);
  HCT_BUG_ON(!block, "out of memory for %zu bytes", bytes);
  block->capacity = capacity;
  if (bytes > BLOCK_BYTES && arena->blocks) { /* keep filling the current block */
    block->next = arena->blocks->next;
    arena->blocks->next = block;
  } else {
    block->next = arena->blocks;
    arena->blocks = block;
  }
  return block;
}

void *hct_arena_alloc(hct_arena *arena, size_t bytes) {
  if (arena->exceeded && bytes > arena->left_bytes + BLOCK_BYTES) longjmp(*arena->exceeded, 1);
  HCT_BUG_ON(bytes > SIZE_MAX / 2, "allocation of %zu bytes", bytes);
  bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (bytes == 0) bytes = ALIGNMENT;
  arena_block *block = arena->blocks;
  if (!block || block->capacity - block->used < bytes) block = block_add(arena, bytes);
  void *memory = block->data + block->used;
  block->used += bytes;
  return memory;
}

void *hct_arena_array(hct_arena *arena, size_t count, size_t element_bytes) {
  if (arena->exceeded && element_bytes != 0 && count > SIZE_MAX / 2 / element_bytes) longjmp(*arena->exceeded, 1);
  HCT_BUG_ON(element_bytes != 0 && count > SIZE_MAX / 2 / element_bytes, "array of %zu elements", count);
  return hct_arena_alloc(arena, count * element_bytes);
}

char *hct_arena_strndup(hct_arena *arena, const char *text, size_t length) {
  char *copy = hct_arena_alloc(arena, length + 1);
  if (length) memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

char *hct_arena_strdup(hct_arena *arena, const char *text) { return hct_arena_strndup(arena, text, strlen(text)); }

char *hct_arena_printf(hct_arena *arena, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  HCT_BUG_ON(length < 0, "format '%s'", fmt);
  char *text = hct_arena_alloc(arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, fmt, again);
  va_end(again);
  return text;
}

void *hct_vec_grow(hct_arena *arena, void *items, size_t count, size_t *capacity, size_t element_bytes) {
  size_t wanted = *capacity ? *capacity * 2 : 8;
  void *grown = hct_arena_array(arena, wanted, element_bytes);
  if (count) memcpy(grown, items, count * element_bytes);
  *capacity = wanted;
  return grown;
}
