// Detokenizer: the state of one text and the tokens to leave out of it.
#include "text/detokenizer.h"

#include <utility>

namespace pagoda {

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens,
                         bool continues_text)
    : tokenizer_(std::move(tokenizer)),
      skip_special_tokens_(skip_special_tokens),
      state_(tokenizer_->decoder().begin(false, !continues_text)) {
}

std::string Detokenizer::add(int32_t token_id) {
  std::string text;
  if (token_id < 0 || token_id >= tokenizer_->vocab_size()) return text;
  if (skip_special_tokens_ && tokenizer_->is_special(token_id)) return text;
  tokenizer_->decoder().add(state_, token_id, text);
  return text;
}

std::string Detokenizer::flush() {
  std::string text;
  tokenizer_->decoder().finish(state_, text);
  return text;
}

}  // namespace pagoda
