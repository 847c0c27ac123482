// World: an Engine on a FakeRunner, and what each of its requests must give.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/fake_runner.h"

namespace pagoda {

inline constexpr int32_t kVocabSize = 100;

// What came back for one request.
struct Collected : OutputSink {
  struct Choice {
    std::vector<TokenId> tokens;
    std::optional<FinishReason> reason;
    std::optional<TokenId> stop_token_id;
  };

  void post(RequestOutput output) override {
    EXPECT_EQ(num_final, 0) << "an output after the final one";
    for (const ChoiceOutput& news : output.choices) {
      Choice& choice = choices[news.index];
      EXPECT_FALSE(choice.reason.has_value()) << "news of a choice after its end";
      for (const SampledToken& token : news.tokens) choice.tokens.push_back(token.token);
      choice.reason = news.finish_reason;
      choice.stop_token_id = news.stop_token_id;
    }
    num_final += output.finished ? 1 : 0;
    last = std::move(output);
  }

  std::map<int32_t, Choice> choices;
  int num_final = 0;
  RequestOutput last;
};

struct ManualClock : Clock {
  TimePoint now() const override { return time; }
  TimePoint time{};
};

inline Request make_request(int32_t num_prompt_tokens, int32_t max_tokens, uint64_t seed = 0,
                            int32_t n = 1) {
  Request request;
  for (int32_t i = 0; i < num_prompt_tokens; ++i) {
    request.prompt_token_ids.push_back((7 * i + static_cast<TokenId>(seed)) % kVocabSize);
  }
  request.sampling.max_tokens = max_tokens;
  request.sampling.seed = seed;
  request.n = n;
  return request;
}

// What a choice of the request must give, worked out without an engine.
inline Collected::Choice reference(const Request& request, int32_t choice_index,
                                   int32_t max_model_len) {
  Collected::Choice choice;
  std::vector<TokenId> tokens = request.prompt_token_ids;
  const auto num_prompt_tokens = static_cast<int32_t>(tokens.size());
  const SamplingParams& sampling = request.sampling;
  while (!choice.reason) {
    const TokenId next =
        FakeRunner::next_token(tokens, num_prompt_tokens, choice_index, sampling, kVocabSize);
    tokens.push_back(next);
    choice.tokens.push_back(next);
    const auto ends = [next](const std::vector<TokenId>& ids) {
      return std::find(ids.begin(), ids.end(), next) != ids.end();
    };
    if ((ends(sampling.eos_token_ids) && !sampling.ignore_eos) || ends(sampling.stop_token_ids)) {
      choice.reason = FinishReason::kStop;
      choice.stop_token_id = next;
    } else if (static_cast<int32_t>(choice.tokens.size()) == sampling.max_tokens ||
               static_cast<int32_t>(tokens.size()) == max_model_len) {
      choice.reason = FinishReason::kLength;
    }
  }
  return choice;
}

// An engine on a FakeRunner. submit() adds a request under the next id.
class World {
 public:
  explicit World(const FakeRunnerConfig& runner_config = {}, int32_t max_model_len = 100)
      : runner(runner_config),
        config{.max_model_len = max_model_len,
               .max_num_queued_requests = 1000,
               .num_tenants = 3,
               .vocab_size = kVocabSize} {
    start();
  }
  // Again, with what was changed in `config`.
  void start() {
    engine.reset();
    admission = std::make_unique<AdmissionControl>(config, clock);
    engine = std::make_unique<Engine>(runner, config, EngineMetrics{}, clock, admission.get());
  }

  RequestId submit(Request request) {
    EXPECT_TRUE(engine->check(request).ok());
    EXPECT_TRUE(admission->enter(request).ok());
    const RequestId id = requests.size() + 1;
    requests[id] = request;
    sinks[id] = std::make_shared<Collected>();
    engine->add(id, std::move(request), sinks[id]);
    return id;
  }
  void step(const StepHooks& hooks = {}) {
    engine->step(hooks);
    const Result<void> checked = engine->check_invariants();
    ASSERT_TRUE(checked.ok()) << checked.error().message;
  }
  void run_until_idle() {
    for (int i = 0; engine->has_work(); ++i) {
      ASSERT_LT(i, 10000) << "no progress";
      step();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  // Every choice of the request ran to its own end and gave what it must.
  void expect_complete(RequestId id) {
    EXPECT_EQ(sinks[id]->num_final, 1);
    for (int32_t i = 0; i < requests[id].n; ++i) {
      const Collected::Choice want = reference(requests[id], i, config.max_model_len);
      EXPECT_EQ(sinks[id]->choices[i].tokens, want.tokens) << "request " << id << " choice " << i;
      EXPECT_EQ(sinks[id]->choices[i].reason, want.reason);
      EXPECT_EQ(sinks[id]->choices[i].stop_token_id, want.stop_token_id);
    }
  }

  ManualClock clock;
  FakeRunner runner;
  EngineConfig config;
  std::unique_ptr<AdmissionControl> admission;
  std::unique_ptr<Engine> engine;
  std::map<RequestId, Request> requests;
  std::map<RequestId, std::shared_ptr<Collected>> sinks;
};

}  // namespace pagoda
