/* The verifier's proof that accesses are ordered, on streams written by hand: it must fail where a token is missing or is another's. */
#include "ir/isa/image.h"
#include "test/unit/check.h"

static const char prologue[] =
    ".hecaton 1\n.header {\"rows\":1,\"cols\":1,\"batch\":1,\"micro_batch\":1,\"sram_bytes\":256,\"dram_bytes\":128,\"streams\":1,\"die_stream\":[0]}\n.package \"<package/>\"\n.meta {\"meta\":[],\"sources\":[[\"\",\"\",\"\",\"\",\"\"]]}\n"
    ".tensor {\"name\":\"x\",\"role\":\"input\",\"dtype\":\"f32\",\"layout\":\"[16]\",\"dram_offset\":0,\"tile_bytes\":64,\"micro_batch_stride\":0}\n"
    ".tensor {\"name\":\"y\",\"role\":\"input\",\"dtype\":\"f32\",\"layout\":\"[16]\",\"dram_offset\":64,\"tile_bytes\":64,\"micro_batch_stride\":0}\n.stream 0\n";

static bool ordered(const char *stream) {
  FILE *sink = fopen("/dev/null", "w");
  CHECK(sink);
  hct_diags *diags = hct_diags_create(sink), *loud = hct_diags_create(stderr);
  hct_arena *arena = hct_arena_create();
  hct_image image;
  hct_verify_limits limits = {.sram_bytes = 256, .queue_depth = 16};
  CHECK(hct_image_parse(loud, arena, "stream", hct_arena_printf(arena, "%s%s", prologue, stream), &image) == HCT_OK);
  bool accepted = hct_image_verify(diags, &image, &limits) == HCT_OK;
  hct_arena_destroy(arena);
  hct_diags_destroy(diags);
  hct_diags_destroy(loud);
  fclose(sink);
  return accepted;
}

#define LD "ld shape=1,1,1,16 d=f32:0:0,0,0,1 a=f32:0:0,0,0,1"
#define NEG "map1 fn=neg shape=1,1,1,16 d=f32:64:0,0,0,1 a=f32:0:0,0,0,1 v0=0"

static void test_within_a_straight_line(void) {
  CHECK(!ordered(LD "\n" NEG "\nhalt\n"));
  CHECK(ordered(LD " signal=1:1\n" NEG " wait=1:1\nhalt\n"));
  CHECK(ordered(LD "\nfence\n" NEG "\nhalt\n"));
  CHECK(!ordered(NEG "\n" LD "\nhalt\n"));
  CHECK(!ordered(LD " signal=1:1\n" LD "\n" NEG " wait=1:1\nhalt\n")); /* the token is the first load's */
}

static void test_over_iterations(void) {
  CHECK(!ordered("loop level=0 v0=3\n" LD " signal=1:1\n" NEG " wait=1:1\nend level=0\nhalt\n"));
  CHECK(!ordered("sync engine=vpu signal=1:1\nloop level=0 v0=3\n" LD " signal=1:1\n" NEG " wait=1:1\nend level=0\nsync engine=vpu wait=1:1\nhalt\n"));
  CHECK(ordered("sync engine=vpu signal=2:1\nloop level=0 v0=3\n" LD " wait=2:1 signal=1:1\n" NEG " wait=1:1 signal=2:1\nend level=0\nsync engine=load wait=2:1\nhalt\n"));
  CHECK(!ordered("sync engine=vpu signal=2:2\nloop level=0 v0=3\n" LD " wait=2:1 signal=1:1\n" NEG " wait=1:1 signal=2:1\nend level=0\nsync engine=load wait=2:2\nhalt\n"));
}

/* Loops in loops: what an inner one leaves unordered, and what the iterations of the outer one do to each other; and parts that a loop walks, to the last. */
static void test_nested(void) {
  CHECK(ordered("loop level=0 v0=9\nloop level=1 v0=9\n" LD " signal=1:1\nfence\n" NEG " wait=1:1\nfence\nend level=1\nfence\nend level=0\nhalt\n"));
  CHECK(!ordered("loop level=0 v0=9\nloop level=1 v0=9\n" LD " signal=1:1\n" NEG " wait=1:1\nend level=1\nfence\nend level=0\nhalt\n"));
  CHECK(!ordered("loop level=0 v0=9\n" LD " signal=1:1\n" NEG " wait=1:1\nend level=0\nhalt\n"));
  CHECK(!ordered("loop level=0 v0=16\nmap1 fn=neg shape=1,1,1,1 d=f32:64+loop(0,+,0,0)*4:0,0,0,1 a=f32:0:0,0,0,1 v0=0\nend level=0\nst shape=1,1,1,1 d=f32:0:0,0,0,1 a=f32:124:0,0,0,1\nhalt\n"));
  CHECK(ordered("loop level=0 v0=15\nmap1 fn=neg shape=1,1,1,1 d=f32:64+loop(0,+,0,0)*4:0,0,0,1 a=f32:0:0,0,0,1 v0=0\nend level=0\nst shape=1,1,1,1 d=f32:0:0,0,0,1 a=f32:124:0,0,0,1\nhalt\n"));
}

#define WALK(trips, elements, stride) "loop level=0 v0=" trips "\nld shape=1,1,1," elements " d=f32:0:0,0,0,1 a=f32:0+loop(0,+,0,0)*" stride ":0,0,0,1\nfence\nend level=0\nhalt\n"
/* A loop may go from tensor to tensor, each access in one of them. */
static void test_tensor_after_tensor(void) {
  CHECK(ordered(WALK("2", "16", "64")));
  CHECK(ordered(WALK("4", "8", "32")));
  CHECK(!ordered(WALK("3", "16", "64")));
  CHECK(!ordered(WALK("3", "16", "32")));
}

/* Bytes that alternate may be two iterations apart, and no more. */
#define TWIN(credits)                                                                                                                  \
  "sync engine=vpu signal=2:" credits "\nloop level=0 v0=9\nld shape=1,1,1,8 d=f32:0+loop(0,+,0,2)*32:0,0,0,1 a=f32:0:0,0,0,1 wait=2:1 signal=1:1\n" \
  "map1 fn=neg shape=1,1,1,8 d=f32:128:0,0,0,1 a=f32:0+loop(0,+,0,2)*32:0,0,0,1 v0=0 wait=1:1 signal=2:1\nend level=0\nsync engine=load wait=2:" credits "\nhalt\n"
static void test_double_buffers(void) {
  CHECK(ordered(TWIN("1")));
  CHECK(ordered(TWIN("2")));
  CHECK(!ordered(TWIN("3")));
}

/* Columns 0 and 1 of rows of four by the VPU; two columns of the same rows, or of rows of twelve, from byte `at` on by DMA. */
#define COLUMNS "map1 fn=neg shape=1,1,4,2 d=f32:64:0,0,4,1 a=f32:0:0,0,0,0 v0=0\n"
#define BESIDE(at, row) "ld shape=1,1,4,2 d=f32:" at ":0,0," row ",1 a=f32:0:0,0,2,1\nhalt\n"
static void test_columns(void) {
  CHECK(ordered(COLUMNS BESIDE("72", "4")));
  CHECK(!ordered(COLUMNS BESIDE("68", "4")));
  CHECK(!ordered(COLUMNS BESIDE("76", "4")));
  CHECK(ordered(COLUMNS BESIDE("72", "12")));
  CHECK(!ordered(COLUMNS BESIDE("72", "3")));
  CHECK(!ordered(COLUMNS "fence\n" LD " signal=1:1\n" COLUMNS "sync engine=vpu wait=1:1\nld shape=1,1,1,4 d=f32:96:0,0,0,1 a=f32:0:0,0,0,1\nhalt\n"));
}

/* What is written over is forgotten; who writes over it still counts. */
static void test_written_over(void) {
  CHECK(ordered(LD " signal=1:1\nfill shape=1,1,1,16 d=f32:0:0,0,0,1 v0=0 wait=1:1 signal=2:1\nsync engine=mxu wait=2:1\nmm shape=1,1,1 c=f32:128:1,1,1 a=f32:0:1,1,1 b=f32:0:1,1,1\nhalt\n"));
  CHECK(!ordered(LD " signal=1:1\nfill shape=1,1,1,16 d=f32:0:0,0,0,1 v0=0 wait=1:1\nst shape=1,1,1,16 d=f32:0:0,0,0,1 a=f32:0:0,0,0,1\nhalt\n"));
}

int main(void) {
  test_columns();
  test_written_over();
  test_within_a_straight_line();
  test_over_iterations();
  test_double_buffers();
  test_nested();
  test_tensor_after_tensor();
  return 0;
}
