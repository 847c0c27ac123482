// Packing a stack of matrices one by one.
#include "backend/cpu/stacked_weight.h"

#include <fmt/core.h>

#include <utility>

namespace pagoda::cpu {
namespace {

// Far above any model's experts.
constexpr int64_t kMaxMatrices = 4096;

// Each matrix starts on a cache line.
int64_t matrix_bytes(const Shape& shape, DType dtype) {
  return (PackedWeight::packed_bytes({shape[1], shape[2]}, dtype) + 63) / 64 * 64;
}

}  // namespace

int64_t StackedWeight::packed_bytes(const Shape& shape, DType dtype) {
  if (shape.rank() != 3 || shape[0] <= 0 || shape[0] > kMaxMatrices) return 0;
  int64_t bytes = 0;
  return __builtin_mul_overflow(shape[0], matrix_bytes(shape, dtype), &bytes) ? 0 : bytes;
}

Result<std::shared_ptr<const StackedWeight>> StackedWeight::pack(
    const Shape& shape, DType dtype,
    const std::function<Result<const RowSource*>(int64_t index)>& read, const Packer& packer) {
  const int64_t bytes = packed_bytes(shape, dtype);
  if (bytes == 0) {
    return invalid_argument(fmt::format("{} cannot hold a stack of matrices of shape {}",
                                        format_traits(dtype).name, to_string(shape)));
  }
  auto stack = std::make_shared<StackedWeight>();
  stack->shape_ = shape;
  stack->dtype_ = dtype;
  ASSIGN_OR_RETURN(stack->buffer_, Buffer::allocate(static_cast<size_t>(bytes)));
  for (int64_t i = 0; i < shape[0]; ++i) {
    ASSIGN_OR_RETURN(const RowSource* source, read(i));
    CHECK((source->shape() == Shape{shape[1], shape[2]}));
    std::byte* const place = stack->buffer_.data() + i * matrix_bytes(shape, dtype);
    ASSIGN_OR_RETURN(auto matrix, PackedWeight::pack(*source, dtype, packer, place));
    stack->matrices_.push_back(std::move(matrix));
  }
  return std::shared_ptr<const StackedWeight>(std::move(stack));
}

}  // namespace pagoda::cpu
