// Undoing what the conversion to GGUF did to a tensor.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "checkpoint/gguf_architecture.h"
#include "tensor/tensor.h"

namespace pagoda {

// Whether undo_gguf_fix() can be applied: heads of an even number of rows, unit norms in f32.
// kInvalidArgument, without a name, says what is wrong.
Result<void> check_gguf_fix(GgufFix fix, int64_t num_heads, const Shape& shape, DType dtype);

// Changes `data`, the whole of a tensor, in place. Rows move as they are, so that this works for
// every format. REQUIRES: check_gguf_fix() passed with the same values.
void undo_gguf_fix(GgufFix fix, int64_t num_heads, const Shape& shape, std::span<std::byte> data);
// Where row `row` of such a tensor lies in the file. REQUIRES: as above, and not kUnitAdded.
int64_t gguf_row(GgufFix fix, int64_t num_heads, const Shape& shape, int64_t row);
// The inverse, for writing a GGUF file.
void apply_gguf_fix(GgufFix fix, int64_t num_heads, const Shape& shape, std::span<std::byte> data);

}  // namespace pagoda
