#ifndef HCT_COMPILER_SCHEDULE_RESIDENCY_H
#define HCT_COMPILER_SCHEDULE_RESIDENCY_H

typedef enum hct_residency {
#define HCT_RESIDENCY(symbol, number, name) HCT_##symbol = number,
#include "compiler/schedule/residency.def"
#undef HCT_RESIDENCY
} hct_residency;

enum { HCT_RESIDENCIES = HCT_STREAM_ALL + 1 };

#endif
