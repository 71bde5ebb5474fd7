/* What a program moves from and to DRAM, which follows from its loads and stores alone: no order of them, and no place in SRAM, changes it. */
#include "backends/chiplet/chiplet.h"

/* Over all dies, of which those alike in what they hold are looked at once. */
static uint64_t elements_everywhere(const chiplet_program *program, const chiplet_buffer *buffer) {
  chiplet_dependence depends = {0};
  chiplet_stream die = {.program = program, .depends = &depends};
  uint64_t elements = (uint64_t)chiplet_elements(&die, buffer), rows = (uint64_t)program->rows, cols = (uint64_t)program->cols;
  if (!depends.row && !depends.col) return elements * rows * cols;
  elements = 0;
  for (die.row = 0; die.row < (depends.row ? program->rows : 1); die.row++)
    for (die.col = 0; die.col < (depends.col ? program->cols : 1); die.col++) elements += (uint64_t)chiplet_elements(&die, buffer);
  return elements * (depends.row ? 1 : rows) * (depends.col ? 1 : cols);
}

static uint64_t bytes_of(const chiplet_program *program, const chiplet_op *ops, size_t count) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    if (ops[i].kind == CHIPLET_LOOP) {
      bytes += (uint64_t)ops[i].trips * bytes_of(program, ops[i].body, ops[i].body_count);
      continue;
    }
    if (ops[i].kind != CHIPLET_LOAD && ops[i].kind != CHIPLET_STORE) continue;
    const chiplet_buffer *buffer = &program->buffers.items[ops[i].operands[0].buffer];
    bytes += elements_everywhere(program, buffer) * hct_dtype_bytes(buffer->dtype);
  }
  return bytes;
}

hct_status chiplet_dram_bytes(hct_pass_context *pass, MlirModule module, uint64_t *out_bytes) {
  hct_arena *arena = hct_arena_create();
  chiplet_program program = {.pass = pass, .arena = arena};
  hct_status status = chiplet_read(&program, module);
  if (status == HCT_OK) *out_bytes = bytes_of(&program, program.ops, program.op_count);
  hct_arena_destroy(arena);
  return status;
}
