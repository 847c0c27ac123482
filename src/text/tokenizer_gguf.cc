// GGUF vocabularies: byte-level BPE ("gpt2") and SentencePiece BPE ("llama").
#include "text/tokenizer_gguf.h"

#include <fmt/core.h>

#include <initializer_list>
#include <limits>
#include <utility>

#include "text/bpe.h"
#include "text/byte_alphabet.h"
#include "text/sentencepiece_model.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr size_t kMaxVocabSize = size_t{1} << 22;

// The expressions of the tokenizer.json that a `pre` name stands for (ggml-org/llama.cpp,
// src/llama-vocab.cpp, lists the names), as published there.
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kOneDigit = R"(\p{N})";
constexpr std::string_view kThreeDigits = R"(\p{N}{1,3})";
constexpr std::string_view kLineEnd = "[\r\n]";
// The cased letters that DeepSeek LLM lists; in hexadecimal those that normalisation form C
// changes.
// Formatting breaks this literal anew in each run.
// clang-format off
constexpr std::string_view kDeepSeekLetters =
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-"
    "ჅᎠ-"
    "Ᏽᏸ-"
    "ᏽᲐ-"
    "ᲺᲽ-"
    "Ჿᴀ-"
    "ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕ"
    "ἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\\x{1F7D}ᾀ-ᾴᾶ-ᾼ\\x{1FBE}ῂ-ῄῆ-ῌῐ-\\x{1FD3}ῖ-\\x{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\\x{2126}"
    "ℨ\\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-"
    "ꚛ"
    "Ꜣ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-"
    "𐲲𐳀-"
    "𐳲𑢠-"
    "𑣟𞤀-"
    "𞥃]"
    "+";
// clang-format on
constexpr std::string_view kDeepSeekPunctuation = "\\s?[!-/:-~！-／：-～‘-‟　-。]+";
constexpr std::string_view kTrailingSpace = R"(\s+$)";
constexpr std::string_view kDeepSeekAsian = "[一-龥ࠀ-一가-퟿]+";
constexpr std::string_view kDeepSeek3Asian = "[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view kDeepSeek3 =
    "[!\"#$%&'()*+,\\-./"
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kSpacedLetters = R"(\s?\p{L}+)";
constexpr std::string_view kSpacedPunctuation = R"(\s?\p{P}+)";
constexpr std::string_view kFalconPunctuation = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr std::string_view kTripleDigits = "[0-9][0-9][0-9]";

struct PreEntry {
  std::string_view name;
  std::vector<std::string_view> patterns;  // one after the other, each cuts at its matches
  bool ignore_merges = false;
  bool add_bos = false;
};

const PreEntry* find_pre(std::string_view name) {
  static const std::vector<PreEntry> entries = {
      {"", {kGpt2}},
      {"default", {kGpt2}},
      {"gpt-2", {kGpt2}},
      {"phi-2", {kGpt2}},
      {"mpt", {kGpt2}},
      {"olmo", {kGpt2}},
      {"jais", {kGpt2}},
      {"trillion", {kGpt2}},
      {"granite-docling", {kGpt2}},
      {"roberta-bpe", {kGpt2}},
      {"gigachat", {kGpt2}},
      {"llama-bpe", {kLlama3}, true, true},
      {"llama3", {kLlama3}, true, true},
      {"llama-v3", {kLlama3}, true, true},
      {"falcon3", {kLlama3}, true},
      {"falcon-h1", {kLlama3}, true},
      {"pixtral", {kLlama3}, true},
      {"lfm2", {kLlama3}, true},
      {"dbrx", {kLlama3}},
      {"smaug-bpe", {kLlama3}},
      {"chatglm-bpe", {kLlama3}},
      {"glm4", {kLlama3}},
      {"qwen2", {kQwen2}},
      {"qwen35", {kQwen35}},
      {"stablelm2", {kQwen2}},
      {"hunyuan", {kQwen2}},
      {"megrez", {kQwen2}},
      {"deepseek-r1-qwen", {kQwen2}},
      {"kormo", {kQwen2}},
      {"grok-2", {kQwen2}},
      {"tekken", {kTekken}, true, true},
      {"gpt-4o", {kGpt4o}},
      {"o200k", {kGpt4o}},
      {"llama4", {kGpt4o}},
      {"minimax-m2", {kGpt4o}},
      {"starcoder", {kOneDigit, kGpt2}},
      {"refact", {kOneDigit, kGpt2}},
      {"command-r", {kOneDigit, kGpt2}},
      {"smollm", {kOneDigit, kGpt2}},
      {"codeshell", {kOneDigit, kGpt2}},
      {"exaone", {kOneDigit, kGpt2}},
      {"minerva-7b", {kOneDigit, kGpt2}},
      {"mellum", {kOneDigit, kGpt2}},
      {"falcon", {kFalconPunctuation, kGpt2, kTripleDigits}},
      {"deepseek-llm",
       {kLineEnd, kDeepSeekLetters, kDeepSeekPunctuation, kTrailingSpace, kDeepSeekAsian,
        R"(\p{N}+)"}},
      {"deepseek-coder", {kLineEnd, kSpacedLetters, kSpacedPunctuation, kDeepSeekAsian, kOneDigit}},
      {"deepseek-v3", {kThreeDigits, kDeepSeek3Asian, kDeepSeek3}},
      {"hunyuan-dense", {kThreeDigits, kDeepSeek3Asian, kDeepSeek3}},
  };
  for (const PreEntry& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

GgufTokenType type_of(const GgufVocabulary& vocabulary, size_t id) {
  return vocabulary.token_types.empty() ? GgufTokenType::kNormal
                                        : static_cast<GgufTokenType>(vocabulary.token_types[id]);
}

Result<void> read_merges(const GgufVocabulary& vocabulary, TokenizerData& data) {
  const TokenIndex index(data.tokens, data.scores);
  std::string left, right;
  data.merges.reserve(vocabulary.merges.size());
  for (const std::string& merge : vocabulary.merges) {
    // The first character may be a space that stands for itself.
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos || !is_valid_utf8(merge)) {
      return invalid_argument(
          fmt::format("tokenizer.ggml.merges: entry {} is not two tokens", data.merges.size()));
    }
    from_byte_alphabet(std::string_view(merge).substr(0, space), left);
    from_byte_alphabet(std::string_view(merge).substr(space + 1), right);
    data.merges.emplace_back(index.find(left), index.find(right));
    if (data.merges.back().first < 0 || data.merges.back().second < 0) {
      return invalid_argument(
          fmt::format("tokenizer.ggml.merges: entry {} uses a token outside the vocabulary",
                      data.merges.size() - 1));
    }
  }
  return {};
}

void add_ends(const GgufVocabulary& vocabulary, bool add_bos, TokenizerData& data) {
  if (vocabulary.add_bos.value_or(add_bos) && vocabulary.bos_id >= 0) {
    data.prefix_ids.push_back(vocabulary.bos_id);
  }
  if (vocabulary.add_eos.value_or(false) && vocabulary.eos_id >= 0) {
    data.suffix_ids.push_back(vocabulary.eos_id);
  }
}

Result<TokenizerData> from_gpt2(const GgufVocabulary& vocabulary) {
  const PreEntry* pre = find_pre(vocabulary.pre);
  if (pre == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("tokenizer.ggml.pre: \"{:.60}\" is not supported", vocabulary.pre)};
  }
  TokenizerData data;
  data.ignore_merges = pre->ignore_merges;
  if (vocabulary.add_space_prefix.value_or(false)) {
    data.splits.push_back({.kind = SplitStep::Kind::kPrefix, .pattern = " "});
  }
  for (const std::string_view pattern : pre->patterns) {
    data.splits.push_back({.kind = SplitStep::Kind::kRegex, .pattern = std::string(pattern)});
  }
  data.splits.push_back({.kind = SplitStep::Kind::kByteAlphabet});
  data.decoders.push_back({.kind = DecoderStep::Kind::kByteLevel});
  data.tokens.resize(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const GgufTokenType type = type_of(vocabulary, id);
    if (!from_byte_alphabet(vocabulary.tokens[id], data.tokens[id])) {
      data.scores.resize(data.tokens.size());
      data.scores[id] = std::numeric_limits<float>::quiet_NaN();
    }
    if (type == GgufTokenType::kControl || type == GgufTokenType::kUserDefined) {
      data.added_tokens.push_back({.id = static_cast<int32_t>(id),
                                   .content = vocabulary.tokens[id],
                                   .special = type == GgufTokenType::kControl});
    }
  }
  RETURN_IF_ERROR(read_merges(vocabulary, data));
  add_ends(vocabulary, pre->add_bos, data);
  return data;
}

Result<TokenizerData> from_llama(const GgufVocabulary& vocabulary) {
  if (vocabulary.scores.size() != vocabulary.tokens.size()) {
    return invalid_argument(fmt::format("tokenizer.ggml.scores: {} entries for {} tokens",
                                        vocabulary.scores.size(), vocabulary.tokens.size()));
  }
  SentencePieceVocabulary pieces;
  pieces.add_dummy_prefix = vocabulary.add_space_prefix.value_or(true);
  pieces.unk_id = vocabulary.unk_id;
  pieces.byte_fallback = true;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    using Type = SentencePieceVocabulary::Type;
    Type type = Type::kNormal;
    switch (type_of(vocabulary, id)) {
      case GgufTokenType::kUnknown: type = Type::kUnknown; break;
      case GgufTokenType::kControl: type = Type::kControl; break;
      case GgufTokenType::kUserDefined: type = Type::kUserDefined; break;
      case GgufTokenType::kByte: type = Type::kByte; break;
      default: break;
    }
    pieces.pieces.push_back({vocabulary.tokens[id], vocabulary.scores[id], type});
  }
  ASSIGN_OR_RETURN(TokenizerData data, tokenizer_from_sentencepiece(std::move(pieces)));
  add_ends(vocabulary, true, data);
  return data;
}

}  // namespace

Result<TokenizerData> tokenizer_from_gguf(const GgufVocabulary& vocabulary) {
  const size_t num_tokens = vocabulary.tokens.size();
  if (num_tokens == 0 || num_tokens > kMaxVocabSize) {
    return invalid_argument(
        fmt::format("tokenizer.ggml.tokens: {} entries, must be 1..{}", num_tokens, kMaxVocabSize));
  }
  if (!vocabulary.token_types.empty() && vocabulary.token_types.size() != num_tokens) {
    return invalid_argument(fmt::format("tokenizer.ggml.token_type: {} entries for {} tokens",
                                        vocabulary.token_types.size(), num_tokens));
  }
  for (size_t id = 0; id < num_tokens; ++id) {
    if (!is_valid_utf8(vocabulary.tokens[id])) {
      return invalid_argument(fmt::format("tokenizer.ggml.tokens: entry {} is not UTF-8", id));
    }
  }
  for (const int32_t id : {vocabulary.bos_id, vocabulary.eos_id, vocabulary.unk_id}) {
    if (id >= 0 && static_cast<size_t>(id) >= num_tokens) {
      return invalid_argument(
          fmt::format("tokenizer.ggml: special token {} outside 0..{}", id, num_tokens - 1));
    }
  }
  if (vocabulary.model == "gpt2") return from_gpt2(vocabulary);
  if (vocabulary.model == "llama") return from_llama(vocabulary);
  return Error{ErrorCode::kUnsupported,
               fmt::format("tokenizer.ggml.model: \"{:.60}\" is not supported", vocabulary.model)};
}

}  // namespace pagoda
