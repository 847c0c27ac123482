// GgufWriter: writes a GGUF file, version 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/gguf.h"
#include "tensor/tensor.h"

namespace pagoda {

// Collects metadata and the list of tensors, then writes all at once. Keys and names are the
// caller's and must differ from each other. Single thread. The format is described in
// checkpoint/gguf.h.
class GgufWriter {
 public:
  void add_u32(std::string_view key, uint32_t value);
  void add_f32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_strings(std::string_view key, std::span<const std::string> values);
  void add_i32s(std::string_view key, std::span<const int32_t> values);
  // An array of booleans; what is not 0 is true.
  void add_bools(std::string_view key, std::span<const int32_t> values);
  // An entry as it stands in another file: key, type and value.
  void add_raw(std::span<const std::byte> entry);

  // REQUIRES: a dtype that GGUF has, rank 1 to 4, rows of whole blocks.
  void add_tensor(std::string_view name, const Shape& shape, DType dtype);

  // Writes `path`, replacing it only when all is written; nothing is left beside it when the
  // program is killed before, where the file system has files without names (O_TMPFILE). `data`
  // gives the bytes of each tensor in the order of add_tensor(); they are used before the next
  // call. Errors: those of `data`, and kInternal with the system's reason, naming the file.
  Result<void> write(const std::string& path,
                     const std::function<Result<std::span<const std::byte>>(size_t index)>& data);

 private:
  struct Tensor {
    std::string name;
    Shape shape;
    DType dtype;
  };
  void begin_entry(std::string_view key, GgufType type);
  std::string header() const;

  std::string entries_;
  uint64_t num_entries_ = 0;
  std::vector<Tensor> tensors_;
};

}  // namespace pagoda
