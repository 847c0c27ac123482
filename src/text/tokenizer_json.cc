// Reads a tokenizer.json: the two big tables by a scanner of its own, the rest as JSON values.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "text/bpe.h"
#include "text/byte_alphabet.h"
#include "text/json_scanner.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json_steps.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr int32_t kMaxVocabSize = 1 << 21;  // ids; the largest published vocabularies have 2^18
constexpr size_t kMaxMerges = size_t{1} << 22;

Error unsupported(std::string_view component, std::string_view value) {
  return {ErrorCode::kUnsupported,
          fmt::format("tokenizer.json: {} \"{:.60}\" is not supported", component, value)};
}

Error malformed(std::string_view what) {
  return invalid_argument(fmt::format("tokenizer.json: {}", what));
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

// What a token of the model is: raw bytes where the pre-tokenizer works on them, else its spelling.
// Returns false for one that no text can become.
bool read_spelling(std::string_view spelling, const TokenizerData& data, std::string& out) {
  if (data.model == TokenizerData::Model::kByteMerges) return from_byte_alphabet(spelling, out);
  out.assign(spelling);
  return true;
}

Result<void> read_vocab(JsonScanner& in, TokenizerData& data) {
  std::vector<std::string>& tokens = data.tokens;
  std::vector<size_t> unreachable;
  std::string spelling;
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
    if (!read_spelling(spelling, data, tokens[at])) unreachable.push_back(at);
  }
  if (!unreachable.empty()) data.scores.resize(tokens.size());
  for (const size_t id : unreachable) data.scores[id] = std::numeric_limits<float>::quiet_NaN();
  return in.failed() ? Result<void>(in.error()) : Result<void>();
}

// Merges come as "left right", or as ["left", "right"] in newer files.
Result<void> read_merges(JsonScanner& in, const TokenIndex& index, TokenizerData& data) {
  std::string spelling, left, right;
  const auto add = [&](std::string_view left_spelling, std::string_view right_spelling) {
    read_spelling(left_spelling, data, left);
    read_spelling(right_spelling, data, right);
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
  const std::string type = json_text(model, "type");
  if (!type.empty() && type != "BPE") return unsupported("model", type);
  if (!absent(model, "dropout") && model["dropout"] != 0.0) {
    return unsupported("model", "BPE with dropout");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!json_text(model, key).empty()) return unsupported("model", std::string("BPE with ") + key);
  }
  const std::string unknown = json_text(model, "unk_token");
  const bool bytes = data.model == TokenizerData::Model::kByteMerges;
  if (!unknown.empty()) {
    std::string spelled;
    read_spelling(unknown, data, spelled);
    data.unk_id = TokenIndex(data.tokens, data.scores).find(spelled);
    if (data.unk_id < 0 && !bytes) {
      return malformed(fmt::format("model.unk_token \"{:.60}\" is not in the vocabulary", unknown));
    }
  }
  data.fuse_unk = json_flag(model, "fuse_unk", false);
  data.byte_fallback = json_flag(model, "byte_fallback", false);
  if (bytes && data.byte_fallback) {
    std::array<bool, 256> present = {};
    for (const std::string& token : data.tokens) {
      if (token.size() == 1) present[static_cast<uint8_t>(token[0])] = true;
    }
    if (std::find(present.begin(), present.end(), false) != present.end()) {
      return unsupported("model", "byte-level BPE with byte_fallback");
    }
  }
  data.ignore_merges = json_flag(model, "ignore_merges", false);
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
      RETURN_IF_ERROR(read_vocab(in, data));
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
  return read_merges(merges, TokenIndex(data.tokens, data.scores), data);
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
    const auto entry = specials->find(json_text(*special, "id"));
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

// BertProcessing and RobertaProcessing: "cls" before the text and "sep" behind it, each as
// [content, id].
Result<void> read_cls_sep(const Json& processor, TokenizerData& data) {
  for (const auto& [key, ids] : {std::pair{"cls", &data.prefix_ids}, {"sep", &data.suffix_ids}}) {
    const auto pair = processor.find(key);
    if (pair == processor.end() || !pair->is_array() || pair->size() != 2) {
      return malformed(fmt::format("post_processor: {} is not a token and its id", key));
    }
    ASSIGN_OR_RETURN(const int32_t id, checked_id((*pair)[1], "post_processor"));
    ids->push_back(id);
  }
  return {};
}

Result<void> read_post_processor(const Json& processor, TokenizerData& data, bool in_sequence) {
  if (processor.is_null()) return {};
  const std::string type = json_text(processor, "type");
  if (type == "ByteLevel") return {};  // moves offsets only
  if (type == "TemplateProcessing" || type == "BertProcessing" || type == "RobertaProcessing") {
    if (!data.prefix_ids.empty() || !data.suffix_ids.empty()) {
      return unsupported("post_processor", "more than one that adds tokens");
    }
    return type == "TemplateProcessing" ? read_template(processor, data)
                                        : read_cls_sep(processor, data);
  }
  const auto parts = processor.find("processors");
  if (type != "Sequence" || in_sequence || parts == processor.end() || !parts->is_array()) {
    return unsupported("post_processor", type);
  }
  for (const Json& part : *parts) RETURN_IF_ERROR(read_post_processor(part, data, true));
  return {};
}

// One member of an added token.
Result<void> read_added_member(JsonScanner& in, const std::string& key,
                               TokenizerData::AddedToken& token) {
  if (key == "id" || key == "content") {
    int64_t id = 0;
    const bool read = key == "id" ? in.read_integer(id) : in.read_string(token.content);
    if (!read) return malformed(fmt::format("added_tokens: no {} at byte {}", key, in.offset()));
    if (id < 0 || id >= kMaxVocabSize) {
      return malformed(fmt::format("added_tokens: id {} outside 0..{}", id, kMaxVocabSize - 1));
    }
    if (key == "id") token.id = static_cast<int32_t>(id);
    return {};
  }
  const std::string_view value = in.skip_value();
  if (in.failed()) return in.error();
  for (const auto& [name, flag] : {std::pair{"special", &token.special},
                                   {"lstrip", &token.lstrip},
                                   {"rstrip", &token.rstrip},
                                   {"single_word", &token.single_word},
                                   {"normalized", &token.normalized}}) {
    if (key == name) *flag = value == "true";
  }
  if (value == "true" || value == "false") return {};
  return parse_json(value).ok() ? Result<void>() : Result<void>(in.error());
}

// By the scanner: files may have a million of them.
Result<void> read_added_tokens(std::string_view list, TokenizerData& data) {
  if (list.empty() || list == "null") return {};
  JsonScanner in(list, 0);
  if (!in.enter('[')) return malformed("added_tokens: not a list");
  std::string key;
  while (in.next_element()) {
    TokenizerData::AddedToken token{.id = -1};
    if (!in.enter('{')) return malformed("added_tokens: bad entry");
    while (in.next_member(key)) RETURN_IF_ERROR(read_added_member(in, key, token));
    if (in.failed()) return in.error();
    if (token.id < 0) return malformed("added_tokens: an entry without an id");
    data.added_tokens.push_back(std::move(token));
  }
  return in.failed() ? Result<void>(in.error()) : Result<void>();
}

const Json& part_of(const Json& parts, const char* name) {
  static const Json none;
  const auto it = parts.find(name);
  return it == parts.end() ? none : *it;
}

// The pre-tokenizer says what the model's tables are spelled in.
Result<void> read_splits(const Json& parts, TokenizerData& data) {
  RETURN_IF_ERROR(read_pre_tokenizer(part_of(parts, "pre_tokenizer"), data));
  const bool bytes = std::any_of(data.splits.begin(), data.splits.end(), [](const SplitStep& step) {
    return step.kind == SplitStep::Kind::kByteAlphabet;
  });
  data.model = bytes ? TokenizerData::Model::kByteMerges : TokenizerData::Model::kCharacterMerges;
  return {};
}

Result<void> read_rest(const Json& parts, std::string_view added_tokens, TokenizerData& data) {
  const Json& post_processor = part_of(parts, "post_processor");
  if (!post_processor.is_null() && !post_processor.is_object()) {
    return malformed("post_processor: not an object");
  }
  RETURN_IF_ERROR(read_normalizer(part_of(parts, "normalizer"), data));
  RETURN_IF_ERROR(read_post_processor(post_processor, data, false));
  RETURN_IF_ERROR(read_decoder(part_of(parts, "decoder"), data));
  if (data.decoders.empty()) {
    const bool bytes = data.model == TokenizerData::Model::kByteMerges;
    data.decoders.push_back(
        {.kind = bytes ? DecoderStep::Kind::kByteLevel : DecoderStep::Kind::kJoinWithSpaces});
  }
  return read_added_tokens(added_tokens, data);
}

}  // namespace

Result<TokenizerData> parse_tokenizer_json(std::string_view text) {
  if (!is_valid_utf8(text)) return malformed("not valid UTF-8");
  JsonScanner in(text, 0);
  TokenizerData data;
  Json parts = Json::object();
  std::optional<size_t> model_at;
  std::optional<std::string_view> added_tokens;
  bool has_model = false;
  std::string key;
  if (!in.enter('{')) return in.error();
  while (in.next_member(key)) {
    if (key == "model" && in.peek() == '{') {
      if (model_at) return malformed("model is given twice");
      model_at = in.offset();
      // Nearly every file has the pre-tokenizer first; then the tables are walked only once.
      if (parts.contains("pre_tokenizer")) {
        RETURN_IF_ERROR(read_splits(parts, data));
        RETURN_IF_ERROR(read_model(in, data));
        has_model = true;
      } else {
        in.skip_value();
      }
    } else if (key == "added_tokens") {
      if (added_tokens) return malformed(key + " is given twice");
      added_tokens = in.skip_value();
    } else if (key == "normalizer" || key == "pre_tokenizer" || key == "post_processor" ||
               key == "decoder") {
      if (parts.contains(key)) return malformed(key + " is given twice");
      const std::string_view value = in.skip_value();
      if (in.failed()) break;
      ASSIGN_OR_RETURN(parts[key], parse_json(value));
    } else {
      in.skip_value();
    }
  }
  if (in.failed() || !in.at_end()) return in.error();
  if (!model_at) return malformed("no model");
  if (!has_model) {
    RETURN_IF_ERROR(read_splits(parts, data));
    JsonScanner model(text, *model_at);
    RETURN_IF_ERROR(read_model(model, data));
  }
  RETURN_IF_ERROR(read_rest(parts, added_tokens.value_or(""), data));
  return data;
}

}  // namespace pagoda
