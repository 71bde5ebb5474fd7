#include "runtime/exec/exec.h"

#include <string.h>

__extension__ typedef __int128 wide; /* sums of products of 64-bit numbers */

/* First and last byte of a view. Gather and scatter reach rows of their table by ids: checked there, row by row. */
static bool view_inside(const hct_issued *issued, const hct_opcode_info *info, int v, int64_t limit) {
  const hct_view *view = &issued->instr->views[v];
  wide low = issued->addr[v], high = low;
  for (int d = 0; d < info->dims; d++) {
    wide extent = (wide)(issued->instr->shape[d] - 1) * view->stride[d] * (int64_t)hct_dtype_bytes(view->dtype);
    if (extent > 0) high += extent;
    else low += extent;
  }
  return low >= 0 && high + hct_opcode_run(issued->instr->opcode, v) * (int64_t)hct_dtype_bytes(view->dtype) <= limit;
}

static bool is_table(uint8_t opcode, int view) { return (opcode == HCT_OP_GATHER && view == 1) || (opcode == HCT_OP_SCATTER && view == 0); }

static bool frame_make(const hct_issued *issued, const hct_memory *memory, char *fault, exec_frame *frame) {
  const hct_opcode_info *info = hct_opcode_lookup(issued->instr->opcode);
  *frame = (exec_frame){.instr = issued->instr, .shape = issued->instr->shape, .value = issued->value, .addr = issued->addr, .fault = fault};
  for (int v = 0; v < info->view_count; v++) {
    if (info->views[v].space == HCT_SPACE_NUMBER) continue;
    bool sram = info->views[v].space == HCT_SPACE_SRAM;
    int64_t limit = sram ? memory->sram_bytes : memory->dram_bytes;
    bool inside = view_inside(issued, info, v, limit);
    if (is_table(issued->instr->opcode, v)) { /* row 0 to the last row held; its column extent is in stride[1] */
      const hct_view *view = &issued->instr->views[v];
      wide size = (int64_t)hct_dtype_bytes(view->dtype), last = issued->addr[v] + ((wide)(issued->value[1] - 1) * view->stride[0] + (wide)(issued->instr->shape[1] - 1) * view->stride[1]) * size;
      inside = issued->value[1] <= 0 || (issued->addr[v] >= 0 && last >= 0 && last + size <= limit);
    }
    if (!inside) {
      snprintf(fault, 256, "operand '%s' of '%s' at %lld reaches outside of the die's %s of %lld bytes", info->views[v].name, info->mnemonic, (long long)issued->addr[v],
               sram ? "SRAM" : "DRAM region", (long long)limit);
      return false;
    }
    exec_operand *operand = &frame->view[v];
    operand->data = (sram ? memory->sram : memory->dram) + issued->addr[v];
    operand->dtype = issued->instr->views[v].dtype;
    for (int d = 0; d < info->dims; d++) operand->stride[d] = issued->instr->views[v].stride[d] * (int64_t)hct_dtype_bytes(operand->dtype);
  }
  return true;
}

static bool is_empty(const hct_instr *instr) {
  int dims = hct_opcode_lookup(instr->opcode)->dims;
  for (int d = 0; d < dims; d++)
    if (instr->shape[d] == 0) return true;
  return false;
}

static int64_t elements_of(const hct_instr *message) {
  int64_t elements = 1;
  for (int d = 0; d < HCT_MAX_DIMS; d++) elements *= message->shape[d];
  return elements;
}

bool hct_exec(const hct_issued *issued, const hct_memory *memory, char out_fault[256]) {
  exec_frame frame;
  uint8_t opcode = issued->instr->opcode;
  if (opcode == HCT_OP_SYNC) return true;
  if (is_empty(issued->instr)) {
    /* a contraction over nothing is zero */
    bool writes_zero = opcode == HCT_OP_MM && !issued->instr->accumulate && issued->instr->shape[0] && issued->instr->shape[1];
    if (!writes_zero) return true;
  }
  if (!frame_make(issued, memory, out_fault, &frame)) return false;
  switch (opcode) {
    case HCT_OP_MM: return exec_matmul(&frame);
    case HCT_OP_MAP1:
    case HCT_OP_MAP2:
    case HCT_OP_MAP3: return exec_map(&frame);
    case HCT_OP_FILL: return exec_fill(&frame);
    case HCT_OP_RED: return exec_reduce(&frame);
    case HCT_OP_SOFTMAX: return exec_softmax(&frame);
    case HCT_OP_SOFTMAXG: return exec_softmax_grad(&frame);
    case HCT_OP_GATHER: return exec_gather(&frame);
    case HCT_OP_SCATTER: return exec_scatter(&frame);
    case HCT_OP_PICK: return exec_pick(&frame);
    case HCT_OP_PLACE: return exec_place(&frame);
    case HCT_OP_UPDATE: return exec_update(&frame);
    case HCT_OP_DROP: return exec_dropout(&frame);
    case HCT_OP_LD:
    case HCT_OP_ST: return exec_copy(&frame);
    default: hct_bug(__FILE__, __LINE__, "opcode %d has no meaning", opcode);
  }
}

/* What does not depend on data or addresses. */
static bool message_check(const hct_instr *send, const hct_instr *receive, char fault[256]) {
  if (memcmp(send->shape, receive->shape, sizeof send->shape) == 0 && send->views[0].dtype == receive->views[0].dtype) return true;
  snprintf(fault, 256, "a message of %lld %s meets a receive of %lld %s, or their shapes differ", (long long)elements_of(send), hct_dtype_name(send->views[0].dtype), (long long)elements_of(receive),
           hct_dtype_name(receive->views[0].dtype));
  return false;
}

static bool message_take(const hct_instr *receive, exec_frame *target) { return receive->opcode == HCT_OP_RECV ? exec_copy(target) : exec_reduce_into(target, receive->fn); }

bool hct_exec_transfer(const hct_issued *send, const hct_memory *from, const hct_issued *receive, const hct_memory *to, char out_fault[256]) {
  exec_frame source, target;
  if (!message_check(send->instr, receive->instr, out_fault)) return false;
  if (elements_of(send->instr) == 0) return true;
  if (!frame_make(send, from, out_fault, &source) || !frame_make(receive, to, out_fault, &target)) return false;
  target.view[1] = source.view[0];
  return message_take(receive->instr, &target);
}

int64_t hct_exec_message_bytes(const hct_instr *send) { return elements_of(send) * (int64_t)hct_dtype_bytes(send->views[0].dtype); }

static exec_operand packed(const hct_instr *instr, uint8_t *data) {
  exec_operand operand = {.data = data, .dtype = instr->views[0].dtype};
  int64_t stride = (int64_t)hct_dtype_bytes(operand.dtype);
  for (int d = HCT_MAX_DIMS - 1; d >= 0; d--) {
    operand.stride[d] = stride;
    stride *= instr->shape[d];
  }
  return operand;
}

bool hct_exec_send(const hct_issued *send, const hct_memory *from, const hct_instr *receive, uint8_t *out_data, char out_fault[256]) {
  exec_frame frame;
  if (!message_check(send->instr, receive, out_fault)) return false;
  if (elements_of(send->instr) == 0) return true;
  if (!frame_make(send, from, out_fault, &frame)) return false;
  frame.view[1] = frame.view[0];
  frame.view[0] = packed(send->instr, out_data);
  return exec_copy(&frame);
}

bool hct_exec_receive(const hct_issued *receive, const hct_memory *to, uint8_t *data, char out_fault[256]) {
  exec_frame frame;
  if (elements_of(receive->instr) == 0) return true;
  if (!frame_make(receive, to, out_fault, &frame)) return false;
  frame.view[1] = packed(receive->instr, data);
  return message_take(receive->instr, &frame);
}
