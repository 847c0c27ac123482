// GenerationRun: one completion request from its job to the last byte of its reply.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/async_engine.h"
#include "engine/output_processor.h"
#include "server/api_keys.h"
#include "server/http/exchange.h"
#include "server/openai/job.h"
#include "server/openai/reply.h"

namespace pagoda::openai {

// Whose request it is, and what its head says of its haste (unset: nothing).
struct RequestOrigin {
  Client client;
  std::optional<Priority> priority = {};
};

// Submits the prompts, turns outputs into text and writes the reply. When the client leaves, in
// whatever state, what it submitted is aborted. Held by its exchange (until the reply is complete)
// and by its sinks at the engine (until the engine's final outputs). I/O thread only, except
// enqueue(). The engine must live until the exchange has ended.
class GenerationRun : public std::enable_shared_from_this<GenerationRun> {
 public:
  GenerationRun(std::shared_ptr<HttpExchange> exchange,
                std::shared_ptr<const Deployment> deployment, const RequestOrigin& origin);

  // From now on a leaving client ends the run. Call once, before the rest.
  void watch();
  // Either of the two, once: refuses the request, or runs it.
  void refuse(const Error& error, const std::optional<ContextOverflow>& overflow = {});
  void start(GenerationJob job);

  // Takes news of one prompt from the engine. Thread-safe, does not block.
  void enqueue(size_t prompt_index, RequestOutput output);

 private:
  struct Choice {
    Choice(const std::shared_ptr<const Tokenizer>& tokenizer, const TextOptions& options)
        : processor(tokenizer, options) {}
    OutputProcessor processor;
    std::string text;                  // whole replies; in a stream, echo not yet sent
    std::vector<SampledToken> tokens;  // with logprobs; in a stream, those not yet sent
    std::vector<TokenId> token_ids;    // with return_token_ids, the ending one included; likewise
    int64_t text_offset = 0;           // characters before the first of `tokens`
    bool role_sent = false;
    bool finished = false;
    ChoiceEnd end;
  };

  void submit_all();
  std::shared_ptr<const RequestFacts> facts_of(const Request& request) const;
  void drain();
  void process(size_t prompt_index, const RequestOutput& output, std::string& events);
  void process_choice(size_t prompt_index, const ChoiceOutput& output, std::string& events);
  void append_events(int32_t index, const std::string& text, bool finished, std::string& events);
  void send(std::string events);
  void finish(std::string events);
  // `end`: how what is left of it ends in the engine.
  void fail(const Error& error, RequestEnd end = RequestEnd::kClientLeft);
  void abort_all(RequestEnd end = RequestEnd::kClientLeft);
  void on_end(EndCause cause);
  ChoiceEnd end_of(const TextDelta& delta) const;
  Usage usage() const;
  Timings timings() const;
  void fill_log(std::string finish_reason);

  std::shared_ptr<HttpExchange> exchange_;
  std::shared_ptr<const Deployment> deployment_;
  const RequestOrigin origin_;
  GenerationJob job_;
  std::optional<ReplyWriter> writer_;
  std::vector<RequestId> request_ids_;  // by prompt
  std::vector<int32_t> num_cached_;     // by prompt
  std::vector<Choice> choices_;         // prompt * n + choice
  size_t num_unfinished_ = 0;
  bool over_ = false;
  TimePoint submitted_{};
  TimePoint first_token_{};
  TimePoint last_token_{};
  std::optional<RequestTimes> engine_times_;  // of a single prompt that the engine finished

  std::mutex inbox_mutex_;
  std::vector<std::pair<size_t, RequestOutput>> inbox_;  // guarded by inbox_mutex_
};

}  // namespace pagoda::openai
