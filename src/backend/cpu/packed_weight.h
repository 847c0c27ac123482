// PackedWeight: a parameter in panels of 32 rows, and how it is packed and read back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "tensor/buffer.h"
#include "tensor/row_source.h"

namespace pagoda::cpu {

// What packing works with. Borrowed.
struct Packer {
  const CpuKernels& kernels;
  ThreadPool& pool;
  std::span<Buffer> scratch;  // one for each worker, kept for the next matrix
};

// A matrix [Out, In] as ceil(Out / 32) panels, each one contiguous stream of units along In
// (MatmulKernel says what a unit holds: f32 [1 k][32 rows]; bf16 [32 rows][2 k]; q8_0 a group of 32
// k; the other block formats as quant_layout.h says). Rows and k that pad the last panel and unit
// are zero. Or a vector [E] of plain floats. Bits a weight: those of the file, and with mxfp4,
// q3_k, q4_k and q5_k up to 6 % more. Immutable once packed; thread-safe then.
class PackedWeight : public Weight {
 public:
  // Copies and converts `source` with the pool's workers, each a panel at a time, so that memory
  // beyond the result is a panel's rows for each. Errors as Backend::pack_rows. The result lies in
  // `place`, zeroed memory of packed_bytes() that is aligned to 64 and outlives it, or, when that
  // is null, in memory of its own.
  static Result<std::shared_ptr<const PackedWeight>> pack(const RowSource& source, DType dtype,
                                                          const Packer& packer,
                                                          std::byte* place = nullptr);
  // Bytes that pack() would hold; 0 for a shape or format that it refuses.
  static int64_t packed_bytes(const Shape& shape, DType dtype);

  const Shape& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  int64_t num_bytes() const override { return num_bytes_; }

  int64_t num_panels() const { return (shape_[0] + kPanelRows - 1) / kPanelRows; }
  const std::byte* panel(int64_t index) const { return data_ + index * panel_bytes_; }
  // The floats of a vector.
  const float* vector() const { return reinterpret_cast<const float*>(data_); }
  // Decodes one row of a matrix to out [In].
  void decode_row(int64_t row, float* out) const;

 private:
  Shape shape_;
  DType dtype_ = DType::kF32;
  int64_t panel_bytes_ = 0;
  int64_t num_bytes_ = 0;
  std::byte* data_ = nullptr;
  Buffer buffer_;  // empty when the data lies elsewhere
};

}  // namespace pagoda::cpu
