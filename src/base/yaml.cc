// Flat YAML on yaml-cpp, which by itself takes duplicate keys silently.
#include "base/yaml.h"

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

namespace pagoda {
namespace {

Result<YamlEntry> read_entry(const YAML::Node& key, const YAML::Node& value) {
  const int line = key.Mark().line + 1;
  if (!key.IsScalar()) return invalid_argument(fmt::format("line {}: a key must be text", line));
  YamlEntry entry{key.Scalar(), {}, line};
  if (value.IsScalar()) {
    entry.values.push_back(value.Scalar());
  } else if (value.IsSequence()) {
    for (const YAML::Node& item : value) {
      if (!item.IsScalar()) {
        return invalid_argument(
            fmt::format("line {}: '{}' may list only plain values", line, entry.key));
      }
      entry.values.push_back(item.Scalar());
    }
  } else {
    return invalid_argument(
        fmt::format("line {}: '{}' must be a plain value or a list of them", line, entry.key));
  }
  return entry;
}

// YAML::Load() reads the first document and drops the others; LoadAll() does not end on some
// inputs.
bool has_second_document(std::string_view text) {
  bool seen_content = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.starts_with("---") && seen_content) return true;
    seen_content = seen_content || (!line.empty() && line[0] != '#' && line[0] != '\r');
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return false;
}

}  // namespace

Result<std::vector<YamlEntry>> parse_flat_yaml(std::string_view text) {
  std::vector<YamlEntry> entries;
  if (has_second_document(text)) return invalid_argument("more than one document ('---')");
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    if (root.IsNull()) return entries;
    if (!root.IsMap()) return invalid_argument("the top level must be a mapping 'name: value'");
    std::set<std::string> seen;
    for (const auto& pair : root) {
      ASSIGN_OR_RETURN(YamlEntry entry, read_entry(pair.first, pair.second));
      if (!seen.insert(entry.key).second) {
        return invalid_argument(fmt::format("line {}: duplicate key '{}'", entry.line, entry.key));
      }
      entries.push_back(std::move(entry));
    }
  } catch (const YAML::Exception& error) {
    return invalid_argument(fmt::format("line {}: {}", error.mark.line + 1, error.msg));
  }
  return entries;
}

}  // namespace pagoda
