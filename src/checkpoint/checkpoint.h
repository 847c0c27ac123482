// Checkpoint: a Hugging Face model folder as a config text and a table of named tensors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "checkpoint/read_only_file.h"
#include "tensor/buffer.h"
#include "tensor/tensor.h"

namespace pagoda {

// One tensor of a checkpoint. Owned by the Checkpoint.
struct CheckpointTensor {
  std::string name;
  std::string dtype_name;  // as the file spells it: "BF16"
  bool readable = false;   // whether the dtype is one that read() can give
  DType dtype = DType::kF32;
  Shape shape;
  int64_t num_bytes = 0;

  size_t file_idx = 0;      // among the checkpoint's files
  int64_t file_offset = 0;  // bytes from the start of that file
};

// A folder with config.json and model.safetensors, or model.safetensors.index.json and the files it
// names. Opening reads and checks the headers only; weights are read one tensor at a time.
// Move-only, owns the open files, immutable afterwards and so thread-safe.
class Checkpoint {
 public:
  // kNotFound naming the file that is missing; kInvalidArgument for a folder whose contents
  // contradict themselves: corrupt headers, a tensor in two files, or absent from the file that the
  // index gives.
  static Result<Checkpoint> open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  const std::string& config_json() const { return config_json_; }
  const std::vector<CheckpointTensor>& tensors() const { return tensors_; }
  // Null when there is no such tensor. Lives as long as the checkpoint.
  const CheckpointTensor* find(std::string_view name) const;
  // Data of all tensors.
  int64_t num_bytes() const;

  // Reads the tensor's data into `scratch`, which is replaced when it is too small or more than
  // twice too large, and returns a view of it, valid until the next use of `scratch`. kUnsupported
  // for a dtype that is no weight format; kOverloaded when memory is refused; as
  // ReadOnlyFile::read_at when the file has changed since open(). REQUIRES: `tensor` is one of
  // tensors().
  Result<TensorView> read(const CheckpointTensor& tensor, Buffer& scratch) const;
  // Tells the system that the tensor is read soon.
  void prefetch(const CheckpointTensor& tensor) const;

 private:
  Checkpoint() = default;
  Result<void> add_file(const std::string& name);
  Result<void> add_shards(const std::string& index_path);

  std::string folder_;
  std::string config_json_;
  std::vector<ReadOnlyFile> files_;
  std::vector<CheckpointTensor> tensors_;
  std::unordered_map<std::string, size_t> index_;  // name -> position in tensors_
};

}  // namespace pagoda
