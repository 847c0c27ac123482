// Finding and opening the files of a model folder.
#include "checkpoint/checkpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "checkpoint/gguf_config.h"
#include "checkpoint/gguf_fix.h"
#include "checkpoint/gguf_parts.h"
#include "checkpoint/quantized_linear.h"
#include "checkpoint/safetensors.h"

namespace pagoda {
namespace {

constexpr int64_t kMaxConfigBytes = int64_t{1} << 20;

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// Makes `scratch` large enough for `num_bytes`, and not more than twice too large.
Result<void> reserve(Buffer& scratch, int64_t num_bytes) {
  const auto size = static_cast<size_t>(num_bytes);
  if (scratch.num_bytes() >= size && scratch.num_bytes() / 2 <= size) return {};
  scratch = Buffer();  // first give back, then take
  ASSIGN_OR_RETURN(scratch, Buffer::allocate(size));
  return {};
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

constexpr std::string_view kGgufEnding = ".gguf";

// The .gguf file of a folder, its first part where it is split; "" when there is none.
Result<std::string> find_gguf(const std::string& folder) {
  std::set<std::string> firsts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kGgufEnding)) continue;
    const auto part = gguf_part(name);
    if (!part || part->number == 1) firsts.insert(name);
  }
  if (firsts.empty()) return std::string();
  if (firsts.size() > 1) {
    return invalid_argument(
        fmt::format("{} holds {} GGUF models, {} and {} among them; give the file", folder,
                    firsts.size(), *firsts.begin(), *std::next(firsts.begin())));
  }
  return folder + "/" + *firsts.begin();
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& path) {
  std::error_code ignored;
  if (path.ends_with(kGgufEnding)) return open_gguf(path);
  if (!std::filesystem::is_directory(path, ignored)) {
    return Error{ErrorCode::kNotFound, fmt::format("no model folder {}", path)};
  }
  if (!exists(path + "/config.json")) {
    ASSIGN_OR_RETURN(const std::string gguf, find_gguf(path));
    if (!gguf.empty()) return open_gguf(gguf);
  }
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  ASSIGN_OR_RETURN(checkpoint.config_json_, read_text_file(path + "/config.json", kMaxConfigBytes));
  // As Transformers does: the single file wins over an index beside it.
  if (exists(path + "/model.safetensors")) {
    RETURN_IF_ERROR(checkpoint.add_file("model.safetensors"));
  } else {
    const std::string index_path = path + "/model.safetensors.index.json";
    if (!exists(index_path)) return no_weights(path);
    RETURN_IF_ERROR(checkpoint.add_shards(index_path));
  }
  RETURN_IF_ERROR(checkpoint.add_quantized());
  return checkpoint;
}

Result<void> Checkpoint::add_tensor(CheckpointTensor tensor, const std::string& file) {
  if (!index_.emplace(tensor.name, tensors_.size()).second) {
    return invalid_argument(
        fmt::format("{}: tensor {} is also in another file", file, tensor.name));
  }
  tensors_.push_back(std::move(tensor));
  return {};
}

Result<void> Checkpoint::add_file(const std::string& name) {
  ASSIGN_OR_RETURN(ReadOnlyFile file, ReadOnlyFile::open(path_ + "/" + name));
  ASSIGN_OR_RETURN(SafetensorsFile contents, read_safetensors(file));
  for (SafetensorsEntry& entry : contents.entries) {
    RETURN_IF_ERROR(add_tensor({.name = std::move(entry.name),
                                .dtype_name = std::move(entry.dtype_name),
                                .readable = entry.dtype.has_value(),
                                .dtype = entry.dtype.value_or(DType::kF32),
                                .shape = entry.shape,
                                .num_bytes = entry.num_bytes,
                                .file_idx = files_.size(),
                                .file_offset = contents.data_start + entry.offset},
                               file.path()));
  }
  files_.push_back(std::move(file));
  return {};
}

Result<Checkpoint> Checkpoint::open_gguf(const std::string& path) {
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  ASSIGN_OR_RETURN(checkpoint.gguf_files_, open_gguf_parts(path));
  ASSIGN_OR_RETURN(GgufConfig config, read_gguf_config(checkpoint.gguf_files_));
  RETURN_IF_ERROR(checkpoint.add_gguf_tensors(config));
  checkpoint.config_json_ = std::move(config.json);
  return checkpoint;
}

Result<void> Checkpoint::add_gguf_tensors(const GgufConfig& config) {
  num_heads_ = config.num_heads;
  num_kv_heads_ = config.num_kv_heads;
  for (size_t i = 0; i < gguf_files_.size(); ++i) {
    const std::string& path = gguf_files_[i].path();
    for (const GgufTensor& tensor : gguf_files_[i].tensors()) {
      if (is_gguf_rope_tensor(tensor.name)) continue;  // in the config
      // What has no name in the other spelling is listed under one that no model asks for, and
      // then reported as not used.
      const GgufTensorName named = from_gguf_name(*config.architecture, tensor.name)
                                       .value_or(GgufTensorName{"gguf/" + tensor.name});
      CheckpointTensor added = {.name = named.name,
                                .dtype_name = tensor.type_name,
                                .readable = tensor.dtype.has_value(),
                                .dtype = tensor.dtype.value_or(DType::kF32),
                                .shape = tensor.shape,
                                .num_bytes = tensor.num_bytes,
                                .file_idx = i,
                                .file_offset = tensor.offset,
                                .fix = named.fix};
      const auto fixable = check_gguf_fix(added.fix, heads_of(added.fix), added.shape, added.dtype);
      if (!fixable.ok()) {
        return invalid_argument(
            fmt::format("{}: tensor {}: {}", path, added.name, fixable.error().message));
      }
      RETURN_IF_ERROR(add_tensor(std::move(added), path));
    }
  }
  return {};
}

// Puts quantized matrices in the place of the tensors they are made of.
Result<void> Checkpoint::add_quantized() {
  std::vector<RawTensor> raw;
  for (const CheckpointTensor& tensor : tensors_) {
    raw.push_back({tensor.name, tensor.dtype_name, tensor.shape});
  }
  auto found = find_quantized_linears(config_json_, raw);
  if (!found.ok()) return Error{found.error().code, path_ + ": " + found.error().message};
  if (found->empty()) return {};
  raw_tensors_ = std::move(tensors_);
  tensors_ = {};
  index_ = {};
  std::vector<bool> used(raw_tensors_.size());
  for (QuantizedLinear& linear : *found) {
    const CheckpointTensor& codes = raw_tensors_[linear.codes];
    CheckpointTensor tensor = {.name = linear.name,
                               .dtype_name = codes.dtype_name,
                               .readable = true,
                               .dtype = linear.dtype,
                               .shape = {linear.out, linear.in},
                               .num_bytes = dtype_bytes(linear.dtype, linear.out * linear.in),
                               .file_idx = codes.file_idx,
                               .file_offset = codes.file_offset};
    for (const std::optional<size_t> part :
         {std::optional(linear.codes), std::optional(linear.scales), linear.zeros,
          linear.group_index}) {
      if (!part) continue;
      used[*part] = true;
      tensor.raw_bytes += raw_tensors_[*part].num_bytes;
    }
    tensor.quantized = std::make_shared<const QuantizedLinear>(std::move(linear));
    RETURN_IF_ERROR(add_tensor(std::move(tensor), path_));
  }
  for (size_t i = 0; i < raw_tensors_.size(); ++i) {
    if (!used[i]) RETURN_IF_ERROR(add_tensor(raw_tensors_[i], path_));
  }
  return {};
}

Result<TensorView> Checkpoint::read_quantized(const CheckpointTensor& tensor,
                                              Buffer& scratch) const {
  const QuantizedLinear& linear = *tensor.quantized;
  std::array<Buffer, 4> buffers;
  const auto bytes_of = [&](std::optional<size_t> part,
                            Buffer& buffer) -> Result<std::span<const std::byte>> {
    if (!part) return std::span<const std::byte>();
    const CheckpointTensor& raw = raw_tensors_[*part];
    ASSIGN_OR_RETURN(const std::byte* data, read_bytes(raw, 0, raw.num_bytes, buffer));
    return std::span<const std::byte>(data, static_cast<size_t>(raw.num_bytes));
  };
  QuantizedData data;
  ASSIGN_OR_RETURN(data.codes, bytes_of(linear.codes, buffers[0]));
  ASSIGN_OR_RETURN(data.scales, bytes_of(linear.scales, buffers[1]));
  ASSIGN_OR_RETURN(data.zeros, bytes_of(linear.zeros, buffers[2]));
  ASSIGN_OR_RETURN(data.group_index, bytes_of(linear.group_index, buffers[3]));
  data.scale_dtype = raw_tensors_[linear.scales].dtype;
  RETURN_IF_ERROR(reserve(scratch, tensor.num_bytes));
  RETURN_IF_ERROR(
      read_quantized_linear(linear, data, {scratch.data(), static_cast<size_t>(tensor.num_bytes)}));
  return TensorView{scratch.data(), tensor.dtype, tensor.shape};
}

std::string Checkpoint::config_path() const {
  return gguf_files_.empty() ? path_ + "/config.json" : path_;
}

int64_t Checkpoint::heads_of(GgufFix fix) const {
  return fix == GgufFix::kInterleavedKeyRows ? num_kv_heads_ : num_heads_;
}

const ReadOnlyFile& Checkpoint::file_of(const CheckpointTensor& tensor) const {
  return gguf_files_.empty() ? files_[tensor.file_idx] : gguf_files_[tensor.file_idx].file();
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
    const std::string path = path_ + "/" + entry.file;
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
  const ReadOnlyFile& file = file_of(tensor);
  if (!tensor.readable) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: tensor {} has dtype {}, which is no format of weights",
                             file.path(), tensor.name, tensor.dtype_name)};
  }
  if (tensor.quantized != nullptr) return read_quantized(tensor, scratch);
  ASSIGN_OR_RETURN(const std::byte* data, read_bytes(tensor, 0, tensor.num_bytes, scratch));
  undo_gguf_fix(tensor.fix, heads_of(tensor.fix), tensor.shape,
                {scratch.data(), static_cast<size_t>(tensor.num_bytes)});
  return TensorView{data, tensor.dtype, tensor.shape};
}

Result<const std::byte*> Checkpoint::read_bytes(const CheckpointTensor& tensor, int64_t offset,
                                                int64_t num_bytes, Buffer& scratch) const {
  CHECK(offset >= 0 && num_bytes >= 0 && offset <= tensor.num_bytes - num_bytes);
  CHECK(tensor.quantized == nullptr);
  const auto size = static_cast<size_t>(num_bytes);
  RETURN_IF_ERROR(reserve(scratch, num_bytes));
  RETURN_IF_ERROR(file_of(tensor).read_at(tensor.file_offset + offset, {scratch.data(), size}));
  return static_cast<const std::byte*>(scratch.data());
}

bool Checkpoint::can_read_rows(const CheckpointTensor& tensor) {
  return tensor.readable && tensor.quantized == nullptr && tensor.fix != GgufFix::kUnitAdded &&
         tensor.shape.rank() > 1;
}

Result<void> Checkpoint::read_rows(const CheckpointTensor& tensor, int64_t first, int64_t step,
                                   std::span<const std::byte*> rows, Buffer& scratch) const {
  CHECK(can_read_rows(tensor) && first >= 0 && step >= 1 && !rows.empty());
  const int64_t columns = tensor.shape[tensor.shape.rank() - 1];
  const int64_t row_bytes = dtype_bytes(tensor.dtype, columns);
  const int64_t num_rows = tensor.shape.num_elements() / columns;
  const auto count = static_cast<int64_t>(rows.size());
  CHECK(first + (count - 1) * step < num_rows);
  const int64_t heads = heads_of(tensor.fix);
  const auto place = [&](int64_t i) {
    return gguf_row(tensor.fix, heads, tensor.shape, first + i * step);
  };
  int64_t begin = place(0);
  int64_t end = begin + 1;
  for (int64_t i = 1; i < count; ++i) {
    begin = std::min(begin, place(i));
    end = std::max(end, place(i) + 1);
  }
  // What lies between the rows is read with them: they are next to each other, or every other one.
  const auto size = static_cast<size_t>((end - begin) * row_bytes);
  if (scratch.num_bytes() < size) {
    scratch = Buffer();  // first give back, then take
    ASSIGN_OR_RETURN(scratch, Buffer::allocate(size));
  }
  RETURN_IF_ERROR(
      file_of(tensor).read_at(tensor.file_offset + begin * row_bytes, {scratch.data(), size}));
  for (int64_t i = 0; i < count; ++i) {
    rows[static_cast<size_t>(i)] = scratch.data() + (place(i) - begin) * row_bytes;
  }
  return {};
}

void Checkpoint::prefetch(const CheckpointTensor& tensor) const {
  file_of(tensor).prefetch(tensor.file_offset, tensor.num_bytes);
}

}  // namespace pagoda
