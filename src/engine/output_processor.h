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
};

// New text of one choice.
struct TextDelta {
  std::string text;  // whole characters; never the start of a stop string that may still complete
  std::vector<SampledToken>
      tokens;  // the tokens behind it and behind text still held back, once each
  std::optional<FinishReason> finish_reason;
  std::optional<std::string> stop_string;  // the one that matched
  std::optional<TokenId> stop_token_id;
  bool stop_string_just_matched =
      false;  // call AsyncEngine::stop_choice now; later news of the choice is ignored
};

// One per choice; not thread-safe: lives on the stream's I/O thread.
class OutputProcessor {
 public:
  OutputProcessor(std::shared_ptr<const Tokenizer> tokenizer, TextOptions options);

  // After a stop string matched, or a finish, further news gives an empty delta without
  // finish_reason.
  TextDelta process(const ChoiceOutput& output);
  int32_t num_tokens() const;  // output tokens counted so far, the ending one included

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  TextOptions options_;
  Detokenizer detokenizer_;
  std::string held_back_;
  int32_t num_tokens_ = 0;
  bool done_ = false;
};

}  // namespace pagoda
