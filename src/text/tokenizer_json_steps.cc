// Reads normalizers, pre-tokenizers and decoders of a tokenizer.json.
#include "text/tokenizer_json_steps.h"

#include <fmt/core.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>

namespace pagoda {
namespace {

constexpr int kMaxNesting = 8;
constexpr size_t kMaxSteps = 64;
// GPT-2's own pattern, which a ByteLevel pre-tokenizer with use_regex runs.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// `\w+|[^\w\s]+` of Rust's regex crate, whose \w is Alphabetic, marks, digits and connectors.
constexpr std::string_view kWhitespacePattern =
    R"([\p{L}\p{Nl}\p{M}\p{Nd}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}\x{200C}\x{200D}]+|[^\p{L}\p{Nl}\p{M}\p{Nd}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}\x{200C}\x{200D}\s]+)";

Error unsupported(std::string_view component, std::string_view value) {
  return {ErrorCode::kUnsupported,
          fmt::format("tokenizer.json: {} \"{:.60}\" is not supported", component, value)};
}

Error malformed(std::string_view what) {
  return invalid_argument(fmt::format("tokenizer.json: {}", what));
}

using Visit = std::function<Result<void>(const Json&, const std::string&)>;

// Calls `visit` for each component of a section, those of sequences in order.
Result<void> walk(const Json& section, std::string_view name, const char* list, int depth,
                  const Visit& visit) {
  if (section.is_null()) return {};
  if (!section.is_object()) return malformed(fmt::format("{}: not an object", name));
  const std::string type = json_text(section, "type");
  if (type != "Sequence") return visit(section, type);
  const auto parts = section.find(list);
  if (parts == section.end() || !parts->is_array()) {
    return malformed(fmt::format("{}: Sequence without {}", name, list));
  }
  if (depth == kMaxNesting || parts->size() > kMaxSteps) {
    return malformed(fmt::format("{}: sequences nested over {} deep or of over {} parts", name,
                                 kMaxNesting, kMaxSteps));
  }
  for (const Json& part : *parts) RETURN_IF_ERROR(walk(part, name, list, depth + 1, visit));
  return {};
}

// A pattern is {"String": text} or {"Regex": expression}.
Result<bool> read_pattern(const Json& component, std::string_view name, std::string& out) {
  const auto pattern = component.find("pattern");
  if (pattern != component.end() && pattern->is_object()) {
    for (const char* kind : {"Regex", "String"}) {
      const auto text = pattern->find(kind);
      if (text == pattern->end() || !text->is_string()) continue;
      out = text->get<std::string>();
      return kind == std::string_view("Regex");
    }
  }
  return malformed(fmt::format("{}: no pattern of String or Regex", name));
}

Result<SplitBehavior> read_behavior(const Json& component, SplitBehavior otherwise) {
  const std::string name = json_text(component, "behavior");
  if (name.empty()) return otherwise;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return unsupported("pre_tokenizer", "behavior " + name);
}

// Metaspace, of a pre-tokenizer and of a decoder. Older files have add_prefix_space.
Result<SplitStep::Prepend> read_prepend(const Json& component) {
  const std::string scheme = json_text(component, "prepend_scheme");
  if (scheme == "never") return SplitStep::Prepend::kNever;
  if (scheme == "first") return SplitStep::Prepend::kFirst;
  if (scheme == "always") return SplitStep::Prepend::kAlways;
  if (!scheme.empty()) return malformed("Metaspace: unknown prepend_scheme");
  return json_flag(component, "add_prefix_space", true) ? SplitStep::Prepend::kAlways
                                                        : SplitStep::Prepend::kNever;
}

std::string replacement_of(const Json& metaspace) {
  const std::string text = json_text(metaspace, "replacement");
  return text.empty() ? "\xE2\x96\x81" : text;
}

Result<void> add_split(const Json& part, const std::string& type, TokenizerData& data) {
  using Kind = SplitStep::Kind;
  SplitStep step;
  if (type == "ByteLevel") {
    if (json_flag(part, "add_prefix_space", true)) {
      data.splits.push_back({.kind = Kind::kPrefix, .pattern = " "});
    }
    if (json_flag(part, "use_regex", true)) {
      data.splits.push_back({.kind = Kind::kRegex, .pattern = std::string(kByteLevelPattern)});
    }
    step.kind = Kind::kByteAlphabet;
  } else if (type == "Split") {
    ASSIGN_OR_RETURN(const bool regex, read_pattern(part, "pre_tokenizer: Split", step.pattern));
    step.kind = regex ? Kind::kRegex : Kind::kText;
    // Cutting at the empty text, or at every match of the empty expression, is cutting nowhere.
    if (!regex && step.pattern.empty()) return {};
    ASSIGN_OR_RETURN(step.behavior, read_behavior(part, SplitBehavior::kIsolated));
    step.invert = json_flag(part, "invert", false);
  } else if (type == "Digits") {
    step.kind = Kind::kNumeric;
    step.behavior = json_flag(part, "individual_digits", false) ? SplitBehavior::kIsolated
                                                                : SplitBehavior::kContiguous;
  } else if (type == "Punctuation") {
    step.kind = Kind::kPunctuation;
    ASSIGN_OR_RETURN(step.behavior, read_behavior(part, SplitBehavior::kIsolated));
  } else if (type == "WhitespaceSplit") {
    step.kind = Kind::kWhiteSpace;
    step.behavior = SplitBehavior::kRemoved;
  } else if (type == "Whitespace") {
    step.pattern = kWhitespacePattern;
    step.behavior = SplitBehavior::kRemoved;
    step.invert = true;
  } else if (type == "BertPreTokenizer") {
    data.splits.push_back({.kind = Kind::kWhiteSpace, .behavior = SplitBehavior::kRemoved});
    step.kind = Kind::kPunctuation;
  } else if (type == "CharDelimiterSplit") {
    step.kind = Kind::kText;
    step.pattern = json_text(part, "delimiter");
    step.behavior = SplitBehavior::kRemoved;
  } else if (type == "Metaspace") {
    step.kind = Kind::kMetaspace;
    step.pattern = replacement_of(part);
    ASSIGN_OR_RETURN(step.prepend, read_prepend(part));
    step.split = json_flag(part, "split", true);
  } else {
    return unsupported("pre_tokenizer", type);
  }
  data.splits.push_back(std::move(step));
  return {};
}

Result<void> add_normalizer(const Json& part, const std::string& type, TokenizerData& data) {
  using Kind = NormalizerStep::Kind;
  NormalizerStep step;
  if (type == "NFC") {
    step.kind = Kind::kNfc;
  } else if (type == "NFD") {
    step.kind = Kind::kNfd;
  } else if (type == "NFKC") {
    step.kind = Kind::kNfkc;
  } else if (type == "NFKD") {
    step.kind = Kind::kNfkd;
  } else if (type == "Lowercase") {
    step.kind = Kind::kLowercase;
  } else if (type == "StripAccents") {
    step.kind = Kind::kStripAccents;
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    step.left = json_flag(part, "strip_left", true);
    step.right = json_flag(part, "strip_right", true);
  } else if (type == "Prepend") {
    step.kind = Kind::kPrepend;
    step.content = json_text(part, "prepend");
  } else if (type == "Replace") {
    ASSIGN_OR_RETURN(const bool regex, read_pattern(part, "normalizer: Replace", step.pattern));
    step.kind = regex ? Kind::kReplaceRegex : Kind::kReplace;
    step.content = json_text(part, "content");
  } else {
    return unsupported("normalizer", type);
  }
  data.normalizers.push_back(std::move(step));
  return {};
}

Result<void> add_decoder(const Json& part, const std::string& type, TokenizerData& data) {
  using Kind = DecoderStep::Kind;
  DecoderStep step;
  if (type == "ByteLevel") {
    step.kind = Kind::kByteLevel;
  } else if (type == "ByteFallback") {
    step.kind = Kind::kByteFallback;
  } else if (type == "Fuse") {
    step.kind = Kind::kFuse;
  } else if (type == "Replace") {
    ASSIGN_OR_RETURN(const bool regex, read_pattern(part, "decoder: Replace", step.pattern));
    step.kind = regex ? Kind::kReplaceRegex : Kind::kReplace;
    step.content = json_text(part, "content");
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    step.content = json_text(part, "content");
    for (const auto& [key, target] : {std::pair{"start", &step.start}, {"stop", &step.stop}}) {
      const auto count = part.find(key);
      const bool fits =
          count != part.end() && count->is_number_integer() && *count >= 0 && *count <= 64;
      if (!fits) return malformed(fmt::format("decoder: Strip without {} from 0 to 64", key));
      *target = count->get<int32_t>();
    }
  } else if (type == "Metaspace") {
    step.kind = Kind::kMetaspace;
    step.content = replacement_of(part);
    ASSIGN_OR_RETURN(const SplitStep::Prepend prepend, read_prepend(part));
    step.drop_first = prepend != SplitStep::Prepend::kNever;
  } else {
    return unsupported("decoder", type);
  }
  data.decoders.push_back(std::move(step));
  return {};
}

}  // namespace

bool json_flag(const Json& object, const char* key, bool otherwise) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() ? it->get<bool>() : otherwise;
}

std::string json_text(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

Result<void> read_normalizer(const Json& normalizer, TokenizerData& data) {
  return walk(
      normalizer, "normalizer", "normalizers", 0,
      [&](const Json& part, const std::string& type) { return add_normalizer(part, type, data); });
}

Result<void> read_pre_tokenizer(const Json& pre_tokenizer, TokenizerData& data) {
  return walk(
      pre_tokenizer, "pre_tokenizer", "pretokenizers", 0,
      [&](const Json& part, const std::string& type) { return add_split(part, type, data); });
}

Result<void> read_decoder(const Json& decoder, TokenizerData& data) {
  return walk(decoder, "decoder", "decoders", 0, [&](const Json& part, const std::string& type) {
    return add_decoder(part, type, data);
  });
}

}  // namespace pagoda
