// Parsing of safetensors headers and indices; nothing in them is trusted.
#include "checkpoint/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"

namespace pagoda {
namespace {

struct DTypeName {
  std::string_view name;
  int64_t bits;
  std::optional<DType> dtype;
};

// Every dtype of the specification, so that a file may hold tensors that no model asks for.
constexpr std::array<DTypeName, 15> kDTypeNames = {{
    {"F32", 32, DType::kF32},
    {"BF16", 16, DType::kBF16},
    {"F16", 16, DType::kF16},
    {"F64", 64, std::nullopt},
    {"I64", 64, std::nullopt},
    {"U64", 64, std::nullopt},
    {"I32", 32, std::nullopt},
    {"U32", 32, std::nullopt},
    {"I16", 16, std::nullopt},
    {"U16", 16, std::nullopt},
    {"I8", 8, std::nullopt},
    {"U8", 8, std::nullopt},
    {"BOOL", 8, std::nullopt},
    {"F8_E4M3", 8, std::nullopt},
    {"F8_E5M2", 8, std::nullopt},
}};

const DTypeName* find_dtype(std::string_view name) {
  for (const DTypeName& known : kDTypeNames) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

// Names come from the file: long or odd ones must not flood a message.
std::string shown(std::string_view name) {
  constexpr size_t kMaxShown = 120;
  std::string text;
  append_json_escaped(text, name.substr(0, kMaxShown));
  return '"' + text + (name.size() > kMaxShown ? "...\"" : "\"");
}

Error corrupt(std::string_view name, std::string_view what) {
  return invalid_argument(fmt::format("safetensors header: tensor {}: {}", shown(name), what));
}

// A JSON integer in [0, limit], or nothing.
std::optional<int64_t> checked_count(const Json& value, int64_t limit) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const uint64_t number = value.get<uint64_t>();
  if (number > static_cast<uint64_t>(limit)) return std::nullopt;
  return static_cast<int64_t>(number);
}

// Reads the shape; `num_elements` cannot wrap since every factor is checked against the data size.
Result<Shape> parse_shape(std::string_view name, const Json& value, int64_t max_elements) {
  if (!value.is_array()) return corrupt(name, "shape is not an array");
  if (value.size() > static_cast<size_t>(kMaxSafetensorsRank)) {
    return corrupt(name, fmt::format("{} dimensions, at most {} are supported", value.size(),
                                     kMaxSafetensorsRank));
  }
  std::array<int64_t, kMaxSafetensorsRank> dims = {};
  int64_t product = 1;
  for (size_t axis = 0; axis < value.size(); ++axis) {
    const std::optional<int64_t> dim = checked_count(value[axis], max_elements);
    if (!dim) return corrupt(name, "a dimension is no count or larger than the file");
    dims[axis] = *dim;
    if (*dim > 0 && product > max_elements / *dim) {
      return corrupt(name, "the product of the dimensions is larger than the file");
    }
    product *= *dim;
  }
  switch (value.size()) {
    case 0: return Shape{};
    case 1: return Shape{dims[0]};
    case 2: return Shape{dims[0], dims[1]};
    case 3: return Shape{dims[0], dims[1], dims[2]};
    default: return Shape{dims[0], dims[1], dims[2], dims[3]};
  }
}

Result<SafetensorsEntry> parse_entry(const std::string& name, const Json& value,
                                     int64_t data_bytes) {
  if (name.empty()) return corrupt(name, "the name is empty");
  if (!value.is_object()) return corrupt(name, "not an object");
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!value.contains(key)) return corrupt(name, fmt::format("no \"{}\"", key));
  }
  const Json& dtype_value = value["dtype"];
  if (!dtype_value.is_string()) return corrupt(name, "dtype is not a string");
  const auto& dtype_name = dtype_value.get_ref<const std::string&>();
  const DTypeName* dtype = find_dtype(dtype_name);
  if (dtype == nullptr) return corrupt(name, fmt::format("unknown dtype {}", shown(dtype_name)));

  const int64_t element_bytes = dtype->bits / 8;
  ASSIGN_OR_RETURN(const Shape shape,
                   parse_shape(name, value["shape"], data_bytes / element_bytes));
  const Json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) {
    return corrupt(name, "data_offsets is not a pair");
  }
  const std::optional<int64_t> begin = checked_count(offsets[0], data_bytes);
  const std::optional<int64_t> end = checked_count(offsets[1], data_bytes);
  if (!begin || !end || *begin > *end) {
    return corrupt(name, fmt::format("data_offsets {} are not a range within the {} data bytes",
                                     dump_json(offsets).substr(0, 80), data_bytes));
  }
  const int64_t wanted = shape.num_elements() * element_bytes;
  if (*end - *begin != wanted) {
    return corrupt(name, fmt::format("data_offsets span {} bytes, {} {} takes {}", *end - *begin,
                                     dtype_name, to_string(shape), wanted));
  }
  return SafetensorsEntry{name, dtype_name, dtype->dtype, shape, *begin, wanted};
}

}  // namespace

Result<std::vector<SafetensorsEntry>> parse_safetensors_header(std::string_view json,
                                                               int64_t data_bytes) {
  CHECK(data_bytes >= 0);
  auto parsed = parse_json(json, {.max_depth = 4,
                                  .max_bytes = static_cast<size_t>(kMaxSafetensorsHeaderBytes),
                                  .refuse_duplicate_keys = true});
  if (!parsed) {
    return Error{parsed.error().code, "safetensors header: " + parsed.error().message};
  }
  const Json header = std::move(parsed).value();
  if (!header.is_object()) return invalid_argument("safetensors header: not a JSON object");

  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;  // free text about the file's origin
    ASSIGN_OR_RETURN(SafetensorsEntry entry, parse_entry(name, value, data_bytes));
    entries.push_back(std::move(entry));
  }
  // Empty tensors first where offsets are equal, so that they do not look like an overlap.
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.offset, a.num_bytes) < std::pair(b.offset, b.num_bytes);
  });
  int64_t covered = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.offset != covered) {
      return corrupt(entry.name, fmt::format("its data starts at byte {}, {} byte {}", entry.offset,
                                             entry.offset < covered
                                                 ? "inside the tensor before it, which ends at"
                                                 : "leaving a hole after",
                                             covered));
    }
    covered += entry.num_bytes;
  }
  if (covered != data_bytes) {
    return invalid_argument(fmt::format(
        "safetensors header: the tensors cover {} bytes, the file holds {}", covered, data_bytes));
  }
  return entries;
}

Result<SafetensorsFile> read_safetensors(const ReadOnlyFile& file) {
  constexpr int64_t kPrefixBytes = 8;
  const auto fail = [&](const std::string& what) {
    return invalid_argument(fmt::format("{}: {}", file.path(), what));
  };
  if (file.num_bytes() < kPrefixBytes) {
    return fail(fmt::format("{} bytes, a safetensors file has at least {}", file.num_bytes(),
                            kPrefixBytes));
  }
  std::array<std::byte, kPrefixBytes> prefix = {};
  RETURN_IF_ERROR(file.read_at(0, prefix));
  if (std::memcmp(prefix.data(), "version ", prefix.size()) == 0) {
    return fail("is a Git LFS pointer, not the weights; download the file itself");
  }
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < prefix.size(); ++i) {
    header_bytes |= std::to_integer<uint64_t>(prefix[i]) << (8 * i);
  }
  const uint64_t limit =
      static_cast<uint64_t>(std::min(kMaxSafetensorsHeaderBytes, file.num_bytes() - kPrefixBytes));
  if (header_bytes > limit) {
    return fail(
        fmt::format("safetensors header of {} bytes is over the limit of {}", header_bytes, limit));
  }
  std::string json(header_bytes, '\0');
  RETURN_IF_ERROR(file.read_at(kPrefixBytes, std::as_writable_bytes(std::span<char>(json))));
  const int64_t data_start = kPrefixBytes + static_cast<int64_t>(header_bytes);
  auto entries = parse_safetensors_header(json, file.num_bytes() - data_start);
  if (!entries) return fail(entries.error().message);
  return SafetensorsFile{std::move(entries).value(), data_start};
}

Result<std::vector<SafetensorsIndexEntry>> parse_safetensors_index(std::string_view json) {
  const std::string where = "safetensors index: ";
  auto parsed = parse_json(json, {.max_depth = 8,
                                  .max_bytes = static_cast<size_t>(kMaxSafetensorsHeaderBytes),
                                  .refuse_duplicate_keys = true});
  if (!parsed) return Error{parsed.error().code, where + parsed.error().message};
  const Json index = std::move(parsed).value();
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    return invalid_argument(where + "no object \"weight_map\"");
  }
  std::vector<SafetensorsIndexEntry> entries;
  for (const auto& [tensor, value] : index["weight_map"].items()) {
    if (!value.is_string()) {
      return invalid_argument(where + "the file of tensor " + shown(tensor) + " is not a string");
    }
    const auto& file = value.get_ref<const std::string&>();
    const bool plain = !file.empty() && file.front() != '.' &&
                       file.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (!plain || !file.ends_with(".safetensors")) {
      return invalid_argument(where + "tensor " + shown(tensor) + " names the file " + shown(file) +
                              ", which is no plain *.safetensors name");
    }
    entries.push_back({tensor, file});
  }
  if (entries.empty()) return invalid_argument(where + "\"weight_map\" is empty");
  return entries;
}

}  // namespace pagoda
