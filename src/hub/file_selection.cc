// The choice of files: safetensors or one GGUF model, and what belongs to it.
#include "hub/file_selection.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "base/printable.h"

namespace pagoda {
namespace {

constexpr size_t kMaxListed = 30;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

bool is_at_top(std::string_view path) {
  return path.find('/') == std::string_view::npos;
}

struct PartName {
  std::string group;  // the path without its number
  int number = 0;
  int count = 0;
};

// NAME-00002-of-00003.EXT, of at most 99999 parts; nullopt for any other name.
std::optional<PartName> part_name(std::string_view path) {
  const size_t dot = path.rfind('.');
  constexpr std::string_view kShape = "-00000-of-00000";
  if (dot == std::string_view::npos || dot < kShape.size()) return std::nullopt;
  const std::string_view mark = path.substr(dot - kShape.size(), kShape.size());
  PartName part;
  for (size_t i = 0; i < mark.size(); ++i) {
    const bool digit = mark[i] >= '0' && mark[i] <= '9';
    if (kShape[i] == '0' ? !digit : mark[i] != kShape[i]) return std::nullopt;
  }
  std::from_chars(mark.data() + 1, mark.data() + 6, part.number);
  std::from_chars(mark.data() + 10, mark.data() + 15, part.count);
  if (part.number < 1 || part.number > part.count) return std::nullopt;
  part.group = fmt::format("{}-of-{:05}{}", path.substr(0, dot - kShape.size()), part.count,
                           path.substr(dot));
  return part;
}

bool matches(const std::string& path, const std::vector<std::string>& globs) {
  return std::ranges::any_of(
      globs, [&](const std::string& glob) { return fnmatch(glob.c_str(), path.c_str(), 0) == 0; });
}

// Whether `path` has `quantization` as a word: Q4_K is not in Q4_K_M, nor Q4_XS in IQ4_XS.
bool has_quantization(std::string_view path, std::string_view quantization) {
  const std::string text = lower(path);
  const std::string word = lower(quantization);
  const auto joins = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !joins(text[at - 1])) && (end == text.size() || !joins(text[end]))) return true;
  }
  return false;
}

std::string listed(const std::vector<std::string>& names) {
  std::vector<std::string> shown;
  for (const std::string& name : names) {
    if (shown.size() == kMaxListed) {
      shown.push_back(fmt::format("and {} more", names.size() - kMaxListed));
      break;
    }
    shown.push_back(printable(name, 120));
  }
  return fmt::format("{}", fmt::join(shown, ", "));
}

// The files of each GGUF model, by the path of its first part.
using GgufModels = std::map<std::string, std::vector<std::string>>;

GgufModels gguf_models(const std::vector<std::string>& paths) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const std::string& path : paths) {
    // A projector of images or an importance matrix is no model by itself.
    const std::string name = lower(base_name(path));
    if (!name.ends_with(".gguf") || name.find("mmproj") != std::string::npos ||
        name.find("imatrix") != std::string::npos) {
      continue;
    }
    const auto part = part_name(path);
    groups[part ? part->group : path].push_back(path);
  }
  GgufModels models;
  for (auto& [group, files] : groups) {
    std::ranges::sort(files);
    models[files.front()] = files;
  }
  return models;
}

std::vector<std::string> names_of(const GgufModels& models) {
  std::vector<std::string> names;
  for (const auto& [name, files] : models) names.push_back(name);
  return names;
}

Result<Selection> select_gguf(const std::vector<std::string>& paths,
                              const std::string& quantization) {
  const GgufModels models = gguf_models(paths);
  GgufModels fitting;
  for (const auto& [name, files] : models) {
    if (quantization.empty() || has_quantization(name, quantization)) fitting[name] = files;
  }
  if (fitting.size() == 1) {
    const auto& [name, files] = *fitting.begin();
    return Selection{.paths = files, .gguf_file = name};
  }
  if (models.empty()) {
    return Error{ErrorCode::kNotFound, "there is no .gguf file to choose by a quantization"};
  }
  if (fitting.empty()) {
    return Error{ErrorCode::kNotFound, fmt::format("no GGUF file is '{}'; there are: {}",
                                                   quantization, listed(names_of(models)))};
  }
  return Error{ErrorCode::kNotFound,
               fmt::format("{} GGUF models fit; add one's quantization as in :Q4_K_M, or "
                           "--include: {}",
                           fitting.size(), listed(names_of(fitting)))};
}

// What a model needs beside its weights.
bool is_companion(const std::string& path) {
  if (path.starts_with("additional_chat_templates/") && path.ends_with(".jinja")) return true;
  if (!is_at_top(path)) return false;
  if (path.ends_with(".bin.index.json")) return false;
  return path.ends_with(".json") || path.ends_with(".jinja") ||
         path.starts_with("tokenizer.model") || path == "merges.txt" || path == "vocab.txt";
}

std::vector<std::string> top_safetensors(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  std::vector<std::string> preferred;
  for (const std::string& path : paths) {
    if (!is_at_top(path) || !path.ends_with(".safetensors")) continue;
    all.push_back(path);
    if (path.starts_with("model")) preferred.push_back(path);
  }
  return preferred.empty() ? all : preferred;
}

Result<Selection> select_usual(const std::vector<std::string>& paths) {
  const std::vector<std::string> weights = top_safetensors(paths);
  if (weights.empty()) {
    if (!gguf_models(paths).empty()) return select_gguf(paths, "");
    const bool pickles = std::ranges::any_of(paths, [](const std::string& path) {
      return is_at_top(path) && (path.ends_with(".bin") || path.ends_with(".pth"));
    });
    if (pickles) {
      return Error{ErrorCode::kUnsupported,
                   "its weights are only *.bin (pickles, which can run code); *.safetensors or "
                   "*.gguf is needed"};
    }
    return Error{ErrorCode::kNotFound, "there are no *.safetensors and no *.gguf"};
  }
  Selection selection;
  std::ranges::copy_if(paths, std::back_inserter(selection.paths), is_companion);
  selection.paths.insert(selection.paths.end(), weights.begin(), weights.end());
  return selection;
}

Result<Selection> select_included(const std::vector<std::string>& paths,
                                  const std::vector<std::string>& globs) {
  Selection selection;
  for (const std::string& path : paths) {
    if (matches(path, globs)) selection.paths.push_back(path);
  }
  if (selection.paths.empty()) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("no file matches {}; there are: {}", listed(globs), listed(paths))};
  }
  std::stable_partition(selection.paths.begin(), selection.paths.end(),
                        [](const std::string& path) { return !is_weights_file(path); });
  const GgufModels models = gguf_models(selection.paths);
  const bool only_gguf = std::ranges::none_of(
      selection.paths, [](const std::string& path) { return path.ends_with(".safetensors"); });
  if (only_gguf && models.size() == 1) selection.gguf_file = models.begin()->first;
  return selection;
}

}  // namespace

bool is_weights_file(std::string_view path) {
  return path.ends_with(".safetensors") || lower(path).ends_with(".gguf");
}

Result<Selection> select_files(const std::vector<std::string>& paths, const SelectionRules& rules) {
  std::vector<std::string> left;
  std::ranges::copy_if(paths, std::back_inserter(left),
                       [&](const std::string& path) { return !matches(path, rules.exclude); });
  std::ranges::sort(left);
  if (!rules.quantization.empty()) return select_gguf(left, rules.quantization);
  if (!rules.include.empty()) return select_included(left, rules.include);
  return select_usual(left);
}

std::string missing_part(const std::vector<std::string>& paths) {
  std::map<std::string, std::set<int>> numbers;
  std::map<std::string, int> counts;
  for (const std::string& path : paths) {
    const auto part = part_name(path);
    if (!part) continue;
    numbers[part->group].insert(part->number);
    counts[part->group] = part->count;
  }
  for (const auto& [group, found] : numbers) {
    for (int number = 1; number <= counts[group]; ++number) {
      if (!found.contains(number)) return fmt::format("part {} of {}", number, group);
    }
  }
  return "";
}

}  // namespace pagoda
