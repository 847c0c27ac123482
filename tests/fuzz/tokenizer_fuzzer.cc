// Fuzzes tokenizer.json, and text through the tokenizers it describes. Input: file, NUL, text.
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const std::string_view input(reinterpret_cast<const char*>(data), num_bytes);
  const size_t end = input.find('\0');
  auto parsed = pagoda::parse_tokenizer_json(input.substr(0, end));
  if (!parsed.ok()) {
    CHECK(!parsed.error().message.empty());
    return 0;
  }
  const auto tokenizer = pagoda::Tokenizer::create(std::move(parsed).value());
  if (!tokenizer.ok()) return 0;
  const std::string_view text =
      end == std::string_view::npos ? "Hello, world! 123\n" : input.substr(end + 1);
  const auto ids = (*tokenizer)->encode(text, {});
  if (!ids.ok()) return 0;
  pagoda::Detokenizer detokenizer(*tokenizer, false);
  std::string streamed;
  for (const int32_t id : *ids) {
    CHECK(id >= 0 && id < (*tokenizer)->vocab_size());
    streamed += detokenizer.add(id);
  }
  streamed += detokenizer.flush();
  CHECK(streamed == (*tokenizer)->decode(*ids, false));
  return 0;
}
