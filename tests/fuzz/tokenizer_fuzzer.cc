// Fuzzes the readers of vocabularies, and text through the tokenizers they describe. Input:
// - a tokenizer.json, NUL, text
// - "GGUF", a line "model pre", lines "type score token", an empty line, lines of merges
// - anything else: a tokenizer.model of SentencePiece
#include <sstream>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/detokenizer.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace {

using pagoda::Result;
using pagoda::TokenizerData;

Result<TokenizerData> read_gguf(std::string_view text) {
  std::istringstream in{std::string(text)};
  pagoda::GgufVocabulary vocabulary;
  std::string line;
  std::getline(in, line);  // "GGUF"
  std::getline(in, line);
  const size_t space = line.find(' ');
  vocabulary.model = line.substr(0, space);
  if (space != std::string::npos) vocabulary.pre = line.substr(space + 1);
  while (std::getline(in, line) && !line.empty()) {
    std::istringstream fields(line);
    int32_t type = 1;
    float score = 0;
    fields >> type >> score;
    fields.clear();
    std::string token;
    fields.ignore(1);
    std::getline(fields, token);
    vocabulary.token_types.push_back(type);
    vocabulary.scores.push_back(score);
    vocabulary.tokens.push_back(token);
  }
  while (std::getline(in, line)) vocabulary.merges.push_back(line);
  vocabulary.bos_id = static_cast<int32_t>(vocabulary.tokens.size()) - 1;
  vocabulary.unk_id = vocabulary.tokens.empty() ? 3 : 0;
  return pagoda::tokenizer_from_gguf(vocabulary);
}

void use(TokenizerData data, std::string_view text) {
  const auto tokenizer = pagoda::Tokenizer::create(std::move(data));
  if (!tokenizer.ok()) {
    CHECK(!tokenizer.error().message.empty());
    return;
  }
  const auto ids = (*tokenizer)->encode(text, {});
  if (!ids.ok()) return;
  pagoda::Detokenizer detokenizer(*tokenizer, false);
  std::string streamed;
  for (const int32_t id : *ids) {
    CHECK(id >= 0 && id < (*tokenizer)->vocab_size());
    streamed += detokenizer.add(id);
  }
  streamed += detokenizer.flush();
  const std::string whole = (*tokenizer)->decode(*ids, false);
  // A run of byte tokens that is no UTF-8 shows its whole characters only in the stream.
  CHECK(streamed == whole || whole.find("\xEF\xBF\xBD") != std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const std::string_view input(reinterpret_cast<const char*>(data), num_bytes);
  const bool json = input.starts_with('{');
  const bool gguf = input.starts_with("GGUF");
  const size_t end = json ? input.find('\0') : std::string_view::npos;
  auto parsed = json   ? pagoda::parse_tokenizer_json(input.substr(0, end))
                : gguf ? read_gguf(input)
                       : pagoda::parse_sentencepiece_model(input);
  if (!parsed.ok()) {
    CHECK(!parsed.error().message.empty());
    return 0;
  }
  use(std::move(parsed).value(), end == std::string_view::npos
                                     ? "Hello, world! 123\n<s>  \xE2\x96\x81 h\xC3\xA9llo <0x0A>"
                                     : input.substr(end + 1));
  return 0;
}
