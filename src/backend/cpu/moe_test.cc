// Mixture of experts against double precision, and bit equality where it is promised.
#include "backend/cpu/moe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>

#include "backend/cpu/test_backend.h"
#include "backend/null_ops.h"

namespace pagoda::cpu {
namespace {

struct Sizes {
  int64_t num_experts, hidden, ffn;
};

// Experts as floats, in the layout of ExpertWeights.
struct Experts {
  Sizes size;
  std::vector<float> gate, up, down, gate_bias, up_bias, down_bias;
};

Experts make_experts(const Sizes& s, bool with_bias) {
  const int64_t matrix = s.num_experts * s.hidden * s.ffn;
  Experts e = {.size = s,
               .gate = random_floats(matrix, 1, 0.3F),
               .up = random_floats(matrix, 2, 0.3F),
               .down = random_floats(matrix, 3, 0.3F),
               .gate_bias = {},
               .up_bias = {},
               .down_bias = {}};
  if (with_bias) {
    e.gate_bias = random_floats(s.num_experts * s.ffn, 4);
    e.up_bias = random_floats(s.num_experts * s.ffn, 5);
    e.down_bias = random_floats(s.num_experts * s.hidden, 6);
  }
  return e;
}

WeightPtr pack_stack(Backend& backend, const std::vector<float>& values, const Shape& shape,
                     DType dtype) {
  std::optional<ViewRows> rows;
  auto weight = backend.pack_stack(shape, dtype, [&](int64_t i) -> Result<const RowSource*> {
    const float* from = values.data() + i * shape[1] * shape[2];
    rows.emplace(
        TensorView{reinterpret_cast<const std::byte*>(from), DType::kF32, {shape[1], shape[2]}});
    return &*rows;
  });
  EXPECT_TRUE(weight.ok());
  return weight.ok() ? weight.value() : nullptr;
}

// The experts packed for one backend.
class PackedExperts {
 public:
  PackedExperts(Backend& backend, const Experts& e, DType dtype) {
    const auto& [num_experts, hidden, ffn] = e.size;
    const auto keep = [&](const Weight*& slot, WeightPtr weight) {
      slot = weight.get();
      owned_.push_back(std::move(weight));
    };
    keep(weights_.gate, pack_stack(backend, e.gate, {num_experts, ffn, hidden}, dtype));
    keep(weights_.up, pack_stack(backend, e.up, {num_experts, ffn, hidden}, dtype));
    keep(weights_.down, pack_stack(backend, e.down, {num_experts, hidden, ffn}, dtype));
    if (e.gate_bias.empty()) return;
    keep(weights_.gate_bias, pack(backend, e.gate_bias, {num_experts * ffn}, DType::kF32));
    keep(weights_.up_bias, pack(backend, e.up_bias, {num_experts * ffn}, DType::kF32));
    keep(weights_.down_bias, pack(backend, e.down_bias, {num_experts * hidden}, DType::kF32));
  }
  const ExpertWeights& weights() const { return weights_; }

 private:
  std::vector<WeightPtr> owned_;
  ExpertWeights weights_;
};

double activated(double gate, double up, const MoeParams& params) {
  if (params.activation == ExpertActivation::kSiluMul) return gate / (1 + std::exp(-gate)) * up;
  const auto limit = static_cast<double>(params.limit);
  gate = std::min(gate, limit);
  up = std::clamp(up, -limit, limit);
  return gate / (1 + std::exp(-static_cast<double>(params.alpha) * gate)) * (up + 1);
}

double dot(const float* w, const std::vector<double>& x, const std::vector<float>& bias,
           int64_t bias_index) {
  double sum = bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<size_t>(bias_index)]);
  for (size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(w[i]) * x[i];
  return sum;
}

// One row, with every expert of all computed in turn.
std::vector<double> expected_row(const Experts& e, const float* x, const float* logits,
                                 const MoeParams& params) {
  const auto& [num_experts, hidden, ffn] = e.size;
  std::vector<int64_t> order(static_cast<size_t>(num_experts));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  double total = 0;
  const bool all = params.weighting == ExpertWeighting::kSoftmaxOfAll;
  const int64_t counted = all ? num_experts : params.top_k;
  for (int64_t i = 0; i < counted; ++i) {
    total += std::exp(static_cast<double>(logits[order[static_cast<size_t>(i)]]));
  }
  const std::vector<double> row(x, x + hidden);
  std::vector<double> out(static_cast<size_t>(hidden));
  for (int32_t rank = 0; rank < params.top_k; ++rank) {
    const int64_t expert = order[static_cast<size_t>(rank)];
    std::vector<double> middle;
    for (int64_t i = 0; i < ffn; ++i) {
      const int64_t at = expert * ffn + i;
      middle.push_back(activated(dot(e.gate.data() + at * hidden, row, e.gate_bias, at),
                                 dot(e.up.data() + at * hidden, row, e.up_bias, at), params));
    }
    const double factor = std::exp(static_cast<double>(logits[expert])) / total;
    for (int64_t i = 0; i < hidden; ++i) {
      const int64_t at = expert * hidden + i;
      out[static_cast<size_t>(i)] +=
          factor * dot(e.down.data() + at * ffn, middle, e.down_bias, at);
    }
  }
  return out;
}

TEST(Moe, AgreesWithDoublePrecisionForEveryKindAndIsa) {
  const Experts plain = make_experts({8, 64, 40}, false);
  const Experts biased = make_experts({5, 33, 96}, true);
  const MoeParams mixtral = {.top_k = 2};
  const MoeParams qwen = {.top_k = 3, .weighting = ExpertWeighting::kSoftmaxOfAll};
  const MoeParams gpt_oss = {
      .top_k = 4, .activation = ExpertActivation::kClampedSwiglu, .alpha = 1.702F, .limit = 2.0F};
  const MoeParams every = {.top_k = 5};
  constexpr int64_t kRows = 23;
  for (const auto& [experts, params] : {std::pair(&plain, &mixtral), std::pair(&plain, &qwen),
                                        std::pair(&biased, &gpt_oss), std::pair(&biased, &every)}) {
    const auto& [num_experts, hidden, ffn] = experts->size;
    std::vector<float> x = random_floats(kRows * hidden, 7);
    std::vector<float> logits = random_floats(kRows * num_experts, 8, 2.0F);
    for (const std::string& isa : isas()) {
      const auto backend = make_backend(isa, 2);
      const PackedExperts packed(*backend, *experts, DType::kF32);
      const std::vector<float> got = copy(
          *backend, backend->ops().moe(view(x, {kRows, hidden}), view(logits, {kRows, num_experts}),
                                       packed.weights(), *params));
      for (int64_t t = 0; t < kRows; ++t) {
        const std::vector<double> want =
            expected_row(*experts, x.data() + t * hidden, logits.data() + t * num_experts, *params);
        for (int64_t i = 0; i < hidden; ++i) {
          ASSERT_NEAR(got[static_cast<size_t>(t * hidden + i)], want[static_cast<size_t>(i)], 2e-4)
              << isa << " top " << params->top_k << " row " << t;
        }
      }
    }
  }
}

TEST(Moe, OfARowDoesNotDependOnTheBatchNorOnThreads) {
  constexpr int64_t kRows = 40;
  const Experts experts = make_experts({6, 96, 64}, true);
  std::vector<float> x = random_floats(kRows * 96, 1);
  std::vector<float> logits = random_floats(kRows * 6, 2);
  const MoeParams params = {
      .top_k = 3, .activation = ExpertActivation::kClampedSwiglu, .alpha = 1.702F, .limit = 7.0F};
  for (const std::string& isa : isas()) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
      std::vector<float> alone;
      for (const int32_t threads : {1, 3}) {
        const auto backend = make_backend(isa, threads);
        const PackedExperts packed(*backend, experts, dtype);
        for (int64_t t = 0; threads == 1 && t < kRows; ++t) {
          const Tensor out = backend->ops().moe({.data = x.data() + t * 96, .shape = {1, 96}},
                                                {.data = logits.data() + t * 6, .shape = {1, 6}},
                                                packed.weights(), params);
          const std::vector<float> row = copy(*backend, out);
          alone.insert(alone.end(), row.begin(), row.end());
        }
        for (const int64_t rows : {2, 7, 40}) {
          const std::vector<float> got =
              copy(*backend, backend->ops().moe(view(x, {rows, 96}), view(logits, {rows, 6}),
                                                packed.weights(), params));
          ASSERT_EQ(0, std::memcmp(got.data(), alone.data(), got.size() * sizeof(float)))
              << isa << " " << format_traits(dtype).name << " T=" << rows << " threads=" << threads;
        }
      }
    }
  }
}

TEST(Moe, OfEqualLogitsTakesTheExpertsOfLowerIndex) {
  const Experts experts = make_experts({4, 32, 32}, false);
  const auto backend = make_backend("");
  const PackedExperts packed(*backend, experts, DType::kF32);
  std::vector<float> x = random_floats(2 * 32, 1);
  std::copy_n(x.begin(), 32, x.begin() + 32);
  const auto run = [&](std::vector<float> logits) {
    return copy(*backend, backend->ops().moe(view(x, {1, 32}), view(logits, {1, 4}),
                                             packed.weights(), {.top_k = 2}));
  };
  EXPECT_EQ(run({1, 1, 1, 1}), run({1, 1, 0, 0}));
  EXPECT_EQ(run({0, 2, 2, 2}), run({0, 2, 2, 0}));
  EXPECT_NE(run({1, 1, 1, 1}), run({0, 0, 1, 1}));
}

TEST(Moe, ALogitThatIsNoNumberShowsInItsRowAlone) {
  const Experts experts = make_experts({6, 32, 32}, false);
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const std::string& isa : isas()) {
    const auto backend = make_backend(isa);
    const PackedExperts packed(*backend, experts, DType::kF32);
    std::vector<float> x = random_floats(3 * 32, 1);
    for (const ExpertWeighting weighting :
         {ExpertWeighting::kSoftmaxOfChosen, ExpertWeighting::kSoftmaxOfAll}) {
      for (const float bad : {kNan, kInfinity}) {
        for (size_t where = 6; where < 12; ++where) {
          std::vector<float> logits = random_floats(3 * 6, 2);
          logits[where] = bad;
          const std::vector<float> got = copy(
              *backend, backend->ops().moe(view(x, {3, 32}), view(logits, {3, 6}), packed.weights(),
                                           {.top_k = 2, .weighting = weighting}));
          for (size_t i = 0; i < got.size(); ++i) {
            ASSERT_EQ(std::isfinite(got[i]), i / 32 != 1) << isa << " " << i;
          }
        }
      }
    }
  }
}

// The arena is what NullOps counts, to the byte, whichever experts are chosen.
TEST(Moe, FitsTheArenaThatNullOpsCounts) {
  const Sizes sizes[] = {{4, 96, 40}, {4, 32, 160}, {3, 33, 17}};
  for (const Sizes& s : sizes) {
    const Experts experts = make_experts(s, false);
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      NullOps null_ops;
      null_ops.begin_step();
      const Tensor null_x = {.data = nullptr, .shape = {19, s.hidden}};
      const Tensor null_logits = {.data = nullptr, .shape = {19, s.num_experts}};
      const WeightPtr wide = null_weight({s.num_experts, s.ffn, s.hidden}, dtype);
      const WeightPtr narrow = null_weight({s.num_experts, s.hidden, s.ffn}, dtype);
      const ExpertWeights null_experts = {
          .gate = wide.get(), .up = wide.get(), .down = narrow.get()};
      const Tensor out = null_ops.moe(null_x, null_logits, null_experts, {.top_k = 2});
      EXPECT_EQ(out.shape, (Shape{19, s.hidden}));
      for (const bool same : {true, false}) {
        const auto backend = make_cpu_backend({.num_threads = 2, .isa = ""}).value();
        ASSERT_TRUE(backend->reserve_arena(null_ops.num_arena_bytes()).ok());
        backend->ops().begin_step();
        const PackedExperts packed(*backend, experts, dtype);
        std::vector<float> x = random_floats(19 * s.hidden, 1);
        std::vector<float> logits = random_floats(19 * s.num_experts, same ? 2 : 3);
        if (same) std::fill(logits.begin(), logits.end(), 0.0F);
        EXPECT_EQ(backend->ops()
                      .moe(view(x, {19, s.hidden}), view(logits, {19, s.num_experts}),
                           packed.weights(), {.top_k = 2})
                      .shape,
                  out.shape);
      }
    }
  }
}

TEST(MoeDeathTest, MoreChoicesThanExpertsIsOurBug) {
  NullOps ops;
  ops.begin_step();
  const WeightPtr wide = null_weight({2, 8, 4}, DType::kF32);
  const WeightPtr narrow = null_weight({2, 4, 8}, DType::kF32);
  const ExpertWeights experts = {.gate = wide.get(), .up = wide.get(), .down = narrow.get()};
  const Tensor x = {.data = nullptr, .shape = {1, 4}};
  const Tensor logits = {.data = nullptr, .shape = {1, 2}};
  EXPECT_DEATH(ops.moe(x, logits, experts, {.top_k = 3}), "CHECK failed");
}

}  // namespace
}  // namespace pagoda::cpu
