// Where converted matrices are kept, and what they depend on.
#include "app/quantization_cache.h"

#include <fmt/core.h>

#include <filesystem>
#include <map>
#include <span>
#include <utility>

#include "base/env.h"

namespace pagoda {
namespace {

// What converted matrices depend on. The number is that of the encoders: one that makes other
// blocks needs another.
std::string quantization_key(const Checkpoint& checkpoint, const WeightFormat& format) {
  std::string header = checkpoint.config_json();
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    header += fmt::format("{} {} {} {} {}\n", tensor.name, tensor.dtype_name,
                          to_string(tensor.shape), tensor.file_idx, tensor.file_offset);
  }
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(checkpoint.path(), error);
  return fmt::format("1 {}\n{}\n{:016x}\n", format_name(format), path.lexically_normal().string(),
                     checksum64(std::as_bytes(std::span(header.data(), header.size())))) +
         checkpoint_files(checkpoint);
}

}  // namespace

std::string quantization_cache_folder(const EngineOptions& options) {
  if (options.quantization_cache_dir) return *options.quantization_cache_dir;
  if (const auto caches = env_value("XDG_CACHE_HOME")) return *caches + "/pagoda";
  const auto home = env_value("HOME");
  return home ? *home + "/.cache/pagoda" : "";
}

std::string checkpoint_files(const Checkpoint& checkpoint) {
  std::map<std::string, std::string> files;
  std::error_code error;
  const auto add = [&](const std::filesystem::directory_entry& entry) {
    if (!entry.is_regular_file(error)) return;
    files[entry.path().filename().string()] = fmt::format(
        "{} {}", entry.file_size(error), entry.last_write_time(error).time_since_epoch().count());
  };
  if (checkpoint.gguf() != nullptr) {
    for (const GgufFile& file : checkpoint.gguf_files()) {
      add(std::filesystem::directory_entry(file.path(), error));
    }
  } else {
    for (const auto& entry : std::filesystem::directory_iterator(checkpoint.path(), error)) {
      add(entry);
    }
  }
  std::string text;
  for (const auto& [name, what] : files) text += name + " " + what + "\n";
  return text;
}

std::unique_ptr<QuantizedCache> open_quantized_cache(
    const EngineOptions& options, const Checkpoint& checkpoint, const WeightFormat& format,
    const std::function<void(const std::string&)>& note) {
  const std::string folder = quantization_cache_folder(options);
  if (!options.quantization || folder.empty()) return nullptr;
  auto cache =
      QuantizedCache::open({.folder = folder, .key = quantization_key(checkpoint, format)});
  if (cache.ok()) return std::move(cache).value();
  note(cache.error().message);
  return nullptr;
}

}  // namespace pagoda
