// RequestOutput and OutputSink: what comes back from the engine, step by step.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/sampling_params.h"
#include "core/step.h"
#include "engine/request_end.h"

namespace pagoda {

// News of one choice.
struct ChoiceOutput {
  int32_t index = 0;                 // in [0, n)
  std::vector<SampledToken> tokens;  // new since the last output; may be empty in the final one
  std::optional<FinishReason> finish_reason;  // set once, in the choice's last output
  std::optional<TokenId> stop_token_id;  // the token that ended it, when finish_reason is kStop by
                                         // a token; that token is also the last of `tokens`
};

// Where a request's time went; set in the final output. Zero points: did not get that far.
struct RequestTimes {
  TimePoint arrival{};
  TimePoint first_scheduled{};
  TimePoint first_token{};
  TimePoint finished{};
};

// News of one request, in order. The last one has finished == true, and exactly one such is posted
// for every accepted request, whatever happens to it.
struct RequestOutput {
  RequestId id = 0;
  std::vector<ChoiceOutput> choices;  // those with news
  bool finished = false;
  int32_t num_prompt_tokens = 0;
  int32_t num_cached_tokens = 0;  // prompt tokens not computed because the cache had them
  int32_t num_preemptions = 0;
  std::optional<Error> error;  // set when a choice finished with kError or kAbort by the server
  // Set in the final output.
  RequestTimes times;
  RequestEnd end = RequestEnd::kStop;
  int64_t num_output_tokens = 0;  // of all choices
};

// Receives a request's outputs. post() is called on the engine thread and must not block, throw or
// call back into the engine; implementations hand the output to another thread. Held by shared_ptr:
// it may outlive the client.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void post(RequestOutput output) = 0;
};

}  // namespace pagoda
