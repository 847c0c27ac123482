// Fuzzes text and token streams through two fixed tokenizers that know every byte: one of bytes and
// one of SentencePiece.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/detokenizer.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"

namespace {

// All single bytes, a few merges, two special tokens and the pattern of Llama 3.
std::shared_ptr<const pagoda::Tokenizer> make_tokenizer() {
  pagoda::TokenizerData data;
  for (int byte = 0; byte < 256; ++byte) data.tokens.emplace_back(1, static_cast<char>(byte));
  for (const auto& [left, right] : {std::pair{'t', 'h'}, {'i', 'n'}, {' ', 'a'}, {'0', '1'}}) {
    data.merges.emplace_back(left, right);
    data.tokens.push_back({left, right});
  }
  for (const char* content : {"<|begin|>", "<|end|>"}) {
    data.added_tokens.push_back(
        {.id = static_cast<int32_t>(data.tokens.size()), .content = content, .special = true});
    data.tokens.emplace_back(content);
  }
  data.splits.push_back(
      {.pattern =
           R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
  auto tokenizer = pagoda::Tokenizer::create(std::move(data));
  CHECK(tokenizer.ok());
  return *tokenizer;
}

// All bytes, spaces, a few characters and what they join to; "g" only inside "ing".
std::shared_ptr<const pagoda::Tokenizer> make_sentencepiece() {
  using Type = pagoda::SentencePieceVocabulary::Type;
  pagoda::SentencePieceVocabulary vocabulary;
  vocabulary.byte_fallback = true;
  vocabulary.pieces = {{"<unk>", 0, Type::kUnknown}, {"<s>", 0, Type::kControl}};
  const char* digits = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    vocabulary.pieces.push_back(
        {std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", 0, Type::kByte});
  }
  float score = 0;
  for (const char* text : {"\u2581", "\u2581\u2581", "\u2581a", "in", "ing", "th", "\u2581th", "e",
                           "\u2581the", "a", "i", "n", "t", "h", "\uD55C", "\uD55Ca"}) {
    vocabulary.pieces.push_back({text, score, Type::kNormal});
    score -= 1;
  }
  auto data = pagoda::tokenizer_from_sentencepiece(std::move(vocabulary));
  CHECK(data.ok());
  auto tokenizer = pagoda::Tokenizer::create(std::move(data).value());
  CHECK(tokenizer.ok());
  return *tokenizer;
}

// U+2581 stands for a space, so it comes back as one.
std::string with_spaces(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const bool space = text.starts_with("\u2581");
    out.push_back(space ? ' ' : text[0]);
    text.remove_prefix(space ? 3 : 1);
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  static const auto tokenizer = make_tokenizer();
  const std::string_view text(reinterpret_cast<const char*>(data), num_bytes);
  for (const bool parse_special : {true, false}) {
    const auto ids = tokenizer->encode(
        text, {.add_special_tokens = false, .parse_special_tokens = parse_special});
    if (ids.ok()) CHECK(tokenizer->decode(*ids, false) == text);
  }

  static const auto sentencepiece = make_sentencepiece();
  const auto pieces =
      sentencepiece->encode(text, {.add_special_tokens = false, .parse_special_tokens = false});
  if (pieces.ok()) CHECK(sentencepiece->decode(*pieces, false) == with_spaces(text));

  // The bytes as token ids: any order of tokens must stream to the same text as at once.
  pagoda::Detokenizer detokenizer(tokenizer, false);
  std::vector<int32_t> ids;
  std::string streamed;
  for (size_t i = 0; i < num_bytes; ++i) {
    ids.push_back(data[i] == 0xF5 ? 260 : data[i]);
    streamed += detokenizer.add(ids.back());
  }
  streamed += detokenizer.flush();
  CHECK(streamed == tokenizer->decode(ids, false));
  CHECK(tokenizer->encode(streamed, {}).ok());  // it is valid UTF-8
  return 0;
}
