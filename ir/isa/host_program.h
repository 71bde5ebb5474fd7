/* What a host program is: a shared object that backends/host writes and runtime/loader opens. One step is a function over one
 * arena of bytes, in which every tensor has its place; three symbols:
 *
 *   void hct_host_step(uint8_t *arena)    runs one step; the arena is aligned to 16 bytes
 *   const char hct_host_metadata[]        JSON, below, NUL-terminated
 *   const uint8_t hct_host_data[]         initial contents that the metadata refers to
 *
 *   { "schema": "hecaton-host/1", "arena_bytes": N, "batch": N, "meta": {KEY: TEXT, ...},
 *     "tensors": [{"name", "role", "dtype", "shape": [...], "offset", "data_offset"?, "data_bytes"?, "data_file"?, "data_xxh3"?}],
 *     "locations": [TEXT, ...] }
 *
 * A tensor lies dense and row-major at its offset. Parameters, constants and settings with data_offset start with those bytes, all
 * else with zeros; with data_file they lie there (relative to the program's folder, XXH3-64 in hex), else in hct_host_data. A step updates parameters and states in place. Where an index is outside of its table the step writes a fault to
 * the head of the arena and goes on with row 0: the numbers are then worthless. */
#ifndef HCT_ISA_HOST_PROGRAM_H
#define HCT_ISA_HOST_PROGRAM_H

#include <stdint.h>

#define HCT_HOST_SCHEMA "hecaton-host/1"
#define HCT_HOST_STEP "hct_host_step"
#define HCT_HOST_METADATA "hct_host_metadata"
#define HCT_HOST_DATA "hct_host_data"
enum { HCT_HOST_ALIGNMENT = 64 };

typedef struct hct_host_fault { /* the first HCT_HOST_ALIGNMENT bytes of the arena */
  int64_t operation;            /* 1 + index in "locations"; 0: none */
  int64_t index, rows;          /* the index, and the rows of the table */
} hct_host_fault;

#endif
