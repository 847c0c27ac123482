// Parsing of GGUF headers; nothing in them is trusted.
#include "checkpoint/gguf.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/json.h"

namespace pagoda {
namespace {

struct TensorType {
  uint32_t number;
  std::string_view name;
  int64_t block_elements;
  int64_t block_bytes;
};

// Every type of ggml.h, so that a file may hold tensors that no model asks for.
constexpr std::array<TensorType, 34> kTensorTypes = {{
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},
    {3, "Q4_1", 32, 20},      {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 40},      {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},  {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},  {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},   {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},
}};

const TensorType* find_tensor_type(uint32_t number) {
  for (const TensorType& type : kTensorTypes) {
    if (type.number == number) return &type;
  }
  return nullptr;
}

// Formats whose values a weight can be made of.
std::optional<DType> weight_dtype(uint32_t number) {
  constexpr std::array kFormats = {DType::kF32,  DType::kBF16, DType::kF16,  DType::kQ8_0,
                                   DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1,
                                   DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K,
                                   DType::kQ6_K, DType::kMXFP4};
  for (const DType dtype : kFormats) {
    if (format_traits(dtype).gguf_type == static_cast<int32_t>(number)) return dtype;
  }
  return std::nullopt;
}

// Bytes of one element; 0 for strings, arrays and numbers that are no type.
int64_t scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool: return 1;
    case GgufType::kUint16:
    case GgufType::kInt16: return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32: return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64: return 8;
    case GgufType::kString:
    case GgufType::kArray: return 0;
  }
  return 0;
}

bool is_type(uint32_t number) {
  return number <= static_cast<uint32_t>(GgufType::kFloat64);
}

template <typename T>
T load(const std::byte* from) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

std::variant<uint64_t, int64_t, double, bool, std::string, GgufArray> scalar_value(
    GgufType type, const std::byte* from) {
  switch (type) {
    case GgufType::kUint8: return uint64_t{load<uint8_t>(from)};
    case GgufType::kInt8: return int64_t{load<int8_t>(from)};
    case GgufType::kUint16: return uint64_t{load<uint16_t>(from)};
    case GgufType::kInt16: return int64_t{load<int16_t>(from)};
    case GgufType::kUint32: return uint64_t{load<uint32_t>(from)};
    case GgufType::kInt32: return int64_t{load<int32_t>(from)};
    case GgufType::kFloat32: return double{load<float>(from)};
    case GgufType::kBool: return load<uint8_t>(from) != 0;
    case GgufType::kUint64: return load<uint64_t>(from);
    case GgufType::kInt64: return load<int64_t>(from);
    case GgufType::kFloat64: return load<double>(from);
    case GgufType::kString:
    case GgufType::kArray: break;
  }
  CHECK(false);
  return false;
}

// Reads a file forward through a window. Every length is checked against `end` before it is used,
// so nothing larger than the file is ever allocated.
class HeaderReader {
 public:
  // Reads [offset, end) of `file`, which must outlive the reader.
  HeaderReader(const ReadOnlyFile& file, int64_t offset, int64_t end)
      : file_(file), position_(offset), end_(end) {}

  int64_t position() const { return position_; }
  int64_t left() const { return end_ - position_; }

  Result<void> read(std::span<std::byte> out) {
    const auto size = static_cast<int64_t>(out.size());
    if (size > left()) return cut_short(size);
    if (position_ < window_start_ || position_ + size > window_start_ + window_size_) {
      if (size > kWindowBytes) {
        RETURN_IF_ERROR(file_.read_at(position_, out));
        position_ += size;
        return {};
      }
      RETURN_IF_ERROR(refill());
    }
    if (size > 0) {
      std::memcpy(out.data(), window_.data() + (position_ - window_start_), out.size());
    }
    position_ += size;
    return {};
  }

  template <typename T>
  Result<T> number() {
    std::array<std::byte, sizeof(T)> bytes = {};
    RETURN_IF_ERROR(read(bytes));
    return load<T>(bytes.data());
  }

  Result<void> skip(int64_t num_bytes) {
    if (num_bytes > left()) return cut_short(num_bytes);
    position_ += num_bytes;
    return {};
  }

  // The length of a string, at most `limit` and what is left.
  Result<int64_t> length(int64_t limit) {
    ASSIGN_OR_RETURN(const uint64_t size, number<uint64_t>());
    if (size > static_cast<uint64_t>(std::min(limit, left()))) {
      return invalid_argument(
          fmt::format("a string of {} bytes at byte {}, the limit is {} and {} are left", size,
                      position_ - 8, limit, left()));
    }
    return static_cast<int64_t>(size);
  }

  Result<std::string> string(int64_t limit) {
    ASSIGN_OR_RETURN(const int64_t size, length(limit));
    std::string text(static_cast<size_t>(size), '\0');
    RETURN_IF_ERROR(read(std::as_writable_bytes(std::span<char>(text))));
    return text;
  }

 private:
  static constexpr int64_t kWindowBytes = 1 << 16;

  Error cut_short(int64_t wanted) const {
    return invalid_argument(
        fmt::format("the header is cut short: {} bytes wanted at byte {}, {} are left", wanted,
                    position_, left()));
  }

  Result<void> refill() {
    window_.resize(kWindowBytes);
    window_start_ = position_;
    window_size_ = std::min(kWindowBytes, left());
    return file_.read_at(position_, {window_.data(), static_cast<size_t>(window_size_)});
  }

  const ReadOnlyFile& file_;
  int64_t position_;
  int64_t end_;
  std::vector<std::byte> window_;
  int64_t window_start_ = 0;
  int64_t window_size_ = 0;
};

// Reads the type and count of an array and passes over its elements.
Result<GgufArray> read_array(HeaderReader& reader, int32_t depth) {
  if (depth > kMaxGgufArrayDepth) {
    return invalid_argument(
        fmt::format("arrays nested deeper than the limit of {}", kMaxGgufArrayDepth));
  }
  ASSIGN_OR_RETURN(const uint32_t number, reader.number<uint32_t>());
  if (!is_type(number)) {
    return invalid_argument(fmt::format("array elements of type {}, which does not exist", number));
  }
  GgufArray array;
  array.element = static_cast<GgufType>(number);
  ASSIGN_OR_RETURN(const uint64_t count, reader.number<uint64_t>());
  array.offset = reader.position();
  const int64_t fixed_bytes = scalar_bytes(array.element);
  // A string takes at least its length, an array its type and count.
  const int64_t least = fixed_bytes > 0 ? fixed_bytes : array.element == GgufType::kString ? 8 : 12;
  if (count > static_cast<uint64_t>(reader.left() / least)) {
    return invalid_argument(fmt::format("an array of {} elements of at least {} bytes, {} are left",
                                        count, least, reader.left()));
  }
  array.count = static_cast<int64_t>(count);
  if (fixed_bytes > 0) RETURN_IF_ERROR(reader.skip(array.count * fixed_bytes));
  for (int64_t i = 0; fixed_bytes == 0 && i < array.count; ++i) {
    if (array.element == GgufType::kArray) {
      RETURN_IF_ERROR(read_array(reader, depth + 1));
    } else {
      ASSIGN_OR_RETURN(const int64_t length, reader.length(kMaxGgufStringBytes));
      RETURN_IF_ERROR(reader.skip(length));
    }
  }
  array.num_bytes = reader.position() - array.offset;
  return array;
}

Result<void> read_value(HeaderReader& reader, GgufEntry& entry) {
  ASSIGN_OR_RETURN(const uint32_t number, reader.number<uint32_t>());
  if (!is_type(number)) {
    return invalid_argument(fmt::format("value of type {}, which does not exist", number));
  }
  entry.type = static_cast<GgufType>(number);
  if (entry.type == GgufType::kArray) {
    ASSIGN_OR_RETURN(entry.value, read_array(reader, 1));
  } else if (entry.type == GgufType::kString) {
    ASSIGN_OR_RETURN(entry.value, reader.string(kMaxGgufStringBytes));
  } else {
    std::array<std::byte, 8> bytes = {};
    RETURN_IF_ERROR(reader.read({bytes.data(), static_cast<size_t>(scalar_bytes(entry.type))}));
    entry.value = scalar_value(entry.type, bytes.data());
  }
  return {};
}

// Dimensions in the file's order, innermost first.
Result<Shape> read_shape(HeaderReader& reader) {
  constexpr uint32_t kMaxRank = 4;
  ASSIGN_OR_RETURN(const uint32_t rank, reader.number<uint32_t>());
  if (rank < 1 || rank > kMaxRank) {
    return invalid_argument(fmt::format("{} dimensions, must be 1..{}", rank, kMaxRank));
  }
  std::array<int64_t, kMaxRank> dims = {};
  // Far above any tensor, and low enough for every product with a block's bytes.
  constexpr int64_t kMaxElements = int64_t{1} << 52;
  int64_t product = 1;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    ASSIGN_OR_RETURN(const uint64_t dim, reader.number<uint64_t>());
    if (dim < 1 || dim > static_cast<uint64_t>(kMaxElements / product)) {
      return invalid_argument(
          fmt::format("dimension {} is {}, must be positive and the product at most {}", axis, dim,
                      kMaxElements));
    }
    dims[axis] = static_cast<int64_t>(dim);
    product *= dims[axis];
  }
  switch (rank) {
    case 1: return Shape{dims[0]};
    case 2: return Shape{dims[1], dims[0]};
    case 3: return Shape{dims[2], dims[1], dims[0]};
    default: return Shape{dims[3], dims[2], dims[1], dims[0]};
  }
}

// Everything but where in the file the data begins: `offset` counts from the data section's start.
Result<void> read_tensor(HeaderReader& reader, GgufTensor& tensor) {
  ASSIGN_OR_RETURN(tensor.shape, read_shape(reader));
  ASSIGN_OR_RETURN(const uint32_t number, reader.number<uint32_t>());
  ASSIGN_OR_RETURN(const uint64_t offset, reader.number<uint64_t>());
  const TensorType* type = find_tensor_type(number);
  if (type == nullptr) {
    return invalid_argument(fmt::format("type {}, which this build does not know", number));
  }
  const int64_t row = tensor.shape[tensor.shape.rank() - 1];
  if (row % type->block_elements != 0) {
    return invalid_argument(fmt::format("rows of {} elements, {} comes in blocks of {}", row,
                                        type->name, type->block_elements));
  }
  tensor.type_name = type->name;
  tensor.dtype = weight_dtype(number);
  tensor.num_bytes = tensor.shape.num_elements() / type->block_elements * type->block_bytes;
  if (offset > static_cast<uint64_t>(INT64_MAX / 2)) {
    return invalid_argument(fmt::format("data at byte {}, beyond every file", offset));
  }
  tensor.offset = static_cast<int64_t>(offset);
  return {};
}

Result<int64_t> read_count(HeaderReader& reader, std::string_view what, int64_t limit) {
  ASSIGN_OR_RETURN(const uint64_t count, reader.number<uint64_t>());
  if (count > static_cast<uint64_t>(limit)) {
    return invalid_argument(fmt::format("{} {}, over the limit of {}", count, what, limit));
  }
  return static_cast<int64_t>(count);
}

Result<void> check_magic(HeaderReader& reader) {
  std::array<std::byte, 4> magic = {};
  RETURN_IF_ERROR(reader.read(magic));
  if (std::memcmp(magic.data(), "vers", magic.size()) == 0) {
    return invalid_argument("is a Git LFS pointer, not the weights; download the file itself");
  }
  if (std::memcmp(magic.data(), "GGUF", magic.size()) != 0) {
    return invalid_argument("is no GGUF file: it does not begin with \"GGUF\"");
  }
  ASSIGN_OR_RETURN(const uint32_t version, reader.number<uint32_t>());
  if (version != 2 && version != 3) {
    const bool swapped = version != 0 && (version & 0xFFFFU) == 0;
    return Error{ErrorCode::kUnsupported,
                 swapped ? std::string("GGUF in big-endian byte order")
                         : fmt::format("GGUF version {}; supported are 2 and 3", version)};
  }
  return {};
}

}  // namespace

std::string shown_gguf_name(std::string_view name) {
  constexpr size_t kMaxShown = 120;
  std::string text;
  append_json_escaped(text, name.substr(0, kMaxShown));
  return '"' + text + (name.size() > kMaxShown ? "...\"" : "\"");
}

Result<GgufFile> GgufFile::open(const std::string& path) {
  ASSIGN_OR_RETURN(ReadOnlyFile file, ReadOnlyFile::open(path));
  GgufFile gguf(std::move(file));
  const auto read = gguf.read_header();
  if (!read.ok()) return Error{read.error().code, path + ": " + read.error().message};
  return gguf;
}

Result<void> GgufFile::read_header() {
  HeaderReader reader(file_, 0, std::min(file_.num_bytes(), kMaxGgufHeaderBytes));
  RETURN_IF_ERROR(check_magic(reader));
  ASSIGN_OR_RETURN(const int64_t num_tensors, read_count(reader, "tensors", kMaxGgufTensors));
  ASSIGN_OR_RETURN(const int64_t num_entries,
                   read_count(reader, "metadata entries", kMaxGgufEntries));
  for (int64_t i = 0; i < num_entries; ++i) {
    GgufEntry entry;
    entry.offset = reader.position();
    auto key = reader.string(kMaxGgufKeyBytes);
    if (!key.ok()) {
      return Error{key.error().code,
                   fmt::format("key of metadata entry {}: {}", i, key.error().message)};
    }
    entry.key = std::move(key).value();
    const auto read = read_value(reader, entry);
    if (!read.ok()) {
      return Error{read.error().code, fmt::format("metadata {}: {}", shown_gguf_name(entry.key),
                                                  read.error().message)};
    }
    entry.num_bytes = reader.position() - entry.offset;
    if (!entry_index_.emplace(entry.key, entries_.size()).second) {
      return invalid_argument(fmt::format("metadata {} comes twice", shown_gguf_name(entry.key)));
    }
    entries_.push_back(std::move(entry));
  }
  for (int64_t i = 0; i < num_tensors; ++i) {
    GgufTensor tensor;
    auto name = reader.string(kMaxGgufKeyBytes);
    if (!name.ok()) {
      return Error{name.error().code,
                   fmt::format("name of tensor {}: {}", i, name.error().message)};
    }
    tensor.name = std::move(name).value();
    const auto read = read_tensor(reader, tensor);
    if (!read.ok()) {
      return Error{read.error().code, fmt::format("tensor {}: {}", shown_gguf_name(tensor.name),
                                                  read.error().message)};
    }
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second) {
      return invalid_argument(fmt::format("tensor {} comes twice", shown_gguf_name(tensor.name)));
    }
    tensors_.push_back(std::move(tensor));
  }
  return check_tensors(reader.position());
}

// Alignment, range and overlap of the data, which begins after the header.
Result<void> GgufFile::check_tensors(int64_t header_end) {
  constexpr int64_t kMaxAlignment = 1 << 20;
  auto wanted = integer("general.alignment", 1, kMaxAlignment);
  if (!wanted.ok()) return invalid_argument(wanted.error().message);
  alignment_ = wanted->value_or(32);
  if (!std::has_single_bit(static_cast<uint64_t>(alignment_))) {
    return invalid_argument(
        fmt::format("general.alignment is {}, must be a power of two", alignment_));
  }
  const int64_t data_start = (header_end + alignment_ - 1) / alignment_ * alignment_;
  const int64_t data_bytes = std::max<int64_t>(0, file_.num_bytes() - data_start);
  std::vector<const GgufTensor*> by_offset;
  for (GgufTensor& tensor : tensors_) {
    const auto bad = [&](const std::string& what) {
      return invalid_argument(fmt::format("tensor {}: {}", shown_gguf_name(tensor.name), what));
    };
    if (tensor.offset % alignment_ != 0) {
      return bad(fmt::format("data at byte {}, which is no multiple of the alignment of {}",
                             tensor.offset, alignment_));
    }
    if (tensor.offset > data_bytes || tensor.num_bytes > data_bytes - tensor.offset) {
      return bad(fmt::format("{} bytes of {} at byte {} of a data section of {} bytes",
                             tensor.num_bytes, tensor.type_name, tensor.offset, data_bytes));
    }
    tensor.offset += data_start;
    by_offset.push_back(&tensor);
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const GgufTensor& before = *by_offset[i - 1];
    if (before.offset + before.num_bytes > by_offset[i]->offset) {
      return invalid_argument(fmt::format("tensors {} and {} overlap", shown_gguf_name(before.name),
                                          shown_gguf_name(by_offset[i]->name)));
    }
  }
  return {};
}

const GgufEntry* GgufFile::find(std::string_view key) const {
  const auto found = entry_index_.find(std::string(key));
  return found == entry_index_.end() ? nullptr : &entries_[found->second];
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(std::string(name));
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

Error GgufFile::bad_entry(std::string_view key, std::string_view what) const {
  return invalid_argument(
      fmt::format("{}: metadata {}: {}", file_.path(), shown_gguf_name(key), what));
}

Result<std::optional<int64_t>> GgufFile::integer(std::string_view key, int64_t low,
                                                 int64_t high) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::optional<int64_t>();
  int64_t number = 0;
  if (const auto* positive = std::get_if<uint64_t>(&entry->value)) {
    number = static_cast<int64_t>(std::min<uint64_t>(*positive, INT64_MAX));
  } else if (const auto* any = std::get_if<int64_t>(&entry->value)) {
    number = *any;
  } else {
    return bad_entry(key, "not an integer");
  }
  if (number < low || number > high) {
    return bad_entry(key, fmt::format("{} is not in [{}, {}]", number, low, high));
  }
  return std::optional<int64_t>(number);
}

Result<std::optional<double>> GgufFile::real(std::string_view key, double low, double high) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::optional<double>();
  const auto* number = std::get_if<double>(&entry->value);
  if (number == nullptr) return bad_entry(key, "not a floating-point number");
  if (!(*number >= low && *number <= high)) {
    return bad_entry(key, fmt::format("{} is not in [{}, {}]", *number, low, high));
  }
  return std::optional<double>(*number);
}

Result<std::optional<bool>> GgufFile::boolean(std::string_view key) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::optional<bool>();
  const auto* value = std::get_if<bool>(&entry->value);
  if (value == nullptr) return bad_entry(key, "not a boolean");
  return std::optional<bool>(*value);
}

Result<std::optional<std::string>> GgufFile::text(std::string_view key) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::optional<std::string>();
  const auto* value = std::get_if<std::string>(&entry->value);
  if (value == nullptr) return bad_entry(key, "not a string");
  return std::optional<std::string>(*value);
}

Result<const GgufArray*> GgufFile::array(std::string_view key, int64_t max_count) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return static_cast<const GgufArray*>(nullptr);
  const auto* found = std::get_if<GgufArray>(&entry->value);
  if (found == nullptr) return bad_entry(key, "not an array");
  if (found->count > max_count) {
    return Error{ErrorCode::kTooLarge,
                 fmt::format("{}: metadata {}: {} elements, over the limit "
                             "of {}",
                             file_.path(), shown_gguf_name(key), found->count, max_count)};
  }
  return found;
}

Result<std::vector<int64_t>> GgufFile::integers(std::string_view key, int64_t max_count) const {
  ASSIGN_OR_RETURN(const GgufArray* found, array(key, max_count));
  std::vector<int64_t> values;
  if (found == nullptr) return values;
  std::vector<std::byte> bytes(static_cast<size_t>(found->num_bytes));
  const int64_t width = scalar_bytes(found->element);
  if (width == 0) return bad_entry(key, "not an array of integers");
  RETURN_IF_ERROR(file_.read_at(found->offset, bytes));
  values.reserve(static_cast<size_t>(found->count));
  for (int64_t i = 0; i < found->count; ++i) {
    const auto value = scalar_value(found->element, bytes.data() + i * width);
    if (const auto* positive = std::get_if<uint64_t>(&value)) {
      values.push_back(static_cast<int64_t>(std::min<uint64_t>(*positive, INT64_MAX)));
    } else if (const auto* any = std::get_if<int64_t>(&value)) {
      values.push_back(*any);
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      values.push_back(*flag ? 1 : 0);
    } else {
      return bad_entry(key, "not an array of integers");
    }
  }
  return values;
}

Result<std::vector<float>> GgufFile::floats(std::string_view key, int64_t max_count) const {
  ASSIGN_OR_RETURN(const GgufArray* found, array(key, max_count));
  std::vector<float> values;
  if (found == nullptr) return values;
  if (found->element != GgufType::kFloat32) return bad_entry(key, "not an array of 32-bit floats");
  values.resize(static_cast<size_t>(found->count));
  RETURN_IF_ERROR(file_.read_at(found->offset, std::as_writable_bytes(std::span<float>(values))));
  return values;
}

Result<std::vector<std::string>> GgufFile::strings(std::string_view key, int64_t max_count) const {
  ASSIGN_OR_RETURN(const GgufArray* found, array(key, max_count));
  std::vector<std::string> values;
  if (found == nullptr) return values;
  if (found->element != GgufType::kString) return bad_entry(key, "not an array of strings");
  values.reserve(static_cast<size_t>(found->count));
  HeaderReader reader(file_, found->offset, found->offset + found->num_bytes);
  for (int64_t i = 0; i < found->count; ++i) {
    auto text = reader.string(kMaxGgufStringBytes);
    if (!text.ok()) return bad_entry(key, text.error().message);
    values.push_back(std::move(text).value());
  }
  return values;
}

}  // namespace pagoda
