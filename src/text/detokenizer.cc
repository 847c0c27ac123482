// Detokenizer: holds back the bytes of a character until it is whole.
#include "text/detokenizer.h"

#include <utility>

#include "text/unicode.h"

namespace pagoda {

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)), skip_special_tokens_(skip_special_tokens) {
}

std::string Detokenizer::add(int32_t token_id) {
  if (token_id < 0 || token_id >= tokenizer_->vocab_size()) return {};
  if (skip_special_tokens_ && tokenizer_->is_special(token_id)) return {};
  pending_ += tokenizer_->token_bytes(token_id);
  std::string text;
  pending_.erase(0, append_utf8_lossy(pending_, text));
  return text;
}

std::string Detokenizer::flush() {
  // What is pending is the start of one character, so it is one maximal subpart.
  return std::exchange(pending_, {}).empty() ? std::string() : std::string(kReplacementCharacter);
}

}  // namespace pagoda
