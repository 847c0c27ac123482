// Runs one prompt through the engine and waits for it.
#include "app/generation.h"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "engine/output_processor.h"

namespace pagoda {
namespace {

// Hands outputs from the engine thread to the waiting one.
class WaitingSink final : public OutputSink {
 public:
  void post(RequestOutput output) override {
    {
      const std::lock_guard lock(mutex_);
      outputs_.push_back(std::move(output));
    }
    ready_.notify_one();
  }

  RequestOutput take() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return !outputs_.empty(); });
    RequestOutput output = std::move(outputs_.front());
    outputs_.pop_front();
    return output;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<RequestOutput> outputs_;
};

Result<SamplingParams> sampling_for(const ServedModel& served, const GenerationOptions& options,
                                    int32_t num_prompt_tokens) {
  const int32_t room = served.max_model_len - num_prompt_tokens;
  if (room < 1) {
    return invalid_argument(
        fmt::format("the prompt of {} tokens leaves no room in the context of {} tokens",
                    num_prompt_tokens, served.max_model_len));
  }
  SamplingParams sampling = served.default_sampling;
  sampling.max_tokens = std::min(options.max_tokens.value_or(room), room);
  sampling.temperature = options.temperature.value_or(sampling.temperature);
  sampling.top_p = options.top_p.value_or(sampling.top_p);
  sampling.top_k = options.top_k.value_or(sampling.top_k);
  sampling.seed = options.seed ? *options.seed : std::random_device()();
  return sampling;
}

}  // namespace

Result<std::string> render_messages(const ServedModel& served, const Json& messages) {
  if (served.chat_template == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 "the model has no chat template; use `pagoda run --raw` or --chat-template FILE"};
  }
  return served.chat_template->render({{"messages", messages},
                                       {"add_generation_prompt", true},
                                       {"bos_token", served.bos_token},
                                       {"eos_token", served.eos_token}});
}

Result<GenerationSummary> generate(BuiltEngine& built, const std::string& prompt,
                                   bool from_template, const GenerationOptions& options,
                                   const std::function<bool(const std::string&)>& on_text) {
  const ServedModel& served = built.served;
  ASSIGN_OR_RETURN(std::vector<TokenId> prompt_ids,
                   served.tokenizer->encode(prompt, {.add_special_tokens = !from_template,
                                                     .parse_special_tokens = from_template}));
  Request request;
  ASSIGN_OR_RETURN(request.sampling,
                   sampling_for(served, options, static_cast<int32_t>(prompt_ids.size())));
  request.prompt_token_ids = std::move(prompt_ids);

  GenerationSummary summary;
  summary.num_prompt_tokens = static_cast<int32_t>(request.prompt_token_ids.size());
  OutputProcessor processor(served.tokenizer, {});
  const auto sink = std::make_shared<WaitingSink>();
  ASSIGN_OR_RETURN(const RequestId id, built.engine->submit(std::move(request), sink));
  bool aborted = false;
  while (true) {
    const RequestOutput output = sink->take();
    for (const ChoiceOutput& choice : output.choices) {
      const TextDelta delta = processor.process(choice);
      summary.text += delta.text;
      if (delta.finish_reason) summary.finish_reason = *delta.finish_reason;
      if (!aborted && !on_text(delta.text)) {
        aborted = true;
        built.engine->abort(id);
      }
    }
    if (!output.finished) continue;
    if (summary.finish_reason == FinishReason::kError) {
      return output.error.value_or(Error{ErrorCode::kInternal, "the step failed"});
    }
    summary.num_output_tokens = processor.num_tokens();
    summary.total_s = seconds_between(output.times.arrival, output.times.finished);
    if (output.times.first_token != TimePoint{}) {
      summary.time_to_first_token_s =
          seconds_between(output.times.arrival, output.times.first_token);
    }
    return summary;
  }
}

}  // namespace pagoda
