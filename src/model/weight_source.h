// WeightSource: where a checkpoint may hold a parameter, and reading it as the model wants it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "tensor/buffer.h"
#include "tensor/row_source.h"
#include "tensor/tensor.h"

namespace pagoda {

// One place and layout. A tensor of the name may also be within a multimodal model, where names of
// the language model have "language_model." in them. The parameter is a stack [X, Out, In], a
// matrix [Out, In] or a vector; the source has the same number of matrices, of which it holds some
// rows more, or the columns first.
struct WeightSource {
  // With "{}" in it there is one tensor for each matrix of the stack, numbered from 0.
  std::string name = {};
  Shape shape = {};  // of the tensor, or of each
  // Row i of a matrix is the source's row first_row + i * row_step. Of a vector's source, of any
  // shape, it is element i in the order of memory.
  int32_t first_row = 0;
  int32_t row_step = 1;
  bool transposed = false;  // the matrices are [In, rows]
  // If not empty, the source is in MXFP4 as gpt-oss stores it: `name` holds bytes [.., rows,
  // In / 32, 16] and this one a byte for each 16 of them, the exponents.
  std::string scales = {};
};

// One parameter that a model needs: the name it goes by and the shape it must have. Rank 3 is a
// stack of matrices [Out, In] and rank 2 one; they are kept in the chosen format. Rank 1 is kept in
// f32.
struct WeightSpec {
  std::string name;
  Shape shape;
  // Where else than in a tensor of this name and shape it may be, tried in order.
  std::vector<WeightSource> alternatives = {};
  // The format to keep it in, whatever is chosen for the others.
  std::optional<DType> keep_as = std::nullopt;
  float offset = 0.0F;  // added to each element of a vector, in f32
};

// Rows of a matrix that lie in a checkpoint's file as the model wants them. Refers to both.
class FileRows final : public RowSource {
 public:
  // Row i is the tensor's row first + i * step.
  FileRows(const Checkpoint& checkpoint, const CheckpointTensor& tensor, const Shape& shape,
           int64_t first, int64_t step)
      : checkpoint_(&checkpoint), tensor_(&tensor), shape_(shape), first_(first), step_(step) {}
  DType dtype() const override { return tensor_->dtype; }
  const Shape& shape() const override { return shape_; }
  Result<void> fetch(int64_t first, std::span<const std::byte*> rows,
                     Buffer& scratch) const override {
    return checkpoint_->read_rows(*tensor_, first_ + first * step_, step_, rows, scratch);
  }

 private:
  const Checkpoint* checkpoint_;
  const CheckpointTensor* tensor_;
  Shape shape_;
  int64_t first_;
  int64_t step_;
};

// A parameter found in a checkpoint. Refers to the checkpoint and the spec, which outlive it.
class FoundWeight {
 public:
  const WeightSpec& spec() const { return *spec_; }
  // Its tensors, those it shares with another parameter too.
  const std::vector<const CheckpointTensor*>& tensors() const { return tensors_; }
  // Bytes that make up the parameter, and those that reading one matrix takes.
  int64_t num_bytes() const { return num_bytes_; }
  int64_t scratch_bytes() const { return scratch_bytes_; }
  DType dtype() const { return dtype_; }  // of what read() gives

  // Matrix `index` of a stack, else the whole with index 0. The view is valid until the next call
  // with the same buffers. Errors as Checkpoint::read.
  struct Scratch {
    Buffer raw;
    Buffer scales;
    Buffer arranged;
    std::vector<float> floats;
  };
  Result<TensorView> read(const Checkpoint& checkpoint, int64_t index, Scratch& scratch) const;
  // The same matrix row by row, where its rows need no arranging; nothing for the others.
  std::optional<FileRows> rows(const Checkpoint& checkpoint, int64_t index) const;

 private:
  friend Result<std::optional<FoundWeight>> find_weight(const Checkpoint&, const WeightSpec&);
  Result<TensorView> read_stored(const Checkpoint& checkpoint, int64_t index,
                                 Scratch& scratch) const;
  Result<TensorView> read_mxfp4(const Checkpoint& checkpoint, int64_t index,
                                Scratch& scratch) const;

  const WeightSpec* spec_ = nullptr;
  WeightSource source_;
  std::vector<const CheckpointTensor*> tensors_;
  int64_t num_bytes_ = 0;
  int64_t scratch_bytes_ = 0;
  DType dtype_ = DType::kF32;
};

// Looks for the parameter's tensors; nothing when there are none. kInvalidArgument for a tensor of
// another shape, naming both, or a stack that lacks one of its tensors; kUnsupported for a dtype
// that cannot be read.
Result<std::optional<FoundWeight>> find_weight(const Checkpoint& checkpoint,
                                               const WeightSpec& spec);

}  // namespace pagoda
