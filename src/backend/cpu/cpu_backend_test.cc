// Tests of the CPU backend through its public face: each Op on each instruction set.
#include "backend/cpu/cpu_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "backend/cpu/test_backend.h"

namespace pagoda::cpu {
namespace {

using testing::HasSubstr;

TEST(CpuBackend, AnInstructionSetTheCpuLacksIsAnErrorThatNamesWhatItHas) {
  const auto backend = make_cpu_backend({.num_threads = 1, .isa = "sve2"});
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(backend.error().message, HasSubstr("sve2"));
  EXPECT_THAT(backend.error().message, HasSubstr("scalar"));
  EXPECT_FALSE(make_cpu_backend({.num_threads = 0, .isa = ""}).ok());
}

TEST(CpuBackend, RmsNormFollowsItsFormulaByRowAndByHead) {
  for (const std::string& isa : isas()) {
    const auto backend = make_backend(isa);
    for (const int64_t n : {1, 16, 50, 2048}) {
      const std::vector<float> scale = random_floats(n, 1);
      std::vector<float> x = random_floats(6 * n, 2, 3.0F);
      const WeightPtr weight = pack(*backend, scale, {n}, DType::kF32);
      // Two rows of three heads each.
      const auto got = copy(*backend, backend->ops().rms_norm(view(x, {2, 3 * n}), *weight, 1e-5F));
      for (int64_t row = 0; row < 6; ++row) {
        double squares = 0;
        for (int64_t i = 0; i < n; ++i) {
          const double value = static_cast<double>(x[static_cast<size_t>(row * n + i)]);
          squares += value * value;
        }
        const double factor = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
        for (int64_t i = 0; i < n; ++i) {
          const auto at = static_cast<size_t>(row * n + i);
          const double want = static_cast<double>(x[at]) * factor *
                              static_cast<double>(scale[static_cast<size_t>(i)]);
          ASSERT_NEAR(got[at], want, 1e-5 * std::fabs(want) + 1e-7) << isa << " n=" << n;
        }
      }
    }
  }
}

TEST(CpuBackend, RopeTurnsHalfSplitPairsByTheFloatAngle) {
  constexpr int32_t kHead = 40;
  RopeTable table;
  for (int i = 0; i < kHead / 2; ++i) {
    table.inv_freq.push_back(std::pow(10000.0F, -2.0F * static_cast<float>(i) / kHead));
  }
  table.attention_factor = 1.25F;
  const std::vector<int32_t> positions = {0, 1, 4097, 131071};
  std::vector<float> x = random_floats(4 * 2 * kHead, 1);
  for (const std::string& isa : isas()) {
    const auto backend = make_backend(isa);
    const auto got =
        copy(*backend, backend->ops().rope(view(x, {4, 2 * kHead}), positions, table, kHead));
    for (size_t at = 0; at < got.size(); at += kHead) {
      const auto position = static_cast<float>(positions[at / (2 * kHead)]);
      for (size_t i = 0; i < kHead / 2; ++i) {
        const float product = position * table.inv_freq[i];
        const double angle = static_cast<double>(product);
        const double low = static_cast<double>(x[at + i]);
        const double high = static_cast<double>(x[at + i + kHead / 2]);
        EXPECT_NEAR(got[at + i], 1.25 * (low * std::cos(angle) - high * std::sin(angle)), 5e-6);
        EXPECT_NEAR(got[at + i + kHead / 2],
                    1.25 * (high * std::cos(angle) + low * std::sin(angle)), 5e-6);
      }
    }
  }
}

TEST(CpuBackend, RopeLeavesWhatIsBehindTheTurningPartOfAHead) {
  const RopeTable table = {.inv_freq = {1.0F, 0.1F}, .attention_factor = 1.5F};
  const std::vector<int32_t> positions = {3};
  for (const std::string& isa : isas()) {
    const auto backend = make_backend(isa);
    std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const auto got = copy(*backend, backend->ops().rope(view(x, {1, 12}), positions, table, 6));
    for (const size_t at : {size_t{0}, size_t{6}}) {
      const auto low = static_cast<double>(x[at]);
      const auto high = static_cast<double>(x[at + 2]);
      EXPECT_NEAR(got[at], 1.5 * (low * std::cos(3.0) - high * std::sin(3.0)), 1e-5);
      EXPECT_NEAR(got[at + 2], 1.5 * (high * std::cos(3.0) + low * std::sin(3.0)), 1e-5);
      EXPECT_EQ(got[at + 4], x[at + 4]);
      EXPECT_EQ(got[at + 5], x[at + 5]);
    }
  }
}

TEST(CpuBackend, RopeFollowsNewPositionsWithinAStep) {
  const auto backend = make_backend("");
  const RopeTable table = {.inv_freq = {1.0F}, .attention_factor = 1.0F};
  std::vector<float> x = {1.0F, 0.0F};
  std::vector<int32_t> positions = {1};
  EXPECT_NEAR(copy(*backend, backend->ops().rope(view(x, {1, 2}), positions, table, 2))[0],
              std::cos(1.0), 1e-6);
  positions[0] = 2;
  EXPECT_NEAR(copy(*backend, backend->ops().rope(view(x, {1, 2}), positions, table, 2))[0],
              std::cos(2.0), 1e-6);
}

TEST(CpuBackend, ElementwiseOpsFollowTheirFormulas) {
  for (const std::string& isa : isas()) {
    const auto backend = make_backend(isa);
    for (const int64_t n : {1, 15, 16, 33}) {
      std::vector<float> a = random_floats(3 * n, 1, 4.0F);
      std::vector<float> b = random_floats(3 * n, 2);
      a[0] = 100.0F;
      a[static_cast<size_t>(n)] = -100.0F;
      const std::vector<float> bias = random_floats(n, 3);
      const WeightPtr packed_bias = pack(*backend, bias, {n}, DType::kBF16);
      Ops& ops = backend->ops();
      const auto sum = copy(*backend, ops.add(view(a, {3, n}), view(b, {3, n})));
      const auto biased = copy(*backend, ops.add_bias(view(a, {3, n}), *packed_bias));
      const auto gated = copy(*backend, ops.silu_mul(view(a, {3, n}), view(b, {3, n})));
      const auto gelu = copy(*backend, ops.gelu_mul(view(a, {3, n}), view(b, {3, n})));
      std::vector<float> scaled = a;
      EXPECT_EQ(ops.scale(view(scaled, {3, n}), -2.5F).data, scaled.data());
      std::vector<float> capped = a;
      EXPECT_EQ(ops.soft_cap(view(capped, {3, n}), 5.0F).data, capped.data());
      for (size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(scaled[i], a[i] * -2.5F);
        EXPECT_NEAR(capped[i], 5.0 * std::tanh(static_cast<double>(a[i]) / 5.0), 2e-6);
        const double inner =
            std::sqrt(2 / 3.14159265358979) *
            (static_cast<double>(a[i]) + 0.044715 * std::pow(static_cast<double>(a[i]), 3));
        const double want_gelu =
            static_cast<double>(a[i]) / 2 * (1 + std::tanh(inner)) * static_cast<double>(b[i]);
        EXPECT_NEAR(gelu[i], want_gelu, 1e-6 * std::fabs(want_gelu) + 1e-6) << isa;
        EXPECT_EQ(sum[i], a[i] + b[i]);
        EXPECT_EQ(biased[i], a[i] + bias[i % static_cast<size_t>(n)]);
        const double g = static_cast<double>(a[i]);
        const double want = g / (1.0 + std::exp(-g)) * static_cast<double>(b[i]);
        EXPECT_NEAR(gated[i], want, 1e-6 * std::fabs(want) + 1e-35) << isa;
      }
    }
  }
}

TEST(CpuBackend, GatherAndKeepOnlyReturnTheRightRows) {
  const auto backend = make_backend("");
  Ops& ops = backend->ops();
  std::vector<float> x = {0, 1, 10, 11, 20, 21};
  const std::vector<int32_t> rows = {2, 0};
  const Tensor unused = ops.add(view(x, {3, 2}), view(x, {3, 2}));
  const Tensor gathered = ops.gather_rows(view(x, {3, 2}), rows);
  const Tensor kept = ops.keep_only(gathered);
  EXPECT_EQ(copy(*backend, kept), (std::vector<float>{20, 21, 0, 1}));
  EXPECT_EQ(kept.data, unused.data) << "the memory of what died is used again";
  EXPECT_EQ(ops.gather_rows(kept, {}).shape, (Shape{0, 2}));
}

}  // namespace
}  // namespace pagoda::cpu
