// Tests of Engine, on a runner that shows every mistake in blocks and steps.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <stdexcept>

#include "engine/test_world.h"

namespace pagoda {
namespace {

using testing::HasSubstr;

TEST(Engine, GivesTheTokensOfTheRunnerAndThenOneFinalOutput) {
  World world;
  const RequestId id = world.submit(make_request(10, 5));
  world.run_until_idle();
  world.expect_complete(id);
  EXPECT_EQ(world.sinks[id]->choices[0].reason, FinishReason::kLength);
  EXPECT_EQ(world.sinks[id]->last.num_prompt_tokens, 10);
  EXPECT_EQ(world.engine->stats().num_generation_tokens, 5);
  EXPECT_EQ(world.engine->stats().num_prompt_tokens, 10);
  EXPECT_EQ(world.engine->stats().num_steps, 5);
}

TEST(Engine, PreemptedRequestContinuesWhereItStopped) {
  World world({.num_blocks = 6, .block_size = 4});
  world.submit(make_request(1, 1));  // so that outputs are believed to be short
  world.run_until_idle();
  const RequestId first = world.submit(make_request(8, 12, 1));
  const RequestId second = world.submit(make_request(8, 12, 2));
  world.run_until_idle();
  EXPECT_GT(world.engine->stats().num_preemptions, 0);
  EXPECT_EQ(world.sinks[second]->last.num_preemptions, world.engine->stats().num_preemptions);
  world.expect_complete(first);
  world.expect_complete(second);
  EXPECT_EQ(world.engine->stats().num_free_blocks, 6);
}

TEST(Engine, ChoicesAreIndependentAndTheRequestEndsWithTheLast) {
  World world({.num_blocks = 64, .block_size = 4, .max_num_batched_tokens = 16, .max_num_seqs = 3});
  Request request = make_request(21, 30, 3, 8);
  for (TokenId id = 0; id < 10; ++id) request.sampling.eos_token_ids.push_back(id);
  const RequestId id = world.submit(request);
  world.run_until_idle();
  world.expect_complete(id);
  EXPECT_NE(world.sinks[id]->choices[0].tokens, world.sinks[id]->choices[1].tokens);
}

TEST(Engine, EndsAtTheModelsContext) {
  World world({}, 20);
  const RequestId id = world.submit(make_request(15, 50));
  world.run_until_idle();
  world.expect_complete(id);
  EXPECT_EQ(world.sinks[id]->choices[0].tokens.size(), 5U);
}

TEST(Engine, RefusesWhatCanNeverRunAndNamesTheNumbers) {
  World world({.num_blocks = 10, .block_size = 4}, 50);
  const auto message = [&](const Request& request) {
    const Result<void> checked = world.engine->check(request);
    if (checked.ok()) return std::string("accepted");
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
    return checked.error().message;
  };
  EXPECT_EQ(message(make_request(39, 1)), "accepted");
  EXPECT_THAT(message(make_request(0, 1)), HasSubstr("no tokens"));
  EXPECT_THAT(message(make_request(50, 1)), testing::ContainsRegex("50 tokens.*50 tokens"));
  EXPECT_THAT(message(make_request(20, 21)), testing::ContainsRegex("need 41 .*holds 40"));
  EXPECT_THAT(message(make_request(20, 2147483647)), testing::ContainsRegex("need 50 .*holds 40"));
  EXPECT_THAT(message(make_request(5, 0)), HasSubstr("max_tokens is 0"));
  EXPECT_THAT(message(make_request(5, 1, 0, 0)), HasSubstr("n is 0"));
  EXPECT_THAT(message(make_request(5, 1, 0, 129)),
              HasSubstr("n is 129, must be between 1 and 128"));
  Request request = make_request(5, 1);
  request.prompt_token_ids[2] = kVocabSize;
  EXPECT_THAT(message(request), HasSubstr("token id 100 is outside the vocabulary of 100"));
  request.prompt_token_ids[2] = -1;
  EXPECT_THAT(message(request), HasSubstr("token id -1"));
}

TEST(Engine, ASequenceThatIsPutOffHasNoStepUntilItsTimeAndHoldsUpNobody) {
  World world;
  const TimePoint start{std::chrono::seconds(100)};
  world.clock.time = start;
  const RequestId late = world.submit(make_request(9, 3, 1));
  const RequestId other = world.submit(make_request(9, 3, 2));
  const TimePoint due = start + std::chrono::seconds(5);
  world.runner.defer = [&](const ScheduledSequence& s) -> std::optional<TimePoint> {
    if (s.id != 1 || s.not_before != TimePoint{}) return std::nullopt;
    return due;
  };
  for (int i = 0; i < 3; ++i) world.step();
  world.expect_complete(other);
  EXPECT_TRUE(world.sinks[late]->choices.empty());
  EXPECT_EQ(world.engine->next_due(), due);
  EXPECT_FALSE(world.engine->step());
  EXPECT_EQ(world.engine->stats().num_steps, 3);
  EXPECT_EQ(world.engine->stats().num_prompt_tokens, 8 + 9) << "all of the prompt but its last";
  world.clock.time = due;
  world.run_until_idle();
  world.expect_complete(late);
  EXPECT_EQ(world.engine->stats().num_recomputed_tokens, 0);
  EXPECT_FALSE(world.engine->step());
}

TEST(Engine, PutOffAtRandomEveryRequestGetsTheTokensThatItGetsAtOnce) {
  int64_t num_preemptions = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    World world({.num_blocks = 12 + static_cast<int32_t>(random() % 30),
                 .block_size = 4,
                 .max_num_batched_tokens = 8 + static_cast<int32_t>(random() % 60),
                 .max_num_seqs = 1 + static_cast<int32_t>(random() % 8)},
                45);
    world.clock.time = TimePoint{std::chrono::seconds(1)};
    world.runner.defer = [&](const ScheduledSequence& s) -> std::optional<TimePoint> {
      EXPECT_LE(s.not_before, world.clock.time);
      if (random() % 3 == 0) return std::nullopt;
      return world.clock.time + std::chrono::milliseconds(random() % 5);
    };
    for (uint32_t i = 0; i < 12; ++i) {
      world.submit(make_request(1 + static_cast<int32_t>(random() % 25),
                                1 + static_cast<int32_t>(random() % 20), random() % 3,
                                1 + static_cast<int32_t>(random() % 3)));
    }
    for (int i = 0; world.engine->has_work(); ++i) {
      ASSERT_LT(i, 100'000) << "no progress";
      world.clock.time += std::chrono::milliseconds(1);
      world.step();
    }
    for (RequestId id = 1; id <= 12; ++id) world.expect_complete(id);
    num_preemptions += world.engine->stats().num_preemptions;
  }
  EXPECT_GT(num_preemptions, 20);
}

TEST(Engine, AFailedStepEndsItsRequestsAndNoOther) {
  World world({.num_blocks = 64, .block_size = 4, .max_num_batched_tokens = 64, .max_num_seqs = 2});
  const RequestId first = world.submit(make_request(5, 9, 1));
  const RequestId second = world.submit(make_request(5, 9, 2));
  const RequestId third = world.submit(make_request(5, 9, 3));
  world.step();
  world.runner.before_step = [](const SchedulerOutput&) -> Result<void> {
    return Error{ErrorCode::kInternal, "the device is lost"};
  };
  world.step();
  world.runner.before_step = nullptr;
  for (const RequestId id : {first, second}) {
    EXPECT_EQ(world.sinks[id]->num_final, 1);
    EXPECT_EQ(world.sinks[id]->choices[0].tokens.size(), 1U);
    EXPECT_EQ(world.sinks[id]->choices[0].reason, FinishReason::kError);
    EXPECT_EQ(world.sinks[id]->last.error->message, "the device is lost");
  }
  world.run_until_idle();
  world.expect_complete(third);
  EXPECT_FALSE(world.sinks[third]->last.error.has_value());
}

TEST(Engine, AnExceptionInAStepIsAFailedStep) {
  World world;
  const RequestId first = world.submit(make_request(5, 9));
  world.runner.before_step = [](const SchedulerOutput&) -> Result<void> {
    throw std::runtime_error("out of range");
  };
  world.step();
  world.runner.before_step = nullptr;
  EXPECT_THAT(world.sinks[first]->last.error->message, HasSubstr("out of range"));
  const RequestId second = world.submit(make_request(5, 9));
  world.run_until_idle();
  world.expect_complete(second);
}

TEST(Engine, AFailedStepIsLoggedWithItsBlocksAndWithoutItsTokens) {
  World world;
  Request request = make_request(5, 9);
  for (TokenId& id : request.prompt_token_ids) id = 77;
  world.submit(request);
  world.runner.before_step = [](const SchedulerOutput&) -> Result<void> {
    return Error{ErrorCode::kInternal, "lost"};
  };
  testing::internal::CaptureStderr();
  world.step();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("error=\"lost\" num_sequences=1 num_tokens=5 [id=1 choice=0 tokens=5 "
                             "prompt=5 computed=0 scheduled=5 drafts=0 blocks=0-1]"));
  EXPECT_THAT(log.substr(log.find("step_failed")), testing::Not(HasSubstr("77")));
}

// Answers each step as told.
struct ScriptedRunner : ModelRunner {
  KvCacheSpec kv_cache_spec() const override {
    return {.num_blocks = 8, .block_size = 4, .bytes_per_block = 1};
  }
  StepLimits step_limits() const override {
    return {.max_num_batched_tokens = 8, .max_num_seqs = 8};
  }
  Result<ModelRunnerOutput> execute(const SchedulerOutput&) override { return output; }
  void read_block(BlockId, std::span<std::byte>) const override {}
  void write_block(BlockId, std::span<const std::byte>) override {}
  ModelRunnerOutput output;
};

TEST(Engine, AResultThatWasNotAskedForIsAFailedStep) {
  const auto token = [](SequenceId id, TokenId token_id) {
    return SampledToken{.sequence_id = id, .token = token_id, .logprob = 0.0F, .top_logprobs = {}};
  };
  const std::vector<std::vector<SampledToken>> wrong = {
      {}, {token(1, 3), token(2, 3)}, {token(2, 3)}, {token(1, kVocabSize)}, {token(1, -1)}};
  for (const auto& tokens : wrong) {
    ScriptedRunner runner;
    runner.output.tokens = tokens;
    Engine engine(runner, {.max_model_len = 20, .vocab_size = kVocabSize});
    const auto sink = std::make_shared<Collected>();
    engine.add(1, make_request(3, 2), sink);
    engine.step();
    EXPECT_EQ(sink->num_final, 1);
    EXPECT_EQ(sink->choices[0].reason, FinishReason::kError);
  }
}

// Chooses no token for the request with this seed.
class RefusingRunner final : public FakeRunner {
 public:
  static constexpr uint64_t kRefusedSeed = 666;
  Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override {
    ASSIGN_OR_RETURN(ModelRunnerOutput output, FakeRunner::execute(step));
    for (size_t i = 0; i < step.sequences.size(); ++i) {
      if (step.sequences[i].sampling->seed != kRefusedSeed) continue;
      output.tokens[i].token = -1;
      output.tokens[i].error = Error{ErrorCode::kInternal, "no token is allowed"};
    }
    return output;
  }
};

TEST(Engine, ASequenceWithoutATokenEndsItsRequestAloneInTheMiddleOfAStep) {
  RefusingRunner runner;
  Engine engine(runner, {.max_model_len = 20, .vocab_size = kVocabSize});
  std::map<RequestId, std::shared_ptr<Collected>> sinks;
  for (const RequestId id : {1, 2, 3}) {
    sinks[id] = std::make_shared<Collected>();
    Request request = make_request(3, 4, id);
    request.sampling.seed = id == 2 ? RefusingRunner::kRefusedSeed : 1;
    engine.add(id, std::move(request), sinks[id]);
  }
  while (engine.has_work()) engine.step();
  EXPECT_EQ(sinks[2]->num_final, 1);
  EXPECT_EQ(sinks[2]->choices[0].reason, FinishReason::kError);
  EXPECT_EQ(sinks[2]->last.error->message, "no token is allowed");
  EXPECT_TRUE(sinks[2]->choices[0].tokens.empty());
  for (const RequestId id : {1, 3}) {
    EXPECT_EQ(sinks[id]->num_final, 1);
    EXPECT_EQ(sinks[id]->choices[0].tokens.size(), 4U);
    EXPECT_FALSE(sinks[id]->last.error.has_value());
  }
  EXPECT_EQ(engine.stats().num_free_blocks, engine.stats().num_total_blocks);
  EXPECT_TRUE(engine.check_invariants().ok());
}

TEST(Engine, AbortFreesTheBlocksAndIsFinalAtOnce) {
  World world;
  const RequestId id = world.submit(make_request(5, 9, 0, 3));
  world.step();
  world.step();
  world.engine->abort(id);
  world.engine->abort(id);
  EXPECT_EQ(world.sinks[id]->num_final, 1);
  EXPECT_FALSE(world.sinks[id]->last.error.has_value());
  EXPECT_EQ(world.sinks[id]->choices[2].reason, FinishReason::kAbort);
  EXPECT_EQ(world.engine->stats().num_free_blocks, world.engine->stats().num_total_blocks);
  EXPECT_FALSE(world.engine->has_work());
}

TEST(Engine, ATokenOfARequestAbortedDuringTheStepIsDropped) {
  World world;
  const RequestId gone = world.submit(make_request(5, 9, 1));
  const RequestId other = world.submit(make_request(5, 9, 2));
  world.step({.before_execute = {}, .after_execute = [&] { world.engine->abort(gone); }});
  EXPECT_EQ(world.sinks[gone]->num_final, 1);
  EXPECT_TRUE(world.sinks[gone]->choices[0].tokens.empty());
  world.run_until_idle();
  world.expect_complete(other);
}

TEST(Engine, StopChoiceEndsOneChoiceAndLeavesTheOthers) {
  World world;
  const RequestId id = world.submit(make_request(5, 9, 1, 2));
  world.step();
  world.step();
  const size_t num_tokens = world.sinks[id]->choices[0].tokens.size();
  world.engine->stop_choice(id, 0);
  world.engine->stop_choice(id, 0);
  world.engine->stop_choice(id, 7);
  world.engine->stop_choice(id + 1, 0);
  EXPECT_EQ(world.sinks[id]->num_final, 0);
  world.run_until_idle();
  EXPECT_EQ(world.sinks[id]->num_final, 1);
  EXPECT_EQ(world.sinks[id]->choices[0].reason, FinishReason::kStop);
  EXPECT_EQ(world.sinks[id]->choices[0].tokens.size(), num_tokens);
  EXPECT_EQ(world.sinks[id]->choices[1].tokens, reference(world.requests[id], 1, 100).tokens);
}

TEST(Engine, DestroyingItAbortsWhatIsLeft) {
  World world({.num_blocks = 64, .block_size = 4, .max_num_batched_tokens = 8, .max_num_seqs = 1});
  const RequestId running = world.submit(make_request(5, 9));
  const RequestId waiting = world.submit(make_request(5, 9));
  world.step();
  world.engine.reset();
  for (const RequestId id : {running, waiting}) {
    EXPECT_EQ(world.sinks[id]->num_final, 1);
    EXPECT_EQ(world.sinks[id]->choices[0].reason, FinishReason::kAbort);
    EXPECT_EQ(world.sinks[id]->last.error->code, ErrorCode::kUnavailable);
  }
}

TEST(Engine, TheFinalOutputSaysWhereTheTimeWent) {
  World world({.num_blocks = 64, .block_size = 4, .max_num_batched_tokens = 8, .max_num_seqs = 1});
  const auto at = [](int seconds) { return TimePoint{} + std::chrono::seconds(seconds); };
  world.clock.time = at(10);
  const RequestId id = world.submit(make_request(12, 2));
  for (int i = 1; i <= 3; ++i) {
    world.clock.time = at(10 + i);
    world.step();
  }
  const RequestTimes& times = world.sinks[id]->last.times;
  EXPECT_EQ(times.arrival, at(10));
  EXPECT_EQ(times.first_scheduled, at(11));
  EXPECT_EQ(times.first_token, at(12));  // the prompt takes two steps
  EXPECT_EQ(times.finished, at(13));
}

TEST(Engine, KeepsMetrics) {
  MetricsRegistry registry;
  FakeRunner runner({.num_blocks = 6, .block_size = 4});
  Engine engine(runner, {.max_model_len = 20, .vocab_size = kVocabSize},
                EngineMetrics(&registry, "demo", 20, 0));
  engine.add(3, make_request(1, 1, 3), std::make_shared<Collected>());
  while (engine.has_work()) engine.step();
  engine.add(1, make_request(8, 12, 1), std::make_shared<Collected>());
  engine.add(2, make_request(8, 12, 2), std::make_shared<Collected>());
  while (engine.stats().num_finished_requests == 1) engine.step();
  engine.abort(1);
  engine.abort(2);
  const std::string text = registry.render();
  const std::string label = "{engine=\"0\",model_name=\"demo\"";
  EXPECT_THAT(text, HasSubstr("vllm:prompt_tokens_total" + label + "} 17"));
  EXPECT_THAT(text, HasSubstr("vllm:num_preemptions_total" + label + "} 1"));
  EXPECT_THAT(text, HasSubstr("vllm:time_to_first_token_seconds_count" + label + "} 3"));
  EXPECT_THAT(text, HasSubstr("vllm:e2e_request_latency_seconds_count" + label + "} 3"));
  EXPECT_THAT(text, testing::ContainsRegex("finished_reason=\"length\"[^\n]* 2\n"));
  EXPECT_THAT(text, testing::ContainsRegex("finished_reason=\"abort\"[^\n]* 1\n"));
}

// Keeps blocks in memory, and loses some.
struct ForgetfulStore : BlockStore {
  bool contains(const BlockHash& hash) const override { return saved.contains(hash); }
  bool load(const BlockHash& hash, std::span<const TokenId>, std::span<std::byte> out) override {
    const auto found = saved.find(hash);
    if (found == saved.end() || hash[0] % 8 == 0) return false;
    std::ranges::copy(found->second, out.begin());
    ++num_loads;
    return true;
  }
  bool has_room() const override { return true; }
  void save(const BlockHash& hash, std::span<const TokenId>, std::vector<std::byte> data) override {
    if (hash[1] % 8 != 0) saved[hash] = std::move(data);
  }
  std::map<BlockHash, std::vector<std::byte>> saved;
  int64_t num_loads = 0;
};

// What random runs came across: too little means that they are too easy.
struct RunTotals {
  int64_t num_preemptions = 0;
  int64_t num_cached_tokens = 0;
  int64_t num_loads = 0;
  int64_t num_draft_tokens = 0;
  int64_t num_accepted_draft_tokens = 0;
  int64_t num_expired = 0;
  int64_t num_failed_steps = 0;
};

// One random run: arrivals, priorities, tenants, aborts, stops, several choices, failing steps,
// waits that are too long, shared beginnings, a small pool.
class RandomRun {
 public:
  explicit RandomRun(uint32_t seed)
      : random_(seed),
        block_size_(1 + draw(5)),
        num_blocks_(3 + draw(14)),
        world_({.num_blocks = num_blocks_,
                .block_size = block_size_,
                .max_num_batched_tokens = 1 + draw(20),
                .max_num_seqs = 1 + draw(7),
                .max_num_draft_tokens = draw(2) * draw(12),
                .vocab_size = kVocabSize},
               kMaxModelLen) {
    failure_percent_ = draw(2) * draw(8);
    world_.config.enable_prefix_caching = draw(4) != 0;
    if (draw(2) == 0) world_.config.block_store = &store_;
    if (draw(2) == 0) world_.config.max_queue_time = std::chrono::seconds(5 + draw(60));
    world_.start();
    world_.runner.before_step = [this](const SchedulerOutput& step) { return look_at(step); };
  }

  void run() {
    for (int i = 0; i < 150; ++i) {
      for (int32_t arrivals = draw(3); arrivals > 0; --arrivals) arrive();
      disturb(10);
      step();
      if (testing::Test::HasFatalFailure()) return;
    }
    for (int i = 0; world_.engine->has_work(); ++i) {
      ASSERT_LT(i, 20000) << "no progress";
      step();
      if (testing::Test::HasFatalFailure()) return;
    }
    for (const auto& [id, sink] : world_.sinks) expect_right(id, *sink);
    const EngineStats stats = world_.engine->stats();
    EXPECT_EQ(stats.num_free_blocks, num_blocks_);
    EXPECT_EQ(stats.num_accepted_requests, stats.num_finished_requests);
    EXPECT_EQ(world_.admission->num_queued(), 0);
    EXPECT_EQ(world_.admission->num_queued_tokens(), 0);
    totals.num_preemptions += stats.num_preemptions;
    totals.num_cached_tokens += stats.num_cached_prompt_tokens;
    totals.num_loads += store_.num_loads;
    totals.num_draft_tokens += stats.num_draft_tokens;
    totals.num_accepted_draft_tokens += stats.num_accepted_draft_tokens;
    totals.num_expired += stats.num_expired_requests;
  }

  RunTotals totals;

 private:
  static constexpr int32_t kMaxModelLen = 40;

  // In [0, limit).
  int32_t draw(int32_t limit) {
    return static_cast<int32_t>(random_() % static_cast<uint32_t>(limit));
  }

  void arrive() {
    // Few beginnings, so that many are found in the cache; mostly short outputs, so that a long
    // one comes unexpected.
    const int32_t max_tokens = draw(5) == 0 ? 1 + draw(30) : 1 + draw(5);
    Request request = make_request(1 + draw(20), max_tokens, static_cast<uint64_t>(draw(4)),
                                   1 + draw(3) * draw(2));
    request.sampling.seed = random_();
    request.priority = draw(3) == 0 ? Priority::kBackground : Priority::kInteractive;
    request.tenant = draw(3);
    request.cache_salt[0] = draw(4) == 0 ? 1 : 0;
    request.sampling.min_tokens = draw(4);
    if (draw(2) == 0) request.sampling.eos_token_ids = {draw(100), draw(100), draw(100)};
    if (draw(4) == 0) request.sampling.stop_token_ids = {draw(100), draw(100)};
    request.sampling.ignore_eos = draw(4) == 0;
    if (draw(3) == 0) request.sampling.allowed_token_ids = {draw(100), draw(100), draw(100)};
    if (!world_.engine->check(request).ok()) return;
    const int32_t n = request.n;
    const RequestId id = world_.submit(std::move(request));
    for (int32_t i = 0; i < n; ++i) choice_of_[next_sequence_id_++] = {id, i};
  }

  void disturb(int32_t percent) {
    if (world_.requests.empty() || draw(100) >= percent) return;
    // Mostly one of the latest, which is likely to be alive.
    const auto num_requests = static_cast<int32_t>(world_.requests.size());
    const auto id =
        static_cast<RequestId>(std::max(1, num_requests - draw(std::min(num_requests, 8))));
    disturbed_.insert(id);
    if (draw(2) == 0) {
      world_.engine->abort(id);
    } else {
      world_.engine->stop_choice(id, draw(3));
    }
  }

  void step() {
    num_preempted_before_ = world_.engine->stats().num_preemptions;
    world_.clock.time += std::chrono::seconds(1);
    world_.step({.before_execute = {}, .after_execute = [this] { disturb(5); }});
  }

  // Sequences that had a token in the last step and are alive have one in this, or are preempted.
  Result<void> look_at(const SchedulerOutput& step) {
    std::set<SequenceId> now;
    for (const ScheduledSequence& s : step.sequences) now.insert(s.id);
    int64_t num_missing = 0;
    for (const SequenceId id : decoding_) {
      const auto [request_id, choice_index] = choice_of_.at(id);
      const Collected& sink = *world_.sinks.at(request_id);
      const auto choice = sink.choices.find(choice_index);
      const bool ended = choice != sink.choices.end() && choice->second.reason.has_value();
      if (!ended && now.count(id) == 0) ++num_missing;
    }
    EXPECT_LE(num_missing, world_.engine->stats().num_preemptions - num_preempted_before_);
    decoding_.clear();
    for (const ScheduledSequence& s : step.sequences) {
      if (s.sampling != nullptr) decoding_.push_back(s.id);
    }
    if (draw(100) >= failure_percent_) return {};
    ++totals.num_failed_steps;
    if (draw(2) == 0) throw std::runtime_error("thrown");
    return Error{ErrorCode::kInternal, "asked to fail"};
  }

  void expect_right(RequestId id, const Collected& sink) {
    EXPECT_EQ(sink.num_final, 1) << "request " << id;
    const Request& request = world_.requests[id];
    EXPECT_LE(sink.last.num_preemptions, request.n) << "no sequence is preempted twice";
    const bool expired = sink.last.error && sink.last.error->code == ErrorCode::kOverloaded;
    ASSERT_EQ(static_cast<int32_t>(sink.choices.size()), request.n);
    for (const auto& [index, got] : sink.choices) {
      const Collected::Choice want = reference(request, index, kMaxModelLen);
      EXPECT_TRUE(!expired || got.tokens.empty()) << "what had begun was cut off";
      const bool cut_short = got.reason == FinishReason::kError || expired ||
                             (disturbed_.count(id) != 0 && got.tokens.size() < want.tokens.size());
      if (!cut_short) {
        EXPECT_EQ(got.tokens, want.tokens) << "request " << id << " choice " << index;
        EXPECT_EQ(got.reason, want.reason);
        EXPECT_EQ(got.stop_token_id, want.stop_token_id);
        continue;
      }
      ASSERT_LE(got.tokens.size(), want.tokens.size());
      EXPECT_TRUE(std::equal(got.tokens.begin(), got.tokens.end(), want.tokens.begin()))
          << "request " << id << " choice " << index;
    }
  }

  std::mt19937 random_;
  int32_t block_size_;
  int32_t num_blocks_;
  ForgetfulStore store_;
  World world_;
  int32_t failure_percent_ = 0;
  SequenceId next_sequence_id_ = 1;  // as the engine numbers them
  std::map<SequenceId, std::pair<RequestId, int32_t>> choice_of_;
  std::set<RequestId> disturbed_;
  std::vector<SequenceId> decoding_;  // had a token in the last step
  int64_t num_preempted_before_ = 0;
};

TEST(Engine, EveryRequestGetsWhatItWouldGetAloneWhateverHappensToOthers) {
  // Each failed step logs a line; only a failing run's are worth seeing.
  testing::internal::CaptureStderr();
  RunTotals totals;
  for (uint32_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomRun run(seed);
    run.run();
    if (HasFailure()) break;
    totals.num_preemptions += run.totals.num_preemptions;
    totals.num_cached_tokens += run.totals.num_cached_tokens;
    totals.num_loads += run.totals.num_loads;
    totals.num_draft_tokens += run.totals.num_draft_tokens;
    totals.num_accepted_draft_tokens += run.totals.num_accepted_draft_tokens;
    totals.num_expired += run.totals.num_expired;
    totals.num_failed_steps += run.totals.num_failed_steps;
  }
  const std::string log = testing::internal::GetCapturedStderr();
  if (HasFailure()) FAIL() << log.substr(log.size() - std::min<size_t>(log.size(), 2000));
  EXPECT_GT(totals.num_preemptions, 150);
  EXPECT_GT(totals.num_cached_tokens, 1000);
  EXPECT_GT(totals.num_loads, 100);
  EXPECT_GT(totals.num_accepted_draft_tokens, 100);
  EXPECT_GT(totals.num_draft_tokens, totals.num_accepted_draft_tokens + 100);
  EXPECT_GT(totals.num_expired, 100);
  EXPECT_GT(totals.num_failed_steps, 100);
}

}  // namespace
}  // namespace pagoda
