// For tests: GGUF files written byte by byte.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "checkpoint/gguf.h"

namespace pagoda {

template <typename T>
std::string le_bytes(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

// Entries and tensors in the order they are added; `data` is laid out with the default alignment
// of 32. Counts and version can be given wrong on purpose. Value type.
class TestGguf {
 public:
  uint32_t version = 3;
  uint64_t extra_entries = 0;  // claimed beyond those that are there
  uint64_t extra_tensors = 0;

  static std::string string(std::string_view text) {
    return le_bytes(uint64_t{text.size()}) + std::string(text);
  }
  // An entry of any type with its value as it stands in the file.
  TestGguf& raw(std::string_view key, GgufType type, std::string_view value) {
    entries_ += string(key) + le_bytes(static_cast<uint32_t>(type)) + std::string(value);
    ++num_entries_;
    return *this;
  }
  TestGguf& u32(std::string_view key, uint32_t value) {
    return raw(key, GgufType::kUint32, le_bytes(value));
  }
  TestGguf& f32(std::string_view key, float value) {
    return raw(key, GgufType::kFloat32, le_bytes(value));
  }
  TestGguf& text(std::string_view key, std::string_view value) {
    return raw(key, GgufType::kString, string(value));
  }
  TestGguf& flag(std::string_view key, bool value) {
    return raw(key, GgufType::kBool, std::string(1, value ? '\1' : '\0'));
  }
  // `dims` innermost first, as in the file.
  TestGguf& tensor(std::string_view name, std::initializer_list<uint64_t> dims, uint32_t type,
                   std::string_view data) {
    return tensor_at(name, dims, type, data_.size(), data);
  }
  TestGguf& tensor_at(std::string_view name, std::initializer_list<uint64_t> dims, uint32_t type,
                      uint64_t offset, std::string_view data) {
    tensors_ += string(name) + le_bytes(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) tensors_ += le_bytes(dim);
    tensors_ += le_bytes(type) + le_bytes(offset);
    data_ += data;
    pad(data_);
    ++num_tensors_;
    return *this;
  }
  std::string bytes() const {
    std::string file = "GGUF" + le_bytes(version) + le_bytes(num_tensors_ + extra_tensors) +
                       le_bytes(num_entries_ + extra_entries) + entries_ + tensors_;
    pad(file);
    return file + data_;
  }

 private:
  static void pad(std::string& bytes) { bytes.resize((bytes.size() + 31) / 32 * 32, '\0'); }

  std::string entries_, tensors_, data_;
  uint64_t num_entries_ = 0, num_tensors_ = 0;
};

}  // namespace pagoda
