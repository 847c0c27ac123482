// GGUF: the container of llama.cpp's model files, metadata and tensors in one file, checked to the
// last byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"
#include "checkpoint/read_only_file.h"
#include "tensor/tensor.h"

namespace pagoda {

// Types of metadata values, with the numbers they have in a file.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// An array of the metadata. It stays in the file: a vocabulary has a quarter of a million strings.
struct GgufArray {
  GgufType element = GgufType::kUint8;
  int64_t count = 0;
  int64_t offset = 0;     // of the first element, bytes from the start of the file
  int64_t num_bytes = 0;  // of all elements as they are stored
};

// One entry of the metadata. Plain value.
struct GgufEntry {
  std::string key;
  GgufType type = GgufType::kUint8;
  // uint64_t for the unsigned types, int64_t for the signed ones, double for floats.
  std::variant<uint64_t, int64_t, double, bool, std::string, GgufArray> value;
  int64_t offset = 0;     // where the key's length stands, bytes from the start of the file
  int64_t num_bytes = 0;  // of key, type and value as they are stored
};

// One tensor of a file. Plain value.
struct GgufTensor {
  std::string name;
  std::string type_name;       // "Q4_K"
  std::optional<DType> dtype;  // empty for formats that this build does not read: "IQ2_XXS"
  Shape shape;         // outermost dimension first, which is the reverse of the file's order
  int64_t offset = 0;  // of the data, bytes from the start of the file
  int64_t num_bytes = 0;
};

// Limits beyond which a file is refused; published files stay far below.
inline constexpr int64_t kMaxGgufHeaderBytes = int64_t{512} << 20;
inline constexpr int64_t kMaxGgufStringBytes = int64_t{64} << 20;
inline constexpr int64_t kMaxGgufKeyBytes = 65535;  // of the specification
inline constexpr int64_t kMaxGgufEntries = 1 << 16;
inline constexpr int64_t kMaxGgufTensors = 1 << 18;
inline constexpr int32_t kMaxGgufArrayDepth = 4;

// One .gguf file: its metadata, and where its tensors lie. Owns the open file; immutable and
// thread-safe. The format is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md,
// versions 2 and 3, little-endian.
class GgufFile {
 public:
  // Opens the file and checks its whole header; tensor data is not read. Errors of
  // ReadOnlyFile::open; kUnsupported for another version or byte order; kInvalidArgument, naming
  // the file, the entry or tensor, the value and the limit, for: counts, lengths, dimensions and
  // offsets that the file has no room for or that are over the limits above, types that do not
  // exist, names that come twice, data that is not aligned or overlaps.
  static Result<GgufFile> open(const std::string& path);

  const ReadOnlyFile& file() const { return file_; }
  const std::string& path() const { return file_.path(); }
  int64_t alignment() const { return alignment_; }                    // bytes
  const std::vector<GgufEntry>& entries() const { return entries_; }  // in the file's order
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  // Null when there is none.
  const GgufEntry* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;

  // The value under a key; empty when there is none. kInvalidArgument, naming file and key, for a
  // value of another type or outside [low, high].
  Result<std::optional<int64_t>> integer(std::string_view key, int64_t low, int64_t high) const;
  Result<std::optional<double>> real(std::string_view key, double low, double high) const;
  Result<std::optional<bool>> boolean(std::string_view key) const;
  Result<std::optional<std::string>> text(std::string_view key) const;
  // The elements of an array of any integer type, of 32-bit floats, of strings; empty when there is
  // none. Also kTooLarge for more than `max_count`.
  Result<std::vector<int64_t>> integers(std::string_view key, int64_t max_count) const;
  Result<std::vector<float>> floats(std::string_view key, int64_t max_count) const;
  Result<std::vector<std::string>> strings(std::string_view key, int64_t max_count) const;

 private:
  explicit GgufFile(ReadOnlyFile file) : file_(std::move(file)) {}
  Error bad_entry(std::string_view key, std::string_view what) const;
  Result<const GgufArray*> array(std::string_view key, int64_t max_count) const;
  Result<void> read_header();
  Result<void> check_tensors(int64_t header_end);

  ReadOnlyFile file_;
  int64_t alignment_ = 32;
  std::vector<GgufEntry> entries_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string, size_t> entry_index_;
  std::unordered_map<std::string, size_t> tensor_index_;
};

// A name from a file as it may stand in a message: quoted, escaped, cut short.
std::string shown_gguf_name(std::string_view name);

}  // namespace pagoda
