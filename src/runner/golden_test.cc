// Greedy continuations of Transformers, reproduced by the runner however the work is cut up.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"
#include "model/golden_model.h"
#include "model/registry.h"
#include "runner/eager_runner.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // parameters left at their defaults

namespace pagoda {
namespace {

constexpr int32_t kBlockSize = 8;
constexpr int32_t kNumBlocks = 64;

// One sequence as a scheduler would hold it.
struct Stream {
  std::vector<TokenId> tokens;
  int32_t num_prompt_tokens = 0;
  int32_t num_computed_tokens = 0;
  std::vector<BlockId> blocks;
  SamplingParams sampling;
};

// A runner over a golden model with f32 weights and cache.
class GoldenRun {
 public:
  GoldenRun(const GoldenModel& golden, const std::string& isa, int32_t num_threads = 2)
      : backend_(cpu::make_cpu_backend({.num_threads = num_threads, .isa = isa}).value()) {
    const auto checkpoint = Checkpoint::open(golden.folder);
    auto model = load_model(*checkpoint, golden.config, {.matrix = DType::kF32}, *backend_);
    runner_ = EagerRunner::create(std::move(model).value(), *backend_,
                                  {.limits = {.max_num_batched_tokens = 160, .max_num_seqs = 4},
                                   .num_blocks = kNumBlocks,
                                   .block_size = kBlockSize,
                                   .kv_dtype = DType::kF32})
                  .value();
  }

  // Blocks are dealt in a scrambled order, so that neighbours in a table are not so in memory.
  Stream make_stream(const std::vector<TokenId>& prompt, const SamplingParams& sampling) {
    Stream stream = {.tokens = prompt,
                     .num_prompt_tokens = static_cast<int32_t>(prompt.size()),
                     .sampling = sampling};
    for (int32_t i = 0; i < 14; ++i) {
      stream.blocks.push_back(next_block_++ * 23 % kNumBlocks);
    }
    return stream;
  }

  // Runs up to `max_tokens` uncomputed tokens of each stream in one step and appends what is
  // chosen.
  std::vector<SampledToken> step(const std::vector<Stream*>& streams, int32_t max_tokens) {
    SchedulerOutput work;
    for (size_t i = 0; i < streams.size(); ++i) {
      const Stream& s = *streams[i];
      const auto length = static_cast<int32_t>(s.tokens.size());
      const int32_t count = std::min(length - s.num_computed_tokens, max_tokens);
      const bool last = s.num_computed_tokens + count == length;
      work.sequences.push_back({.id = i + 1,
                                .token_ids = s.tokens,
                                .num_prompt_tokens = s.num_prompt_tokens,
                                .num_computed_tokens = s.num_computed_tokens,
                                .num_scheduled_tokens = count,
                                .block_table = s.blocks,
                                .sampling = last ? &s.sampling : nullptr});
      work.num_tokens += count;
    }
    auto output = runner_->execute(work);
    EXPECT_TRUE(output.ok()) << output.error().message;
    for (size_t i = 0; i < streams.size(); ++i) {
      streams[i]->num_computed_tokens += work.sequences[i].num_scheduled_tokens;
    }
    for (const SampledToken& token : output->tokens) {
      streams[token.sequence_id - 1]->tokens.push_back(token.token);
    }
    return output->tokens;
  }

  // Steps until the stream has `num_tokens` output tokens, which it returns with their logprobs.
  std::vector<std::pair<TokenId, float>> generate(Stream& stream, size_t num_tokens,
                                                  int32_t max_tokens_a_step) {
    std::vector<std::pair<TokenId, float>> result;
    while (result.size() < num_tokens) {
      for (const SampledToken& token : step({&stream}, max_tokens_a_step)) {
        result.emplace_back(token.token, token.logprob);
      }
    }
    return result;
  }

  EagerRunner& runner() { return *runner_; }

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<EagerRunner> runner_;
  int32_t next_block_ = 0;
};

const SamplingParams kGreedy = {.temperature = 0.0F, .num_logprobs = 0};

std::vector<TokenId> tokens_of(const std::vector<std::pair<TokenId, float>>& generated) {
  std::vector<TokenId> tokens;
  for (const auto& [token, logprob] : generated) tokens.push_back(token);
  return tokens;
}

TEST(Golden, GreedyTokensAreThoseOfTransformersOnEveryInstructionSet) {
  for (const char* name : kGoldenModels) {
    const GoldenModel golden = read_golden_model(name);
    for (const cpu::CpuKernels* kernels : cpu::supported_kernels()) {
      GoldenRun run(golden, kernels->isa);
      Stream stream = run.make_stream(golden.prompt, kGreedy);
      EXPECT_EQ(tokens_of(run.generate(stream, golden.greedy.size(), 160)), golden.greedy)
          << name << " " << kernels->isa;
    }
  }
}

TEST(Golden, ChunkedPrefillAndOneByOneGiveTheSameTokensAndLogprobsToTheBit) {
  for (const char* name : {"base", "rope_llama3", "mistral", "gemma2", "gemma3"}) {
    const GoldenModel golden = read_golden_model(name);
    for (const cpu::CpuKernels* kernels : cpu::supported_kernels()) {
      std::vector<std::pair<TokenId, float>> want;
      for (const int32_t max_tokens : {160, 33, 8, 1}) {
        GoldenRun run(golden, kernels->isa);
        Stream stream = run.make_stream(golden.prompt, kGreedy);
        const auto got = run.generate(stream, golden.greedy.size(), max_tokens);
        if (want.empty()) want = got;
        EXPECT_EQ(got, want) << name << " " << kernels->isa << " " << max_tokens;
      }
      EXPECT_EQ(tokens_of(want), golden.greedy);
    }
  }
}

TEST(Golden, CompanyAndThreadsChangeNoBit) {
  const GoldenModel golden = read_golden_model("base");
  const SamplingParams drawn = {.temperature = 0.9F, .top_p = 0.95F, .seed = 42, .num_logprobs = 0};
  for (const SamplingParams& sampling : {kGreedy, drawn}) {
    GoldenRun alone(golden, "", 1);
    Stream lone = alone.make_stream(golden.prompt, sampling);
    const auto want = alone.generate(lone, golden.greedy.size(), 160);

    GoldenRun busy(golden, "", 4);
    Stream stream = busy.make_stream(golden.prompt, sampling);
    // The company starts earlier and ends later, with its own prompts and parameters.
    Stream first = busy.make_stream({9, 8, 7}, {.temperature = 1.3F, .seed = 1});
    Stream second = busy.make_stream({golden.prompt.rbegin(), golden.prompt.rend()}, kGreedy);
    busy.step({&first, &second}, 20);
    std::vector<std::pair<TokenId, float>> got;
    while (got.size() < golden.greedy.size()) {
      for (const SampledToken& token : busy.step({&first, &stream, &second}, 20)) {
        if (token.sequence_id == 2) got.emplace_back(token.token, token.logprob);
      }
    }
    EXPECT_EQ(got, want);
  }
}

// What preemption does: the cache is dropped and all tokens so far are computed again.
TEST(Golden, RecomputingAStreamContinuesItToTheBit) {
  const GoldenModel golden = read_golden_model("rope_llama3");
  GoldenRun run(golden, "");
  Stream straight = run.make_stream(golden.prompt, kGreedy);
  const auto want = run.generate(straight, golden.greedy.size(), 160);
  Stream resumed = run.make_stream(golden.prompt, kGreedy);
  auto got = run.generate(resumed, 10, 160);
  resumed.num_computed_tokens = 0;
  std::reverse(resumed.blocks.begin(), resumed.blocks.end());
  const auto rest = run.generate(resumed, golden.greedy.size() - 10, 30);
  got.insert(got.end(), rest.begin(), rest.end());
  EXPECT_EQ(got, want);
}

// What a prefix cache does: a stream starts on blocks that another one filled.
TEST(Golden, SharingThePrefixBlocksOfAnotherStreamChangesNoBit) {
  const GoldenModel golden = read_golden_model("base");
  GoldenRun run(golden, "");
  Stream first = run.make_stream(golden.prompt, kGreedy);
  const auto want = run.generate(first, golden.greedy.size(), 160);
  Stream second = run.make_stream(golden.prompt, kGreedy);
  constexpr int32_t kShared = 5;  // blocks
  std::copy_n(first.blocks.begin(), kShared, second.blocks.begin());
  second.num_computed_tokens = kShared * kBlockSize;
  EXPECT_EQ(run.generate(second, golden.greedy.size(), 160), want);
}

}  // namespace
}  // namespace pagoda
