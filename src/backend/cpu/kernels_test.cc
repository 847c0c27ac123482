// The small kernels of every instruction set that this CPU runs: against formulas, and bit by bit
// against the scalar table.
#include "backend/cpu/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "backend/cpu/test_backend.h"

namespace pagoda::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(CpuKernels, ExpIsWithinTwoToTheMinus22OfTheTruth) {
  std::vector<float> x;
  for (float value = -87.3F; value < 88.7F; value += 0.0037F) x.push_back(value);
  std::vector<float> out(x.size());
  for (const CpuKernels* kernels : supported_kernels()) {
    kernels->exp(x.data(), out.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = std::exp(static_cast<double>(x[i]));
      ASSERT_NEAR(out[i] / want, 1.0, 0x1p-22) << kernels->isa << " x=" << x[i];
    }
  }
}

TEST(CpuKernels, ExpOfTheFarEndsIsZeroAndFinite) {
  const std::vector<float> x = {-kInfinity, -1e30F, -88.0F, 0.0F, 1e30F};
  for (const CpuKernels* kernels : supported_kernels()) {
    std::vector<float> out(x.size());
    kernels->exp(x.data(), out.data(), static_cast<int64_t>(x.size()));
    EXPECT_EQ(out[0], 0.0F);
    EXPECT_EQ(out[1], 0.0F);
    EXPECT_EQ(out[2], 0.0F);
    EXPECT_EQ(out[3], 1.0F);
    EXPECT_GT(out[4], 1e38F);
  }
}

TEST(CpuKernels, EveryTableGivesTheScalarBitsAtEveryTailLength) {
  const CpuKernels& scalar = kScalarKernels;
  for (int64_t n = 1; n < 70; ++n) {
    const std::vector<float> a = random_floats(n, 1, 5.0F);
    const std::vector<float> b = random_floats(n, 2);
    for (const CpuKernels* kernels : supported_kernels()) {
      const auto both = [&](const auto& call) {
        // One element more than asked for, which must stay as it is.
        std::vector<float> want(static_cast<size_t>(n) + 1, 99.0F);
        std::vector<float> got = want;
        call(scalar, want.data());
        call(*kernels, got.data());
        ASSERT_EQ(got, want) << kernels->isa << " n=" << n;
        ASSERT_EQ(got.back(), 99.0F);
      };
      both([&](const CpuKernels& k, float* out) { k.add(a.data(), b.data(), out, n); });
      both([&](const CpuKernels& k, float* out) { k.silu_mul(a.data(), b.data(), out, n); });
      both([&](const CpuKernels& k, float* out) { k.gelu_mul(a.data(), b.data(), out, n); });
      both([&](const CpuKernels& k, float* out) { k.scale(a.data(), 0.3F, out, n); });
      both([&](const CpuKernels& k, float* out) { k.soft_cap(a.data(), 1.7F, out, n); });
      both([&](const CpuKernels& k, float* out) {
        k.clamped_swiglu(a.data(), b.data(), out, n, 1.702F, 1.5F);
      });
      both([&](const CpuKernels& k, float* out) { k.add_scaled(0.3F, a.data(), out, n); });
      both([&](const CpuKernels& k, float* out) { k.exp(a.data(), out, n); });
      both([&](const CpuKernels& k, float* out) { k.rms_norm(a.data(), b.data(), out, n, 1e-6F); });
    }
  }
}

TEST(CpuKernels, ConversionsAreThoseOfTheFormatTable) {
  std::vector<float> x = random_floats(1000, 1, 10.0F);
  x.insert(x.end(),
           {0.0F, -0.0F, kInfinity, -kInfinity, 3.4e38F, 1e-40F, 1.00390625F, 1.01171875F});
  for (const CpuKernels* kernels : supported_kernels()) {
    std::vector<uint16_t> bits(x.size());
    kernels->to_bf16(x.data(), bits.data(), static_cast<int64_t>(x.size()));
    std::vector<float> back(x.size());
    kernels->from_bf16(bits.data(), back.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(bits[i], float_to_bf16(x[i])) << kernels->isa << " x=" << x[i];
      ASSERT_EQ(back[i], bf16_to_float(bits[i]));
    }
    std::vector<uint16_t> halves(65536);
    for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
    std::vector<float> floats(halves.size());
    kernels->from_f16(halves.data(), floats.data(), static_cast<int64_t>(halves.size()));
    for (size_t i = 0; i < halves.size(); ++i) {
      const float want = f16_to_float(halves[i]);
      ASSERT_TRUE(floats[i] == want || (std::isnan(want) && std::isnan(floats[i])))
          << kernels->isa << " bits=" << i;
    }
    const float nan = std::numeric_limits<float>::quiet_NaN();
    uint16_t nan_bits = 0;
    kernels->to_bf16(&nan, &nan_bits, 1);
    EXPECT_TRUE(std::isnan(bf16_to_float(nan_bits)));
  }
}

TEST(CpuKernels, QuantisingGivesTheFormatsOwnBlocks) {
  std::vector<float> x = random_floats(64 * 32, 3, 0.3F);
  std::fill_n(x.begin(), 32, 0.0F);
  // Halves: 127 steps of 1 make the scale 1.
  for (size_t i = 32; i < 64; ++i) x[i] = static_cast<float>(i) - 40.5F;
  x[63] = 127.0F;
  const auto count = static_cast<int64_t>(x.size());
  const std::vector<std::byte> blocks = encoded(x, DType::kQ8_0);
  for (const CpuKernels* kernels : supported_kernels()) {
    std::vector<uint8_t> quants(x.size());
    std::vector<float> scales(x.size() / 32);
    kernels->quantize_q8(x.data(), count, quants.data(), scales.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const std::byte want = blocks[i / 32 * 34 + 2 + i % 32];
      ASSERT_EQ(quants[i], static_cast<uint8_t>(static_cast<uint8_t>(want) ^ 0x80U))
          << kernels->isa << " i=" << i;
    }
    uint16_t first_scale = 1;
    std::memcpy(&first_scale, blocks.data() + 34, sizeof(first_scale));
    EXPECT_EQ(float_to_f16(scales[1]), first_scale);
  }
}

void check_softmax_chunk(const CpuKernels& kernels, int32_t begin, int32_t end) {
  const auto counts = [&](int32_t i) { return i >= begin && i < end; };
  std::vector<float> scores = random_floats(kChunkKeys, 5, 3.0F);
  for (int32_t i = 0; i < kChunkKeys; ++i) {
    if (!counts(i)) scores[static_cast<size_t>(i)] = 1e30F;
  }
  const std::vector<float> before = scores;
  float max = 1.5F;
  float sum = 2.0F;
  const float rescale = kernels.softmax_chunk(scores.data(), begin, end, &max, &sum);
  double want_max = 1.5;
  for (int32_t i = begin; i < end; ++i) {
    want_max = std::max(want_max, static_cast<double>(before[static_cast<size_t>(i)]));
  }
  double want_sum = 2.0 * std::exp(1.5 - want_max);
  for (int32_t i = 0; i < kChunkKeys; ++i) {
    const auto at = static_cast<size_t>(i);
    const double want = counts(i) ? std::exp(static_cast<double>(before[at]) - want_max) : 0.0;
    ASSERT_NEAR(scores[at], want, 1e-6) << kernels.isa << " begin=" << begin << " end=" << end;
    want_sum += want;
  }
  ASSERT_NEAR(sum, want_sum, 1e-5 * want_sum);
  ASSERT_EQ(static_cast<double>(max), want_max);
  ASSERT_NEAR(rescale, std::exp(1.5 - want_max), 1e-6);
}

TEST(CpuKernels, SoftmaxChunkIgnoresWhatIsNotVisibleAndKeepsTheRunningSum) {
  for (const CpuKernels* kernels : supported_kernels()) {
    for (int32_t end = 0; end <= kChunkKeys; ++end) {
      for (const int32_t begin : {0, 1, 15, 16, 40, 63, 200})
        check_softmax_chunk(*kernels, begin, end);
    }
  }
}

TEST(CpuKernels, SoftCapIsTheHyperbolicTangentAndKeepsNaN) {
  for (const float cap : {1.0F, 30.0F, 50.0F}) {
    std::vector<float> x;
    for (float value = -25.0F; value < 25.0F; value += 0.00137F) x.push_back(value * cap);
    for (const float tiny : {0.0F, 1e-20F, -1e-6F, 0.25F, -0.25F}) x.push_back(tiny * cap);
    std::vector<float> out(x.size());
    for (const CpuKernels* kernels : supported_kernels()) {
      kernels->soft_cap(x.data(), cap, out.data(), static_cast<int64_t>(x.size()));
      const auto c = static_cast<double>(cap);
      for (size_t i = 0; i < x.size(); ++i) {
        const double want = c * std::tanh(static_cast<double>(x[i]) / c);
        ASSERT_NEAR(out[i], want, 0x1p-21 * std::fabs(want)) << kernels->isa << " x=" << x[i];
      }
      const std::vector<float> odd = {std::numeric_limits<float>::quiet_NaN(), kInfinity,
                                      -kInfinity};
      kernels->soft_cap(odd.data(), cap, out.data(), 3);
      EXPECT_TRUE(std::isnan(out[0])) << kernels->isa;
      EXPECT_EQ(out[1], cap);
      EXPECT_EQ(out[2], -cap);
    }
  }
}

}  // namespace
}  // namespace pagoda::cpu
