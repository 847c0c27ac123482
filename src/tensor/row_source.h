// RowSource: a matrix whose rows are fetched where and when they are needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "tensor/buffer.h"
#include "tensor/tensor.h"

namespace pagoda {

// Rows of one matrix [Out, In], or a vector [E] as a single row, in a storage format. Immutable and
// thread-safe; what a kind of it refers to outlives it.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual DType dtype() const = 0;
  virtual const Shape& shape() const = 0;
  // Sets `rows` to the addresses, of any alignment, of rows [first, first + rows.size()): in
  // `scratch`, which grows as needed, or elsewhere. Valid until the next call with this `scratch`.
  // Errors are those of reading and kOverloaded when memory is refused.
  virtual Result<void> fetch(int64_t first, std::span<const std::byte*> rows,
                             Buffer& scratch) const = 0;
};

// Rows that are in memory. Borrows the view's data. REQUIRES for a matrix: rows of whole blocks.
class ViewRows final : public RowSource {
 public:
  explicit ViewRows(const TensorView& view) : view_(view) {}
  DType dtype() const override { return view_.dtype; }
  const Shape& shape() const override { return view_.shape; }
  Result<void> fetch(int64_t first, std::span<const std::byte*> rows, Buffer&) const override {
    const int32_t rank = view_.shape.rank();
    const int64_t row_bytes = rank == 0 ? 0 : dtype_bytes(view_.dtype, view_.shape[rank - 1]);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = view_.data + (first + static_cast<int64_t>(i)) * row_bytes;
    }
    return {};
  }

 private:
  TensorView view_;
};

}  // namespace pagoda
