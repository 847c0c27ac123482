// Row orders of heads, and norms less one.
#include "checkpoint/gguf_fix.h"

#include <fmt/core.h>

#include <cstring>
#include <vector>

namespace pagoda {
namespace {

bool moves_rows(GgufFix fix) {
  return fix == GgufFix::kInterleavedQueryRows || fix == GgufFix::kInterleavedKeyRows;
}

// Row 2i + p of each head in the one order is row p * D / 2 + i in the other.
void move_rows(int64_t num_heads, int64_t num_rows, bool to_interleaved,
               std::span<std::byte> data) {
  const int64_t head_rows = num_rows / num_heads;
  const auto row_bytes = data.size() / static_cast<size_t>(num_rows);
  const size_t head_bytes = row_bytes * static_cast<size_t>(head_rows);
  std::vector<std::byte> head(head_bytes);
  for (int64_t h = 0; h < num_heads; ++h) {
    std::byte* rows = data.data() + static_cast<size_t>(h) * head_bytes;
    std::memcpy(head.data(), rows, head_bytes);
    for (int64_t i = 0; i < head_rows / 2; ++i) {
      for (int64_t p = 0; p < 2; ++p) {
        const auto interleaved = static_cast<size_t>(2 * i + p);
        const auto halves = static_cast<size_t>(p * (head_rows / 2) + i);
        const size_t to = to_interleaved ? interleaved : halves;
        const size_t from = to_interleaved ? halves : interleaved;
        std::memcpy(rows + to * row_bytes, head.data() + from * row_bytes, row_bytes);
      }
    }
  }
}

void add_to_floats(float addend, std::span<std::byte> data) {
  for (size_t at = 0; at + sizeof(float) <= data.size(); at += sizeof(float)) {
    float value = 0.0F;
    std::memcpy(&value, data.data() + at, sizeof(float));
    value += addend;
    std::memcpy(data.data() + at, &value, sizeof(float));
  }
}

}  // namespace

Result<void> check_gguf_fix(GgufFix fix, int64_t num_heads, const Shape& shape, DType dtype) {
  if (moves_rows(fix)) {
    const int64_t num_rows = shape.rank() > 0 ? shape[0] : 0;
    if (num_heads < 1 || num_rows % num_heads != 0 || num_rows / num_heads % 2 != 0) {
      return invalid_argument(fmt::format("shape {} does not make {} heads of an even size",
                                          to_string(shape), num_heads));
    }
    if (shape.rank() == 1 && format_traits(dtype).block_elements != 1) {
      return invalid_argument(
          fmt::format("a vector of {}, whose blocks cross heads", format_traits(dtype).name));
    }
  }
  if (fix == GgufFix::kUnitAdded && dtype != DType::kF32) {
    return invalid_argument(
        fmt::format("a norm of {}, only f32 is supported", format_traits(dtype).name));
  }
  return {};
}

void undo_gguf_fix(GgufFix fix, int64_t num_heads, const Shape& shape, std::span<std::byte> data) {
  if (moves_rows(fix)) move_rows(num_heads, shape[0], false, data);
  if (fix == GgufFix::kUnitAdded) add_to_floats(-1.0F, data);
}

int64_t gguf_row(GgufFix fix, int64_t num_heads, const Shape& shape, int64_t row) {
  CHECK(fix != GgufFix::kUnitAdded);
  if (!moves_rows(fix)) return row;
  const int64_t head_rows = shape[0] / num_heads;
  const int64_t in_head = row % head_rows;
  const int64_t half = head_rows / 2;
  return row - in_head + in_head % half * 2 + in_head / half;
}

void apply_gguf_fix(GgufFix fix, int64_t num_heads, const Shape& shape, std::span<std::byte> data) {
  if (moves_rows(fix)) move_rows(num_heads, shape[0], true, data);
  if (fix == GgufFix::kUnitAdded) add_to_floats(1.0F, data);
}

}  // namespace pagoda
