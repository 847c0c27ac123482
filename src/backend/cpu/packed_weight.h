// PackedWeight: a parameter in panels of 32 rows, and how it is packed and read back.
#pragma once

#include <cstdint>
#include <memory>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "tensor/buffer.h"

namespace pagoda::cpu {

// A matrix [Out, In] as ceil(Out / 32) panels, each one contiguous stream of units along In
// (MatmulKernel says what a unit holds: f32 [1 k][32 rows]; bf16 [32 rows][2 k]; q8_0 a group of 32
// k). Rows and k that pad the last panel and unit are zero. Or a vector [E] of plain floats.
// Immutable once packed; thread-safe then.
class PackedWeight : public Weight {
 public:
  // Copies and converts `source` with the pool's workers. Errors as Backend::pack.
  static Result<std::shared_ptr<const PackedWeight>> pack(const TensorView& source, DType dtype,
                                                          const CpuKernels& kernels,
                                                          ThreadPool& pool);
  // Bytes that pack() would hold; 0 for a shape or format that it refuses.
  static int64_t packed_bytes(const Shape& shape, DType dtype);

  const Shape& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  int64_t num_bytes() const override { return static_cast<int64_t>(buffer_.num_bytes()); }

  int64_t num_panels() const { return (shape_[0] + kPanelRows - 1) / kPanelRows; }
  const std::byte* panel(int64_t index) const { return buffer_.data() + index * panel_bytes_; }
  // The floats of a vector.
  const float* vector() const { return reinterpret_cast<const float*>(buffer_.data()); }
  // Decodes one row of a matrix to out [In].
  void decode_row(int64_t row, float* out) const;

 private:
  Shape shape_;
  DType dtype_ = DType::kF32;
  int64_t panel_bytes_ = 0;
  Buffer buffer_;
};

}  // namespace pagoda::cpu
