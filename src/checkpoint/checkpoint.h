// Checkpoint: a Hugging Face model folder or a GGUF file as a config text and a table of named
// tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_architecture.h"
#include "checkpoint/read_only_file.h"
#include "tensor/buffer.h"
#include "tensor/tensor.h"

namespace pagoda {

struct GgufConfig;
struct QuantizedLinear;

// One tensor of a checkpoint. Owned by the Checkpoint.
struct CheckpointTensor {
  std::string name;
  std::string dtype_name;  // as the file spells it: "BF16"
  bool readable = false;   // whether the dtype is one that read() can give
  DType dtype = DType::kF32;
  Shape shape;
  int64_t num_bytes = 0;

  size_t file_idx = 0;           // among the checkpoint's files
  int64_t file_offset = 0;       // bytes from the start of that file
  GgufFix fix = GgufFix::kNone;  // undone by read()

  // Not null: made by read() of the tensors that hold its codes, scales and so on. Then `dtype`,
  // `shape` and `num_bytes` are those of the result, and reading takes raw_bytes more.
  std::shared_ptr<const QuantizedLinear> quantized = nullptr;
  int64_t raw_bytes = 0;
};

// A folder with config.json and model.safetensors, or model.safetensors.index.json and the files it
// names; or a .gguf file, with its other parts where it is split ("x-00001-of-00003.gguf"); or a
// folder that holds one of those and no config.json. Tensors have Hugging Face's names and
// contents either way. The matrices of a folder with a "quantization_config" are presented as if
// they were stored in one of our formats (checkpoint/quantized_linear.h). Opening reads and checks
// the headers only; weights are read a tensor or some rows at a time. Move-only, owns the open
// files, immutable afterwards and so thread-safe.
class Checkpoint {
 public:
  // kNotFound naming the file that is missing; kInvalidArgument for files whose contents contradict
  // themselves: corrupt headers, a tensor in two files, or absent from the file that the index
  // gives; errors of GgufFile::open, read_gguf_config and find_quantized_linears.
  static Result<Checkpoint> open(const std::string& path);

  // The folder or the (first) .gguf file that was opened.
  const std::string& path() const { return path_; }
  // For a GGUF file made from its metadata.
  const std::string& config_json() const { return config_json_; }
  // What config_json() comes from, for messages.
  std::string config_path() const;
  // The file with the metadata; null for safetensors.
  const GgufFile* gguf() const { return gguf_files_.empty() ? nullptr : &gguf_files_.front(); }
  // All files of a GGUF model; none for safetensors.
  const std::vector<GgufFile>& gguf_files() const { return gguf_files_; }

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
  // Bytes [offset, offset + num_bytes) of the tensor's data as they lie in the file, in `scratch`:
  // for tensors too large to be held twice, and for those of any dtype. Scratch and errors as
  // read(). REQUIRES: the range is within the tensor, which is not `quantized`.
  Result<const std::byte*> read_bytes(const CheckpointTensor& tensor, int64_t offset,
                                      int64_t num_bytes, Buffer& scratch) const;
  // Addresses in `scratch` of rows first, first + step and so on of a matrix or stack, whose last
  // dimension is a row: for reading by several threads, each with a scratch of its own, which only
  // grows. Errors as read(). REQUIRES: the rows are within the tensor and of whole blocks;
  // can_read_rows().
  Result<void> read_rows(const CheckpointTensor& tensor, int64_t first, int64_t step,
                         std::span<const std::byte*> rows, Buffer& scratch) const;
  // Whether rows of the tensor lie in its file as read() gives them.
  static bool can_read_rows(const CheckpointTensor& tensor);
  // Tells the system that the tensor is read soon.
  void prefetch(const CheckpointTensor& tensor) const;

 private:
  Checkpoint() = default;
  Result<void> add_file(const std::string& name);
  Result<void> add_shards(const std::string& index_path);
  static Result<Checkpoint> open_gguf(const std::string& path);
  Result<void> add_gguf_tensors(const GgufConfig& config);
  Result<void> add_quantized();
  Result<TensorView> read_quantized(const CheckpointTensor& tensor, Buffer& scratch) const;
  Result<void> add_tensor(CheckpointTensor tensor, const std::string& file);
  int64_t heads_of(GgufFix fix) const;
  const ReadOnlyFile& file_of(const CheckpointTensor& tensor) const;

  std::string path_;
  std::string config_json_;
  std::vector<ReadOnlyFile> files_;   // safetensors
  std::vector<GgufFile> gguf_files_;  // the parts of a GGUF model; one of the two is empty
  int64_t num_heads_ = 0;             // of GGUF: for GgufFix
  int64_t num_kv_heads_ = 0;
  std::vector<CheckpointTensor> raw_tensors_;  // those that quantized matrices are made of
  std::vector<CheckpointTensor> tensors_;
  std::unordered_map<std::string, size_t> index_;  // name -> position in tensors_
};

}  // namespace pagoda
