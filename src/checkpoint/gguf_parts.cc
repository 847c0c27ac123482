// Names and counts of the parts.
#include "checkpoint/gguf_parts.h"

#include <fmt/core.h>

#include <charconv>
#include <utility>

namespace pagoda {
namespace {

constexpr int32_t kMaxParts = 1000;

std::optional<int32_t> parse_digits(std::string_view digits) {
  int32_t number = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = 10 * number + (digit - '0');
  }
  return number;
}

Error bad_part(const std::string& path, const std::string& what) {
  return invalid_argument(path + ": " + what);
}

// What every part says of itself must be what its name says.
Result<void> check_part(const GgufFile& file, const GgufPart& part) {
  ASSIGN_OR_RETURN(const auto number, file.integer("split.no", 0, UINT16_MAX));
  ASSIGN_OR_RETURN(const auto count, file.integer("split.count", 0, UINT16_MAX));
  if (number.value_or(-1) != part.number - 1 || count.value_or(-1) != part.count) {
    return bad_part(file.path(),
                    fmt::format("by its name part {} of {}, by its metadata "
                                "split.no is {} and split.count {}",
                                part.number, part.count, number.value_or(-1), count.value_or(-1)));
  }
  return {};
}

}  // namespace

std::optional<GgufPart> gguf_part(std::string_view path) {
  constexpr std::string_view kForm = "-00001-of-00001.gguf";
  if (path.size() <= kForm.size()) return std::nullopt;
  const std::string_view end = path.substr(path.size() - kForm.size());
  const auto number = parse_digits(end.substr(1, 5));
  const auto count = parse_digits(end.substr(10, 5));
  if (end.front() != '-' || end.substr(6, 4) != "-of-" || end.substr(15) != ".gguf" || !number ||
      !count || *number < 1 || *number > *count) {
    return std::nullopt;
  }
  return GgufPart{path.substr(0, path.size() - kForm.size()), *number, *count};
}

Result<std::vector<GgufFile>> open_gguf_parts(const std::string& path) {
  std::vector<GgufFile> files;
  ASSIGN_OR_RETURN(GgufFile first, GgufFile::open(path));
  ASSIGN_OR_RETURN(const auto claimed, first.integer("split.count", 0, UINT16_MAX));
  const std::optional<GgufPart> part = gguf_part(path);
  if (claimed.value_or(0) <= 1) {
    files.push_back(std::move(first));
    return files;
  }
  if (!part) {
    return bad_part(path, fmt::format("split.count is {}, but the name is not of the form "
                                      "x-00001-of-{:05}.gguf",
                                      *claimed, *claimed));
  }
  if (part->number != 1) {
    return bad_part(path, fmt::format("is part {} of a split model; give the first, {}-00001-of-"
                                      "{:05}.gguf",
                                      part->number, part->base, part->count));
  }
  if (part->count > kMaxParts) {
    return bad_part(path, fmt::format("{} parts, over the limit of {}", part->count, kMaxParts));
  }
  ASSIGN_OR_RETURN(const auto num_tensors, first.integer("split.tensors.count", 0, INT32_MAX));
  size_t found = first.tensors().size();
  RETURN_IF_ERROR(check_part(first, *part));
  files.push_back(std::move(first));
  for (int32_t number = 2; number <= part->count; ++number) {
    ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(fmt::format("{}-{:05}-of-{:05}.gguf", part->base,
                                                               number, part->count)));
    RETURN_IF_ERROR(check_part(file, {part->base, number, part->count}));
    found += file.tensors().size();
    files.push_back(std::move(file));
  }
  if (num_tensors && static_cast<size_t>(*num_tensors) != found) {
    return bad_part(path, fmt::format("split.tensors.count is {}, the {} parts have {}",
                                      *num_tensors, part->count, found));
  }
  return files;
}

}  // namespace pagoda
