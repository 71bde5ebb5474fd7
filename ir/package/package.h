/* The package description (system.md): XML checked against package.xsd. All hardware numbers live here. */
#ifndef HCT_PACKAGE_PACKAGE_H
#define HCT_PACKAGE_PACKAGE_H

#include <limits.h>

#include "ir/support/support.h"

/* Who goes first on a link (noc.h). */
typedef enum hct_arbitration { HCT_ARBITRATION_FIRST_COME, HCT_ARBITRATION_COLLECTIVES_FIRST } hct_arbitration;

typedef struct hct_package {
  char name[64];
  int64_t rows, cols;
  double clock_hz;
  int64_t mxu_arrays, mxu_rows, mxu_cols;
  double mxu_f32_rate;               /* f32 MACs an array cell does each cycle; bf16/f16: 1 */
  int64_t vpu_lanes, vpu_transcendental_cycles;
  int64_t sram_bytes, sram_bytes_per_cycle;
  int64_t queue_depth;
  double link_bandwidth_bytes_per_s, link_latency_s, link_bypass_latency_s, link_energy_j_per_bit;
  int64_t link_arbitration; /* hct_arbitration */
  char dram_kind[32];
  int64_t dram_channels;
  double dram_channel_bandwidth_bytes_per_s, dram_efficiency, dram_latency_s, dram_energy_j_per_bit;
  int64_t dram_channel_capacity_bytes;
  double mac_f32_j, mac_bf16_j, vector_op_j, sram_j_per_byte, static_w_per_die;
} hct_package;

hct_status hct_package_read(hct_diags *diags, const char *path, hct_package *out_package);
hct_status hct_package_parse(hct_diags *diags, const char *file_name, const char *xml, size_t bytes, hct_package *out_package);
/* `name_or_file`: a shipped package's name (packages/NAME.xml under hct_share_directory()) or a file. */
hct_status hct_package_find(hct_diags *diags, const char *name_or_file, hct_package *out_package);
bool hct_package_locate(const char *name_or_file, char out_path[PATH_MAX]); /* the file that hct_package_find reads; false: there is none */
/* The same package with another mesh; dram_channels becomes 2 (rows + cols). Name becomes NAME@RxC when it changes. */
hct_status hct_package_remesh(hct_diags *diags, hct_package *package, int64_t rows, int64_t cols);
void hct_package_print(const hct_package *package, hct_text *text); /* XML; parses back to the same */

/* Channels attach clockwise from the top left: top edge left to right, right edge, bottom edge right to left, left edge
 * upwards; one to each outer side of an edge die. */
typedef struct hct_channel_site { int64_t row, col; } hct_channel_site;
hct_channel_site hct_package_channel_site(const hct_package *package, int64_t channel);
/* Nearest channel by hops, ties by row, then column of its die, then channel number. */
int64_t hct_package_home_channel(const hct_package *package, int64_t row, int64_t col);
/* Every die's channel, row-major, where each has a region of `region_bytes`: its home, or, where the regions of the dies that are at home there are
 * more than a channel holds, one at an end of the die's row or column, with the least hops over all dies: of all routes to memory, no link has those of more
 * dies than a channel serves. A die for which no such channel has room has the nearest with room. False: the package's DRAM does not hold all regions;
 * dies without room are at home. `scratch` is for the call. */
bool hct_package_channels(hct_arena *scratch, const hct_package *package, int64_t region_bytes, int64_t *out_channels);

/* One M x N x K tile alone on an r x c output-stationary array: ceil(M/r) ceil(N/c) (K + r + c - 2) (SCALE-Sim; it prints one less). */
int64_t hct_mxu_cycles_alone(int64_t M, int64_t N, int64_t K, int64_t r, int64_t c);
/* All arrays of a die, which share the tile's columns; fill and drain of one pass overlap the next: K cycles a pass, one r + c - 2.
 * f32 inputs take 1 / f32_rate as long. */
double hct_mxu_cycles(const hct_package *package, int64_t M, int64_t N, int64_t K, bool f32);

#endif
