// Detokenizer: a stream of token ids to text that never splits a character.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/tokenizer.h"

namespace pagoda {

// One per stream; not thread-safe; shares the Tokenizer.
class Detokenizer {
 public:
  Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens);

  // The text that this token completes: whole UTF-8 characters only. Bytes of an unfinished
  // character are held back until it is whole, or become U+FFFD when the next byte cannot continue
  // it.
  std::string add(int32_t token_id);
  // What is still held back, as U+FFFD. Call once at the end.
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_tokens_;
  std::string pending_;  // bytes of an unfinished character
};

}  // namespace pagoda
