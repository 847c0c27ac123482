// Detokenizer: a stream of token ids to text that never splits a character.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/token_decoder.h"
#include "text/tokenizer.h"

namespace pagoda {

// One per stream; not thread-safe; shares the Tokenizer. The texts together equal
// Tokenizer::decode() of all tokens, except where a run of byte tokens ("<0xE3>") is no UTF-8:
// decode(), as Hugging Face tokenizers, replaces every byte of such a run, the stream only those
// behind the last whole character.
class Detokenizer {
 public:
  // `continues_text`: the tokens stand behind others, so that what a decoder strips from the start
  // of a text stays (a leading space).
  Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens,
              bool continues_text = false);

  // The text that this token completes: whole UTF-8 characters only. Bytes of an unfinished
  // character are held back until it is whole, or become U+FFFD when the next byte cannot continue
  // it.
  std::string add(int32_t token_id);
  // What is still held back, as U+FFFD. Call once at the end.
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_tokens_;
  TokenDecoder::State state_;
};

}  // namespace pagoda
