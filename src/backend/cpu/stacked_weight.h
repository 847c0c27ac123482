// StackedWeight: the matrices of a layer's experts, each packed for itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backend/cpu/packed_weight.h"
#include "tensor/buffer.h"

namespace pagoda::cpu {

// X matrices [Out, In] of one format, as Backend::pack_stack makes them, in one piece of memory: an
// expert is often too small for huge pages of its own. Immutable once packed; thread-safe then.
class StackedWeight : public Weight {
 public:
  // Errors as Backend::pack_stack.
  static Result<std::shared_ptr<const StackedWeight>> pack(
      const Shape& shape, DType dtype,
      const std::function<Result<const RowSource*>(int64_t index)>& read, const Packer& packer);
  // Bytes that pack() would hold; 0 for a shape or format that it refuses.
  static int64_t packed_bytes(const Shape& shape, DType dtype);

  const Shape& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  int64_t num_bytes() const override { return static_cast<int64_t>(buffer_.num_bytes()); }

  const PackedWeight& matrix(int64_t index) const { return *matrices_[static_cast<size_t>(index)]; }

 private:
  Shape shape_;
  DType dtype_ = DType::kF32;
  Buffer buffer_;
  std::vector<std::shared_ptr<const PackedWeight>> matrices_;
};

}  // namespace pagoda::cpu
