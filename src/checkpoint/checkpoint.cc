// Finding and opening the files of a model folder.
#include "checkpoint/checkpoint.h"

#include <fmt/core.h>

#include <filesystem>
#include <set>
#include <utility>

#include "checkpoint/safetensors.h"

namespace pagoda {
namespace {

constexpr int64_t kMaxConfigBytes = int64_t{1} << 20;

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Error no_weights(const std::string& folder) {
  std::string message = fmt::format(
      "no weights in {}: neither model.safetensors nor model.safetensors.index.json", folder);
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (exists(folder + "/" + other)) {
      message += fmt::format(" ({} is not supported; convert it to safetensors)", other);
      break;
    }
  }
  return {ErrorCode::kNotFound, message};
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    return Error{ErrorCode::kNotFound, fmt::format("no model folder {}", folder)};
  }
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  ASSIGN_OR_RETURN(checkpoint.config_json_,
                   read_text_file(folder + "/config.json", kMaxConfigBytes));
  // As Transformers does: the single file wins over an index beside it.
  if (exists(folder + "/model.safetensors")) {
    RETURN_IF_ERROR(checkpoint.add_file("model.safetensors"));
    return checkpoint;
  }
  const std::string index_path = folder + "/model.safetensors.index.json";
  if (!exists(index_path)) return no_weights(folder);
  RETURN_IF_ERROR(checkpoint.add_shards(index_path));
  return checkpoint;
}

Result<void> Checkpoint::add_file(const std::string& name) {
  ASSIGN_OR_RETURN(ReadOnlyFile file, ReadOnlyFile::open(folder_ + "/" + name));
  ASSIGN_OR_RETURN(SafetensorsFile contents, read_safetensors(file));
  for (SafetensorsEntry& entry : contents.entries) {
    if (!index_.emplace(entry.name, tensors_.size()).second) {
      return invalid_argument(
          fmt::format("{}: tensor {} is also in another file", file.path(), entry.name));
    }
    tensors_.push_back({.name = std::move(entry.name),
                        .dtype_name = std::move(entry.dtype_name),
                        .readable = entry.dtype.has_value(),
                        .dtype = entry.dtype.value_or(DType::kF32),
                        .shape = entry.shape,
                        .num_bytes = entry.num_bytes,
                        .file_idx = files_.size(),
                        .file_offset = contents.data_start + entry.offset});
  }
  files_.push_back(std::move(file));
  return {};
}

Result<void> Checkpoint::add_shards(const std::string& index_path) {
  ASSIGN_OR_RETURN(const std::string json, read_text_file(index_path, kMaxSafetensorsHeaderBytes));
  auto index = parse_safetensors_index(json);
  if (!index) return Error{index.error().code, index_path + ": " + index.error().message};
  std::set<std::string> names;
  for (const SafetensorsIndexEntry& entry : *index) names.insert(entry.file);
  // Each shard stays open, and a process has a limited number of descriptors.
  constexpr size_t kMaxShards = 1000;
  if (names.size() > kMaxShards) {
    return invalid_argument(fmt::format("{} names {} files, over the limit of {}", index_path,
                                        names.size(), kMaxShards));
  }
  for (const std::string& name : names) RETURN_IF_ERROR(add_file(name));
  for (const SafetensorsIndexEntry& entry : *index) {
    const CheckpointTensor* tensor = find(entry.tensor);
    const std::string path = folder_ + "/" + entry.file;
    if (tensor == nullptr || files_[tensor->file_idx].path() != path) {
      return invalid_argument(
          fmt::format("{}: tensor {} is not in {}", index_path, entry.tensor, path));
    }
  }
  return {};
}

const CheckpointTensor* Checkpoint::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

int64_t Checkpoint::num_bytes() const {
  int64_t total = 0;
  for (const CheckpointTensor& tensor : tensors_) total += tensor.num_bytes;
  return total;
}

Result<TensorView> Checkpoint::read(const CheckpointTensor& tensor, Buffer& scratch) const {
  const ReadOnlyFile& file = files_[tensor.file_idx];
  if (!tensor.readable) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: tensor {} has dtype {}; supported are F32, BF16 and F16",
                             file.path(), tensor.name, tensor.dtype_name)};
  }
  const auto num_bytes = static_cast<size_t>(tensor.num_bytes);
  if (scratch.num_bytes() < num_bytes || scratch.num_bytes() / 2 > num_bytes) {
    scratch = Buffer();  // first give back, then take
    ASSIGN_OR_RETURN(scratch, Buffer::allocate(num_bytes));
  }
  RETURN_IF_ERROR(file.read_at(tensor.file_offset, {scratch.data(), num_bytes}));
  return TensorView{scratch.data(), tensor.dtype, tensor.shape};
}

void Checkpoint::prefetch(const CheckpointTensor& tensor) const {
  files_[tensor.file_idx].prefetch(tensor.file_offset, tensor.num_bytes);
}

}  // namespace pagoda
