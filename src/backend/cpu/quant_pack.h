// Blocks of a quantized format into the panels of quant_layout.h and back, one row at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/quant_layout.h"
#include "tensor/dtype.h"

namespace pagoda::cpu {

// Null for formats that are not packed this way. A block of the format is one unit of the layout.
const QuantLayout* quant_layout(DType dtype);

// Writes a row's `num_blocks` blocks into lane `lane` of as many units. Quants and scales are those
// of the blocks, unchanged. REQUIRES: quant_layout(dtype); the units are zero where this lane lies.
void place_blocks(DType dtype, const std::byte* blocks, int64_t num_blocks, int64_t lane,
                  std::byte* units);

// The floats of one lane, the same bits as decoding the blocks gives.
void decode_lane(DType dtype, const std::byte* units, int64_t num_units, int64_t lane, float* out);

}  // namespace pagoda::cpu
