// OutputProcessor: tokens of one choice to text, with stop strings and logprob text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/request_output.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace pagoda {

struct TextOptions {
  std::vector<std::string> stop;  // none empty
  bool include_stop_str_in_output = false;
  bool skip_special_tokens = true;
  // The prompt goes on: the space that a SentencePiece vocabulary puts before a text's first word
  // is kept, so that prompt and text can be joined. Otherwise a text starts as its decoding does.
  bool continues_text = false;
};

// New text of one choice.
struct TextDelta {
  // Whole characters; never the start of a stop string that may still complete.
  std::string text;
  // The tokens behind `text` and behind text still held back, once each. Those after a stop string
  // are left out.
  std::vector<SampledToken> tokens;
  std::optional<FinishReason> finish_reason;
  std::optional<std::string> stop_string;  // the one that matched
  std::optional<TokenId> stop_token_id;
  // The engine does not know yet: call AsyncEngine::stop_choice now. Later news of the choice is
  // ignored.
  bool stop_string_just_matched = false;
};

// Of several stop strings the one that is complete first ends the text, the longest of those
// complete at the same character. The text ends before it, and before the token that ended a
// choice, or after them with include_stop_str_in_output. When the choice ends otherwise, text held
// back comes out with the last delta.
//
// One per choice; not thread-safe: lives on the stream's I/O thread. Shares the Tokenizer.
class OutputProcessor {
 public:
  OutputProcessor(std::shared_ptr<const Tokenizer> tokenizer, TextOptions options);

  // After a stop string matched, or a finish, further news gives an empty delta without
  // finish_reason.
  TextDelta process(const ChoiceOutput& output);
  int32_t num_tokens() const;  // output tokens counted so far, the ending one included

 private:
  void add_text(const std::string& text, TextDelta& delta);

  std::shared_ptr<const Tokenizer> tokenizer_;
  TextOptions options_;
  Detokenizer detokenizer_;
  std::string held_back_;  // may be the start of a stop string
  int32_t num_tokens_ = 0;
  bool done_ = false;
};

}  // namespace pagoda
