// Shape, TensorView and Tensor: what models pass between ops without looking inside.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace pagoda {

// Up to four dimensions, outermost first. Value type.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    CHECK(dims.size() <= dims_.size());
    for (const int64_t dim : dims) dims_[static_cast<size_t>(rank_++)] = dim;
  }
  int32_t rank() const { return rank_; }
  int64_t operator[](int32_t axis) const {
    DCHECK(axis >= 0 && axis < rank_);
    return dims_[static_cast<size_t>(axis)];
  }
  int64_t num_elements() const {
    int64_t count = 1;
    for (int32_t axis = 0; axis < rank_; ++axis) count *= dims_[static_cast<size_t>(axis)];
    return count;
  }
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, 4> dims_ = {};
  int32_t rank_ = 0;
};

// "[2, 3]".
std::string to_string(const Shape& shape);

// Row-major bytes somewhere else, for example in a mapped checkpoint. Does not own; `data` may be
// unaligned.
struct TensorView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
};

// A result of an Op: a handle to row-major f32 activations in the backend's step arena. Copying
// copies the handle. Valid until the next Ops::begin_step(). Models never read through it; only
// backends do. Data may be null under a shape-only backend.
struct Tensor {
  float* data = nullptr;
  Shape shape;
};

}  // namespace pagoda
