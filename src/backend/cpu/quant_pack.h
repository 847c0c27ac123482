// Blocks of a quantized format into the panels of quant_layout.h, four rows at a time, and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/cpu/quant_layout.h"
#include "backend/cpu/word_tile.h"
#include "tensor/dtype.h"

namespace pagoda::cpu {

// Null for formats that are not packed this way. A block of the format is one unit of the layout.
const QuantLayout* quant_layout(DType dtype);

// Writes `num_blocks` blocks of each of `rows` into lanes lane, lane + 1 .. of as many units.
// Quants and scales are those of the blocks, unchanged. Lanes behind `rows` get zeros up to the
// next multiple of four. REQUIRES: quant_layout(dtype); 1 to 4 rows; `lane` is a multiple of 4.
void place_blocks(DType dtype, std::span<const std::byte* const> rows, int64_t num_blocks,
                  int64_t lane, std::byte* units);

// The floats of one lane, the same bits as decoding the blocks gives.
void decode_lane(DType dtype, const std::byte* units, int64_t num_units, int64_t lane, float* out);

}  // namespace pagoda::cpu
