// Equal answers: a request gets the same tokens and logprobs, to the bit, alone or in company, in
// chunks of any size, from the cache, after a preemption, and on any number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/test_folder.h"
#include "engine/engine.h"
#include "model/registry.h"
#include "runner/eager_runner.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // parameters left at their defaults

namespace pagoda {
namespace {

constexpr int32_t kBlockSize = 16;
constexpr int32_t kMaxModelLen = 256;
constexpr int32_t kManyBlocks = 64;

// Llama 3.2 1B but for the number of layers and the vocabulary.
std::string wide_config(int32_t num_layers) {
  return R"({"architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "vocab_size": 2048,
    "hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 64, "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": true,
    "num_hidden_layers": )" +
         std::to_string(num_layers) + "}";
}

// Head size, widths and vocabulary are no multiples of what the kernels compute at once.
std::string tiny_config() {
  return R"({"architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "vocab_size": 523,
    "hidden_size": 96, "intermediate_size": 160, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 12, "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false,
    "num_hidden_layers": 3})";
}

// Windows shorter than a chunk of keys and longer than a block in every second layer, caps of
// scores and logits, norms behind each block.
std::string windowed_config() {
  return R"({"architectures": ["Gemma2ForCausalLM"], "vocab_size": 523, "hidden_size": 96,
    "intermediate_size": 160, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 12,
    "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "query_pre_attn_scalar": 12,
    "sliding_window": 21, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 30.0,
    "num_hidden_layers": 3})";
}

// Experts of few rows each, a layer without them, and a window.
std::string experts_config() {
  return R"({"architectures": ["Qwen3MoeForCausalLM"], "hidden_act": "silu", "vocab_size": 523,
    "hidden_size": 96, "intermediate_size": 160, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 12, "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false,
    "num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 64,
    "norm_topk_prob": true, "mlp_only_layers": [1], "use_sliding_window": true,
    "sliding_window": 40, "num_hidden_layers": 3})";
}

// Sinks, biases, clamped activations, and windows in every other layer.
std::string sinks_config() {
  return R"({"architectures": ["GptOssForCausalLM"], "hidden_act": "silu", "vocab_size": 523,
    "hidden_size": 96, "intermediate_size": 64, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 12, "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": false, "num_local_experts": 6,
    "num_experts_per_tok": 2, "sliding_window": 24, "num_hidden_layers": 2})";
}

// A model folder with random bf16 weights. Random numbers are drawn once; each tensor takes them
// from another place on.
class RandomModel {
 public:
  explicit RandomModel(const std::string& config_json)
      : config_(parse_model_config(config_json).value()) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal(0.0F, 0.5F / std::sqrt(72.0F));
    std::vector<uint16_t> pool(1'000'003);
    const float scale = std::sqrt(72.0F / static_cast<float>(config_.hidden_size));
    for (uint16_t& bits : pool) bits = float_to_bf16(normal(generator) * scale);
    std::string header = "{";
    std::string data;
    const Architecture* architecture = find_architecture(config_.architecture).value();
    for (const WeightSpec& spec : architecture->weight_specs(config_)) {
      const size_t begin = data.size();
      append(data, spec.shape, pool);
      header += (header.size() > 1 ? ",\"" : "\"") + spec.name +
                "\":{\"dtype\":\"BF16\",\"shape\":" + to_string(spec.shape) +
                ",\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(data.size()) +
                "]}";
    }
    folder_.write("config.json", config_json);
    folder_.write("model.safetensors", safetensors_bytes(header + "}", data));
  }

  const ModelConfig& config() const { return config_; }
  std::unique_ptr<Model> load(DType matrix, Backend& backend) const {
    const auto checkpoint = Checkpoint::open(folder_.path());
    return load_model(checkpoint.value(), config_, {.matrix = matrix}, backend).value();
  }

 private:
  void append(std::string& data, const Shape& shape, const std::vector<uint16_t>& pool) {
    const auto bytes = static_cast<size_t>(shape.num_elements()) * sizeof(uint16_t);
    if (shape.rank() == 1) {
      for (size_t i = 0; i < bytes / 2; ++i) data.append("\x80\x3f", 2);  // 1.0
      return;
    }
    const char* source = reinterpret_cast<const char*>(pool.data());
    const size_t end = data.size() + bytes;
    for (size_t at = data.size() % 4096 * 2; data.size() < end; at = 0) {
      data.append(source + at, std::min(end - data.size(), pool.size() * 2 - at));
    }
  }

  TestFolder folder_;
  ModelConfig config_;
};

// Lets several runners use one model, which takes long to load.
class BorrowedModel final : public Model {
 public:
  explicit BorrowedModel(const Model& model) : model_(model) {}
  const ModelConfig& config() const override { return model_.config(); }
  int64_t weight_bytes() const override { return model_.weight_bytes(); }
  Tensor forward(Ops& ops, const ForwardBatch& batch, KvCache& cache) const override {
    return model_.forward(ops, batch, cache);
  }

 private:
  const Model& model_;
};

// A runner that says it can do less than it can.
class LimitedRunner final : public ModelRunner {
 public:
  LimitedRunner(ModelRunner& runner, StepLimits limits, int32_t num_blocks)
      : runner_(runner), limits_(limits), num_blocks_(num_blocks) {}
  KvCacheSpec kv_cache_spec() const override {
    KvCacheSpec spec = runner_.kv_cache_spec();
    spec.num_blocks = num_blocks_;
    return spec;
  }
  StepLimits step_limits() const override { return limits_; }
  Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override {
    return runner_.execute(step);
  }
  void read_block(BlockId block, std::span<std::byte> out) const override {
    runner_.read_block(block, out);
  }
  void write_block(BlockId block, std::span<const std::byte> data) override {
    runner_.write_block(block, data);
  }

 private:
  ModelRunner& runner_;
  StepLimits limits_;
  int32_t num_blocks_;
};

// What a client saw of a request: tokens, and the bits of all logprobs.
class Answer final : public OutputSink {
 public:
  void post(RequestOutput output) override {
    for (const ChoiceOutput& choice : output.choices) {
      const auto index = static_cast<size_t>(choice.index);
      if (index >= words_.size()) words_.resize(index + 1);
      for (const SampledToken& token : choice.tokens) {
        EXPECT_FALSE(token.error) << token.error->message;
        add(index, token.token, token.logprob);
        for (const TokenLogprob& top : token.top_logprobs) add(index, top.token, top.logprob);
      }
    }
    if (output.finished) last_ = std::move(output);
  }
  const std::vector<std::vector<uint32_t>>& words() const { return words_; }
  const RequestOutput& last() const { return last_; }

 private:
  void add(size_t choice, TokenId token, float logprob) {
    words_[choice].push_back(static_cast<uint32_t>(token));
    words_[choice].push_back(std::bit_cast<uint32_t>(logprob));
  }
  std::vector<std::vector<uint32_t>> words_;
  RequestOutput last_;
};

std::vector<TokenId> random_tokens(size_t count, uint32_t seed, int32_t vocab_size) {
  std::mt19937 generator(seed);
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) {
    token = static_cast<TokenId>(generator() % static_cast<uint32_t>(vocab_size));
  }
  return tokens;
}

// Requests of every kind: greedy, drawn, penalised, with choices; prompts of up to `longest`
// tokens.
std::vector<Request> all_kinds(int32_t vocab_size, size_t longest) {
  const auto common = [](SamplingParams params) {
    params.max_tokens = 5;
    params.ignore_eos = true;
    params.num_logprobs = 5;
    return params;
  };
  return {{.prompt_token_ids = random_tokens(longest, 1, vocab_size),
           .sampling = common({.temperature = 0.0F})},
          {.prompt_token_ids = random_tokens(1, 2, vocab_size),
           .sampling = common({.temperature = 1.0F, .seed = 7})},
          {.prompt_token_ids = random_tokens(longest / 2, 3, vocab_size),
           .sampling = common({.temperature = 1.3F, .top_p = 0.9F, .top_k = 50, .seed = 8}),
           .n = 2},
          {.prompt_token_ids = random_tokens(longest * 2 / 3, 4, vocab_size),
           .sampling = common({.temperature = 0.7F,
                               .frequency_penalty = 0.5F,
                               .repetition_penalty = 1.2F,
                               .seed = 9})}};
}

struct Circumstances {
  int32_t max_num_batched_tokens = 512;
  int32_t num_blocks = kManyBlocks;
  int32_t max_num_draft_tokens = 0;
};

// One model in one format, with a runner for each cache format.
class Deployment {
 public:
  Deployment(const RandomModel& model, const std::string& isa, DType matrix, int32_t num_threads)
      : backend_(cpu::make_cpu_backend({.num_threads = num_threads, .isa = isa}).value()),
        model_(model.load(matrix, *backend_)) {}

  void use_cache(DType kv_dtype) {
    runner_ = EagerRunner::create(std::make_unique<BorrowedModel>(*model_), *backend_,
                                  {.limits = {.max_num_batched_tokens = 512,
                                              .max_num_seqs = 8,
                                              .max_num_draft_tokens = 7},
                                   .num_blocks = kManyBlocks,
                                   .block_size = kBlockSize,
                                   .kv_dtype = kv_dtype})
                  .value();
  }

  LimitedRunner runner(const Circumstances& c) {
    return {*runner_,
            {.max_num_batched_tokens = c.max_num_batched_tokens,
             .max_num_seqs = std::min(8, c.max_num_batched_tokens),
             .max_num_draft_tokens = c.max_num_draft_tokens},
            c.num_blocks};
  }
  EngineConfig config() const {
    return {.max_model_len = kMaxModelLen, .vocab_size = model_->config().vocab_size};
  }

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<EagerRunner> runner_;
};

using Answers = std::vector<std::shared_ptr<Answer>>;

Answers run_together(Engine& engine, const std::vector<Request>& requests) {
  Answers answers;
  static RequestId next_id = 1;
  for (const Request& request : requests) {
    EXPECT_TRUE(engine.check(request).ok());
    answers.push_back(std::make_shared<Answer>());
    engine.add(next_id++, request, answers.back());
  }
  while (engine.has_work()) engine.step();
  return answers;
}

Answers run_together(Deployment& deployment, const std::vector<Request>& requests,
                     const Circumstances& circumstances) {
  LimitedRunner runner = deployment.runner(circumstances);
  Engine engine(runner, deployment.config());
  return run_together(engine, requests);
}

Answers run_alone(Deployment& deployment, const std::vector<Request>& requests) {
  Answers answers;
  for (const Request& request : requests) {
    answers.push_back(run_together(deployment, {request}, {}).front());
  }
  return answers;
}

void expect_equal(const Answers& got, const Answers& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i]->words(), want[i]->words()) << what << ", request " << i;
  }
}

// How much of the product of all circumstances is tried.
struct Scope {
  std::vector<DType> kv_dtypes;
  size_t longest_prompt;                   // tokens
  std::vector<int32_t> thread_counts;      // the first meets everything, the others company only
  std::vector<int32_t> step_tokens;        // max_num_batched_tokens
  std::vector<int32_t> steps_before_loss;  // of a request that is then preempted
};

// What is being tried, for messages.
struct Case {
  std::string name;
  const std::vector<Request>& requests;
  const Answers& want;  // of each request alone
};

void expect_same_in_company(Deployment& deployment, const Case& c, const Scope& scope) {
  for (const int32_t tokens : scope.step_tokens) {
    expect_equal(run_together(deployment, c.requests, {.max_num_batched_tokens = tokens}), c.want,
                 c.name + ", together, " + std::to_string(tokens) + " tokens a step");
  }
}

// All requests twice: the second time every whole block of a prompt but the one with its last token
// comes from the cache.
void expect_same_from_cache(Deployment& deployment, const Case& c) {
  LimitedRunner runner = deployment.runner({});
  Engine engine(runner, deployment.config());
  expect_equal(run_together(engine, c.requests), c.want, c.name + ", filling the cache");
  const Answers cached = run_together(engine, c.requests);
  expect_equal(cached, c.want, c.name + ", cached");
  for (size_t i = 0; i < cached.size(); ++i) {
    const auto prompt_tokens = static_cast<int32_t>(c.requests[i].prompt_token_ids.size());
    EXPECT_EQ(cached[i]->last().num_cached_tokens, (prompt_tokens - 1) / kBlockSize * kBlockSize)
        << c.name << ", request " << i;
  }
}

// A long background request loses its blocks to an interactive one: in the middle of its prompt, or
// between two tokens of its answer.
void expect_same_when_preempted(Deployment& deployment, const Case& c, const Scope& scope) {
  Request victim = c.requests[0];
  victim.priority = Priority::kBackground;
  for (const int32_t num_steps : scope.steps_before_loss) {
    // Room for either of the two, not for both.
    const auto num_tokens =
        static_cast<int32_t>(victim.prompt_token_ids.size()) + victim.sampling.max_tokens;
    LimitedRunner runner = deployment.runner(
        {.max_num_batched_tokens = 32, .num_blocks = (num_tokens + kBlockSize - 1) / kBlockSize});
    Engine engine(runner, deployment.config());
    const auto first = std::make_shared<Answer>();
    const auto second = std::make_shared<Answer>();
    engine.add(1, victim, first);
    for (int32_t i = 0; i < num_steps; ++i) engine.step();
    engine.add(2, c.requests[3], second);
    while (engine.has_work()) engine.step();
    const std::string what = c.name + ", preempted after " + std::to_string(num_steps) + " steps";
    expect_equal({first, second}, {c.want[0], c.want[3]}, what);
    EXPECT_GE(first->last().num_preemptions, 1) << what;
  }
}

// Answers of two words, so that some of what is guessed from the text before is right and some is
// not.
void expect_same_with_drafts(Deployment& deployment, const std::string& name) {
  const SamplingParams common = {
      .max_tokens = 40, .ignore_eos = true, .allowed_token_ids = {5, 6}, .num_logprobs = 2};
  SamplingParams greedy = common;
  greedy.temperature = 0.0F;
  SamplingParams drawn = common;
  drawn.temperature = 1.0F;
  drawn.frequency_penalty = 0.1F;
  drawn.seed = 3;
  const std::vector<Request> requests = {{.prompt_token_ids = {5, 6, 5, 6, 6}, .sampling = greedy},
                                         {.prompt_token_ids = {6, 5, 5}, .sampling = drawn}};
  const Answers want = run_alone(deployment, requests);
  LimitedRunner runner = deployment.runner({.max_num_draft_tokens = 7});
  Engine engine(runner, deployment.config());
  expect_equal(run_together(engine, requests), want, name + ", with drafts");
  const EngineStats stats = engine.stats();
  EXPECT_GT(stats.num_accepted_draft_tokens, 0) << name;
  EXPECT_GT(stats.num_draft_tokens, stats.num_accepted_draft_tokens) << name;
}

std::vector<std::string> fast_isas() {
  std::vector<std::string> names;
  for (const cpu::CpuKernels* kernels : cpu::supported_kernels()) {
    if (std::string(kernels->isa) != "scalar") names.emplace_back(kernels->isa);
  }
  return names;
}

// `scope` may differ with the number of the combination, so that few runs meet every value.
template <typename ScopeOf>
void expect_determinism(const RandomModel& model, const ScopeOf& scope_of) {
  int32_t combination = 0;
  for (const std::string& isa : fast_isas()) {
    for (const DType matrix : {DType::kBF16, DType::kQ8_0}) {
      const Scope scope = scope_of(combination++);
      const std::vector<Request> requests =
          all_kinds(model.config().vocab_size, scope.longest_prompt);
      std::vector<Answers> want(scope.kv_dtypes.size());
      for (const int32_t num_threads : scope.thread_counts) {
        Deployment deployment(model, isa, matrix, num_threads);
        for (size_t i = 0; i < want.size(); ++i) {
          deployment.use_cache(scope.kv_dtypes[i]);
          const bool first = want[i].empty();
          if (first) want[i] = run_alone(deployment, requests);
          const Case c = {.name = isa + ", " + std::string(format_traits(matrix).name) + ", KV " +
                                  std::string(format_traits(scope.kv_dtypes[i]).name) + ", " +
                                  std::to_string(num_threads) + " threads",
                          .requests = requests,
                          .want = want[i]};
          expect_same_in_company(deployment, c, scope);
          if (!first) continue;
          expect_same_from_cache(deployment, c);
          expect_same_when_preempted(deployment, c, scope);
          expect_same_with_drafts(deployment, c.name);
        }
      }
      // Equality would say nothing if every request or token were the same.
      EXPECT_NE(want[0][0]->words(), want[0][3]->words());
      EXPECT_NE(want[0][2]->words().at(0), want[0][2]->words().at(1));
      EXPECT_TRUE(want.size() == 1 || want[0][0]->words() != want[1][0]->words());
    }
  }
}

Scope everything() {
  return {.kv_dtypes = {DType::kF32, DType::kBF16, DType::kI8},
          .longest_prompt = 75,
          .thread_counts = {1, 2, 3},
          .step_tokens = {512, 64, 7, 1},
          .steps_before_loss = {1, 3, 4, 6}};
}

TEST(Determinism, ATinyModelGivesTheSameAnswersInAllCircumstances) {
  expect_determinism(RandomModel(tiny_config()), [](int32_t) { return everything(); });
}

TEST(Determinism, AModelWithWindowsAndCapsGivesTheSameAnswers) {
  constexpr DType kCaches[] = {DType::kF32, DType::kI8, DType::kBF16, DType::kI8};
  expect_determinism(RandomModel(windowed_config()), [&](int32_t combination) {
    return Scope{.kv_dtypes = {kCaches[combination % 4]},
                 .longest_prompt = 110,
                 .thread_counts = {1, 3},
                 .step_tokens = {64, 7, 1},
                 .steps_before_loss = {1, 4}};
  });
}

TEST(Determinism, MixturesOfExpertsGiveTheSameAnswers) {
  constexpr DType kCaches[] = {DType::kBF16, DType::kI8, DType::kF32, DType::kBF16};
  for (const std::string& config : {experts_config(), sinks_config()}) {
    expect_determinism(RandomModel(config), [&](int32_t combination) {
      return Scope{.kv_dtypes = {kCaches[combination % 4]},
                   .longest_prompt = 75,
                   .thread_counts = {1, 3},
                   .step_tokens = {64, 7, 1},
                   .steps_before_loss = {1, 4}};
    });
  }
}

TEST(Determinism, AModelOf1BWidthGivesTheSameAnswers) {
  constexpr DType kCaches[] = {DType::kBF16, DType::kI8, DType::kI8, DType::kBF16};
  const std::vector<int32_t> kThreads[] = {{1, 3}, {1}, {1}, {1, 2}};
  expect_determinism(RandomModel(wide_config(1)), [&](int32_t combination) {
    return Scope{.kv_dtypes = {kCaches[combination % 4]},
                 // Half of the time would go to the slowest combinations.
                 .longest_prompt = combination < 2 ? 24U : 40U,
                 .thread_counts = kThreads[combination % 4],
                 .step_tokens = {7},
                 .steps_before_loss = {combination % 4 + 1}};
  });
}

// Minutes: run it by --gtest_also_run_disabled_tests after a change to kernels or scheduling.
TEST(Determinism, DISABLED_AModelOf1BWidthGivesTheSameAnswersInAllCircumstances) {
  expect_determinism(RandomModel(wide_config(2)), [](int32_t) { return everything(); });
}

}  // namespace
}  // namespace pagoda
