// Reads a tokenizer.json: the two big tables by a scanner of its own, the rest as JSON values.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "text/bpe.h"
#include "text/json_scanner.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr int32_t kMaxVocabSize = 1 << 21;  // ids; the largest published vocabularies have 2^18
constexpr size_t kMaxMerges = size_t{1} << 22;
// GPT-2's own pattern, which a ByteLevel pre-tokenizer with use_regex runs.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Error unsupported(std::string_view component, std::string_view value) {
  return {ErrorCode::kUnsupported,
          fmt::format("tokenizer.json: {} \"{}\" is not supported", component, value)};
}

Error malformed(std::string_view what) {
  return invalid_argument(fmt::format("tokenizer.json: {}", what));
}

// Byte of each character of GPT-2's byte-level alphabet: printable Latin-1 stands for itself, the
// other 68 bytes for U+0100 and on, in order.
class ByteLevelAlphabet {
 public:
  ByteLevelAlphabet() {
    bytes_.fill(-1);
    int16_t next = 256;
    for (int16_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      bytes_[static_cast<size_t>(printable ? byte : next++)] = byte;
    }
  }
  // Raw bytes of a spelling; a spelling with a character outside the alphabet stands for itself, as
  // in Hugging Face's decoder.
  void decode(std::string_view spelling, std::string& out) const {
    out.clear();
    for (size_t offset = 0; offset < spelling.size();) {
      const char32_t c = next_code_point(spelling, offset);
      const int16_t byte = c < bytes_.size() ? bytes_[c] : int16_t{-1};
      if (byte < 0) {
        out.assign(spelling);
        return;
      }
      out.push_back(static_cast<char>(byte));
    }
  }

 private:
  std::array<int16_t, 324> bytes_ = {};
};

const ByteLevelAlphabet& alphabet() {
  static const ByteLevelAlphabet instance;
  return instance;
}

bool flag(const Json& object, const char* key, bool otherwise) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() ? it->get<bool>() : otherwise;
}

std::string text_of(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

bool absent(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null();
}

Result<int32_t> checked_id(const Json& value, std::string_view what) {
  if (!value.is_number_integer()) return malformed(fmt::format("{}: id is no integer", what));
  // A number beyond int64 arrives as unsigned and turns negative here.
  const auto id = value.get<int64_t>();
  if (id < 0 || id >= kMaxVocabSize) {
    return malformed(fmt::format("{}: id {} outside 0..{}", what, id, kMaxVocabSize - 1));
  }
  return static_cast<int32_t>(id);
}

Result<void> read_vocab(JsonScanner& in, std::vector<std::string>& tokens) {
  std::string spelling, bytes;
  if (!in.enter('{')) return in.error();
  tokens.reserve(std::min(size_t{1} << 17, in.text().size() / 16));
  while (in.next_member(spelling)) {
    int64_t id = 0;
    if (!in.read_integer(id)) return in.error();
    if (id < 0 || id >= kMaxVocabSize) {
      return malformed(fmt::format("model.vocab: id {} outside 0..{}", id, kMaxVocabSize - 1));
    }
    const auto at = static_cast<size_t>(id);
    if (at >= tokens.size()) tokens.resize(at + 1);
    if (!tokens[at].empty()) return malformed(fmt::format("model.vocab: id {} is used twice", id));
    alphabet().decode(spelling, bytes);
    tokens[at] = bytes;
  }
  return in.failed() ? Result<void>(in.error()) : Result<void>();
}

// Merges come as "left right", or as ["left", "right"] in newer files.
Result<void> read_merges(JsonScanner& in, const TokenIndex& index, TokenizerData& data) {
  std::string spelling, left, right;
  const auto add = [&](std::string_view left_spelling, std::string_view right_spelling) {
    alphabet().decode(left_spelling, left);
    alphabet().decode(right_spelling, right);
    data.merges.emplace_back(index.find(left), index.find(right));
    return data.merges.back().first >= 0 && data.merges.back().second >= 0;
  };
  data.merges.reserve(std::min(size_t{1} << 18, in.text().size() / 16));
  if (!in.enter('[')) return in.error();
  while (in.next_element()) {
    bool known = false;
    if (in.peek() == '[') {
      std::array<std::string, 2> pair;
      size_t count = 0;
      in.enter('[');
      while (in.next_element()) {
        if (count == pair.size() || !in.read_string(pair[count])) break;
        ++count;
      }
      if (in.failed()) return in.error();
      if (count != 2 || !in.left_container()) return malformed("model.merges: not a pair");
      known = add(pair[0], pair[1]);
    } else {
      if (!in.read_string(spelling)) return in.error();
      const size_t space = spelling.find(' ');
      if (space == std::string::npos || spelling.find(' ', space + 1) != std::string::npos) {
        return malformed(
            fmt::format("model.merges: entry {} is not two tokens", data.merges.size()));
      }
      known = add(std::string_view(spelling).substr(0, space),
                  std::string_view(spelling).substr(space + 1));
    }
    if (!known) {
      return malformed(fmt::format("model.merges: entry {} uses a token outside the vocabulary",
                                   data.merges.size() - 1));
    }
    if (data.merges.size() > kMaxMerges) {
      return malformed(fmt::format("model.merges: more than {}", kMaxMerges));
    }
  }
  return in.failed() ? Result<void>(in.error()) : Result<void>();
}

// Everything of the model but its two tables.
Result<void> check_model(const Json& model, TokenizerData& data) {
  const std::string type = text_of(model, "type");
  if (!type.empty() && type != "BPE") return unsupported("model", type);
  if (flag(model, "byte_fallback", false)) return unsupported("model", "BPE with byte_fallback");
  if (!absent(model, "dropout") && model["dropout"] != 0.0) {
    return unsupported("model", "BPE with dropout");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!text_of(model, key).empty()) return unsupported("model", std::string("BPE with ") + key);
  }
  if (!absent(model, "unk_token")) {
    std::array<bool, 256> present = {};
    for (const std::string& token : data.tokens) {
      if (token.size() == 1) present[static_cast<uint8_t>(token[0])] = true;
    }
    for (const bool here : present) {
      if (!here) return unsupported("model", "BPE with unk_token and no complete byte alphabet");
    }
  }
  data.ignore_merges = flag(model, "ignore_merges", false);
  return {};
}

Result<void> read_model(JsonScanner& in, TokenizerData& data) {
  std::string key;
  std::optional<size_t> merges_at;
  Json rest = Json::object();
  bool has_vocab = false;
  if (!in.enter('{')) return in.error();
  while (in.next_member(key)) {
    if (key == "vocab" && in.peek() == '{' && !has_vocab) {
      RETURN_IF_ERROR(read_vocab(in, data.tokens));
      has_vocab = true;
    } else if (key == "merges" && !merges_at) {
      merges_at = in.offset();  // needs the vocabulary, which may come later
      in.skip_value();
    } else if (key == "vocab" || key == "merges") {
      // A Unigram model has a list here; its type is what the message should name.
      if (has_vocab && merges_at) return malformed("model: a table is given twice");
      in.skip_value();
    } else {
      const std::string_view text = in.skip_value();
      if (in.failed() || text.size() > 4096) break;
      ASSIGN_OR_RETURN(rest[key], parse_json(text));
    }
  }
  if (in.failed()) return in.error();
  RETURN_IF_ERROR(check_model(rest, data));
  if (!has_vocab || !merges_at) return malformed("model: no vocab or no merges");
  JsonScanner merges(in.text(), *merges_at);
  return read_merges(merges, TokenIndex(data.tokens), data);
}

Result<void> read_normalizer(const Json& normalizer, TokenizerData& data) {
  if (normalizer.is_null()) return {};
  const std::string type = text_of(normalizer, "type");
  if (type == "NFC") {
    data.normalize_nfc = true;
    return {};
  }
  const auto parts = normalizer.find("normalizers");
  if (type == "Sequence" && parts != normalizer.end() && parts->is_array()) {
    for (const Json& part : *parts) {
      if (text_of(part, "type") == "Sequence") return unsupported("normalizer", "nested Sequence");
      RETURN_IF_ERROR(read_normalizer(part, data));
    }
    return {};
  }
  return unsupported("normalizer", type);
}

Result<void> read_split(const Json& split, TokenizerData& data) {
  if (!data.split_pattern.empty()) return unsupported("pre_tokenizer", "more than one Split");
  const auto pattern = split.find("pattern");
  if (pattern == split.end() || !pattern->is_object()) {
    return malformed("pre_tokenizer: Split without a pattern");
  }
  data.split_pattern = text_of(*pattern, "Regex");
  if (data.split_pattern.empty()) return unsupported("pre_tokenizer", "Split without a Regex");
  const std::string behavior = text_of(split, "behavior");
  if (behavior == "Removed" && flag(split, "invert", false)) {
    data.drop_unmatched = true;
  } else if (behavior != "Isolated") {
    return unsupported("pre_tokenizer", "Split with behavior " + behavior);
  }
  return {};
}

Result<void> read_byte_level(const Json& level, TokenizerData& data) {
  const bool after_split = !data.split_pattern.empty();
  data.add_prefix_space = flag(level, "add_prefix_space", true);
  const bool use_regex = flag(level, "use_regex", true);
  if (after_split && (data.add_prefix_space || use_regex)) {
    return unsupported("pre_tokenizer",
                       "ByteLevel with a pattern or prefix of its own, after Split");
  }
  if (use_regex) data.split_pattern = kByteLevelPattern;
  return {};
}

Result<void> read_pre_tokenizer(const Json& pre_tokenizer, TokenizerData& data) {
  const std::string type = text_of(pre_tokenizer, "type");
  if (type == "ByteLevel") return read_byte_level(pre_tokenizer, data);
  if (type != "Sequence") return unsupported("pre_tokenizer", type.empty() ? "null" : type);
  const auto parts = pre_tokenizer.find("pretokenizers");
  if (parts == pre_tokenizer.end() || !parts->is_array()) {
    return malformed("pre_tokenizer: Sequence without pretokenizers");
  }
  bool byte_level = false;
  for (const Json& part : *parts) {
    const std::string part_type = text_of(part, "type");
    if (byte_level || (part_type != "Split" && part_type != "ByteLevel")) {
      return unsupported("pre_tokenizer", "Sequence with " + part_type);
    }
    byte_level = part_type == "ByteLevel";
    RETURN_IF_ERROR(byte_level ? read_byte_level(part, data) : read_split(part, data));
  }
  return byte_level ? Result<void>()
                    : Result<void>(unsupported("pre_tokenizer", "Sequence without ByteLevel"));
}

Result<void> read_template(const Json& processor, TokenizerData& data) {
  const auto single = processor.find("single");
  const auto specials = processor.find("special_tokens");
  if (single == processor.end() || !single->is_array() || specials == processor.end() ||
      !specials->is_object()) {
    return malformed("post_processor: TemplateProcessing without single or special_tokens");
  }
  bool behind_text = false;
  for (const Json& part : *single) {
    if (part.contains("Sequence")) {
      if (behind_text) return unsupported("post_processor", "TemplateProcessing with two texts");
      behind_text = true;
      continue;
    }
    const auto special = part.find("SpecialToken");
    if (special == part.end()) return malformed("post_processor: unknown part of a template");
    const auto entry = specials->find(text_of(*special, "id"));
    if (entry == specials->end() || !entry->is_object() || !entry->contains("ids") ||
        !(*entry)["ids"].is_array()) {
      return malformed("post_processor: a special token without ids");
    }
    for (const Json& value : (*entry)["ids"]) {
      ASSIGN_OR_RETURN(const int32_t id, checked_id(value, "post_processor"));
      (behind_text ? data.suffix_ids : data.prefix_ids).push_back(id);
    }
  }
  return behind_text ? Result<void>()
                     : Result<void>(malformed("post_processor: a template without the text"));
}

Result<void> read_post_processor(const Json& processor, TokenizerData& data, bool in_sequence) {
  if (processor.is_null()) return {};
  const std::string type = text_of(processor, "type");
  if (type == "ByteLevel") return {};  // moves offsets only
  if (type == "TemplateProcessing") {
    if (!data.prefix_ids.empty() || !data.suffix_ids.empty()) {
      return unsupported("post_processor", "more than one TemplateProcessing");
    }
    return read_template(processor, data);
  }
  const auto parts = processor.find("processors");
  if (type != "Sequence" || in_sequence || parts == processor.end() || !parts->is_array()) {
    return unsupported("post_processor", type);
  }
  for (const Json& part : *parts) RETURN_IF_ERROR(read_post_processor(part, data, true));
  return {};
}

Result<void> read_decoder(const Json& decoder) {
  const std::string type = text_of(decoder, "type");
  if (decoder.is_null() || type == "ByteLevel") return {};
  return unsupported("decoder", type);
}

Result<void> read_added_tokens(const Json& list, TokenizerData& data) {
  if (list.is_null()) return {};
  if (!list.is_array()) return malformed("added_tokens: not a list");
  for (const Json& entry : list) {
    if (!entry.is_object() || !entry.contains("id")) return malformed("added_tokens: bad entry");
    TokenizerData::AddedToken token;
    ASSIGN_OR_RETURN(token.id, checked_id(entry["id"], "added_tokens"));
    token.content = text_of(entry, "content");
    token.special = flag(entry, "special", false);
    token.lstrip = flag(entry, "lstrip", false);
    token.rstrip = flag(entry, "rstrip", false);
    token.single_word = flag(entry, "single_word", false);
    token.normalized = flag(entry, "normalized", false);
    const auto at = static_cast<size_t>(token.id);
    if (at < data.tokens.size() && !data.tokens[at].empty()) {
      // The model may hold the token too, in its byte-level spelling.
      std::string bytes;
      alphabet().decode(token.content, bytes);
      if (data.tokens[at] == bytes) data.tokens[at] = token.content;
    }
    data.added_tokens.push_back(std::move(token));
  }
  return {};
}

}  // namespace

Result<TokenizerData> parse_tokenizer_json(std::string_view text) {
  if (!is_valid_utf8(text)) return malformed("not valid UTF-8");
  JsonScanner in(text, 0);
  TokenizerData data;
  Json parts = Json::object();
  bool has_model = false;
  std::string key;
  if (!in.enter('{')) return in.error();
  while (in.next_member(key)) {
    if (key == "model" && in.peek() == '{') {
      if (has_model) return malformed("model is given twice");
      RETURN_IF_ERROR(read_model(in, data));
      has_model = true;
    } else if (key == "added_tokens" || key == "normalizer" || key == "pre_tokenizer" ||
               key == "post_processor" || key == "decoder") {
      const std::string_view value = in.skip_value();
      if (in.failed()) break;
      ASSIGN_OR_RETURN(parts[key], parse_json(value));
    } else {
      in.skip_value();
    }
  }
  if (in.failed() || !in.at_end()) return in.error();
  if (!has_model) return malformed("no model");
  for (const char* name : {"normalizer", "pre_tokenizer", "post_processor", "decoder"}) {
    if (!absent(parts, name) && !parts[name].is_object()) {
      return malformed(fmt::format("{}: not an object", name));
    }
  }
  RETURN_IF_ERROR(read_normalizer(parts["normalizer"], data));
  RETURN_IF_ERROR(read_pre_tokenizer(parts["pre_tokenizer"], data));
  RETURN_IF_ERROR(read_post_processor(parts["post_processor"], data, false));
  RETURN_IF_ERROR(read_decoder(parts["decoder"]));
  RETURN_IF_ERROR(read_added_tokens(parts["added_tokens"], data));
  return data;
}

}  // namespace pagoda
