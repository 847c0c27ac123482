// Tests of the CPU backend through its public face: each Op on each instruction set.
#include "backend/cpu/cpu_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "backend/cpu/cpu_info.h"
#include "backend/null_ops.h"

namespace pagoda::cpu {
namespace {

using testing::HasSubstr;

std::vector<float> random_floats(int64_t count, uint32_t seed, float scale = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<std::byte> encoded(const std::vector<float>& values, DType dtype) {
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> bytes(static_cast<size_t>(dtype_bytes(dtype, count)));
  format_traits(dtype).encode(values.data(), bytes.data(), count);
  return bytes;
}

std::vector<float> decoded(const std::vector<std::byte>& bytes, DType dtype, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  format_traits(dtype).decode(bytes.data(), values.data(), count);
  return values;
}

std::unique_ptr<Backend> make_backend(const std::string& isa, int32_t num_threads = 1) {
  auto backend = make_cpu_backend({.num_threads = num_threads, .isa = isa});
  EXPECT_TRUE(backend.ok());
  EXPECT_TRUE((*backend)->reserve_arena(64 << 20).ok());
  (*backend)->ops().begin_step();
  return std::move(backend).value();
}

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const CpuKernels* table : supported_kernels()) names.emplace_back(table->isa);
  return names;
}

WeightPtr pack(Backend& backend, const std::vector<float>& values, const Shape& shape, DType dtype,
               DType source = DType::kF32) {
  const std::vector<std::byte> bytes = encoded(values, source);
  auto weight = backend.pack({.data = bytes.data(), .dtype = source, .shape = shape}, dtype);
  EXPECT_TRUE(weight.ok());
  return weight.ok() ? weight.value() : nullptr;
}

// A Tensor over memory of the test.
Tensor view(std::vector<float>& values, const Shape& shape) {
  return {.data = values.data(), .shape = shape};
}

std::vector<float> copy(Backend& backend, const Tensor& x) {
  const std::span<const float> values = backend.ops().read(x);
  return {values.begin(), values.end()};
}

// What a product must be, and how far rounding may take it: n sums and the rounding of x.
struct Expected {
  double value = 0;
  double magnitude = 0;  // sum of |x * w|
};

Expected dot(const float* x, const float* w, int64_t n) {
  Expected result;
  for (int64_t k = 0; k < n; ++k) {
    result.value += static_cast<double>(x[k]) * static_cast<double>(w[k]);
    result.magnitude += std::fabs(static_cast<double>(x[k]) * static_cast<double>(w[k]));
  }
  return result;
}

// Relative error of one product of x as the format rounds it, next to the float chain's.
double relative_tolerance(DType dtype, int64_t n) {
  const double chain = static_cast<double>(n + 4) * 0x1p-23;
  return dtype == DType::kBF16 ? chain + 0x1p-8 : chain;
}

struct MatmulShape {
  int64_t num_tokens, num_inputs, num_outputs;
};

TEST(CpuBackend, MatmulAgreesWithDoublePrecisionForEveryFormatIsaAndOddShape) {
  const MatmulShape shapes[] = {{1, 32, 1},     {2, 64, 31},   {3, 96, 33},   {7, 160, 64},
                                {13, 1056, 65}, {29, 544, 32}, {64, 2080, 96}};
  for (const MatmulShape& s : shapes) {
    const std::vector<float> w = random_floats(s.num_inputs * s.num_outputs, 1, 0.1F);
    std::vector<float> x = random_floats(s.num_tokens * s.num_inputs, 2);
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
      const std::vector<float> stored =
          decoded(encoded(w, dtype), dtype, static_cast<int64_t>(w.size()));
      for (const std::string& isa : isas()) {
        const auto backend = make_backend(isa);
        const WeightPtr weight = pack(*backend, w, {s.num_outputs, s.num_inputs}, dtype);
        const Tensor result = backend->ops().matmul(view(x, {s.num_tokens, s.num_inputs}), *weight);
        ASSERT_EQ(result.shape, (Shape{s.num_tokens, s.num_outputs}));
        const std::vector<float> got = copy(*backend, result);
        for (int64_t t = 0; t < s.num_tokens; ++t) {
          const float* row = x.data() + t * s.num_inputs;
          float max_abs = 0;
          for (int64_t k = 0; k < s.num_inputs; ++k) max_abs = std::max(max_abs, std::fabs(row[k]));
          for (int64_t r = 0; r < s.num_outputs; ++r) {
            const float* weights = stored.data() + r * s.num_inputs;
            const Expected want = dot(row, weights, s.num_inputs);
            double tolerance = want.magnitude * relative_tolerance(dtype, s.num_inputs) + 1e-30;
            if (dtype == DType::kQ8_0) {
              // x moves by at most half a step of its group.
              for (int64_t k = 0; k < s.num_inputs; ++k) {
                tolerance += std::fabs(weights[k]) * max_abs / 254.0F;
              }
            }
            ASSERT_NEAR(got[static_cast<size_t>(t * s.num_outputs + r)], want.value, tolerance)
                << isa << " " << format_traits(dtype).name << " t=" << t << " row=" << r
                << " k=" << s.num_inputs;
          }
        }
      }
    }
  }
}

TEST(CpuBackend, MatmulTakesAnyLengthInFloatFormats) {
  for (const int64_t n : {1, 2, 3, 15, 17, 129, 257, 259}) {
    const std::vector<float> w = random_floats(n * 5, 1);
    std::vector<float> x = random_floats(20 * n, 2);
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      const std::vector<float> stored = decoded(encoded(w, dtype), dtype, n * 5);
      for (const std::string& isa : isas()) {
        const auto backend = make_backend(isa);
        const WeightPtr weight = pack(*backend, w, {5, n}, dtype);
        const std::vector<float> got =
            copy(*backend, backend->ops().matmul(view(x, {20, n}), *weight));
        for (int64_t i = 0; i < 100; ++i) {
          const Expected want = dot(x.data() + i / 5 * n, stored.data() + i % 5 * n, n);
          ASSERT_NEAR(got[static_cast<size_t>(i)], want.value,
                      want.magnitude * relative_tolerance(dtype, n))
              << isa << " " << format_traits(dtype).name << " n=" << n;
        }
      }
    }
  }
}

// q8_0 sums integers exactly and then floats in one order, f32 has one order too: no instruction
// set may differ from the scalar reference in a single bit.
TEST(CpuBackend, MatmulIsBitwiseEqualOnAllInstructionSetsWhereTheArithmeticIsTheSame) {
  const std::vector<float> w = random_floats(70 * 1088, 1, 0.02F);
  std::vector<float> x = random_floats(17 * 1088, 2);
  for (const DType dtype : {DType::kF32, DType::kQ8_0}) {
    const auto reference = make_backend("scalar");
    const WeightPtr reference_weight = pack(*reference, w, {70, 1088}, dtype);
    const std::vector<float> want =
        copy(*reference, reference->ops().matmul(view(x, {17, 1088}), *reference_weight));
    for (const std::string& isa : isas()) {
      const auto backend = make_backend(isa);
      const WeightPtr weight = pack(*backend, w, {70, 1088}, dtype);
      EXPECT_EQ(copy(*backend, backend->ops().matmul(view(x, {17, 1088}), *weight)), want)
          << isa << " " << format_traits(dtype).name;
    }
  }
}

TEST(CpuBackend, MatmulOfARowDoesNotDependOnTheBatchNorOnThreads) {
  constexpr int64_t kInputs = 2080;
  constexpr int64_t kOutputs = 200;
  const std::vector<float> w = random_floats(kInputs * kOutputs, 3, 0.05F);
  std::vector<float> x = random_floats(40 * kInputs, 4);
  for (const std::string& isa : isas()) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
      std::vector<float> alone;
      for (const int32_t threads : {1, 2, 3}) {
        const auto backend = make_backend(isa, threads);
        const WeightPtr weight = pack(*backend, w, {kOutputs, kInputs}, dtype);
        if (alone.empty()) {
          for (int64_t t = 0; t < 40; ++t) {
            std::vector<float> row(x.begin() + t * kInputs, x.begin() + (t + 1) * kInputs);
            const auto out =
                copy(*backend, backend->ops().matmul(view(row, {1, kInputs}), *weight));
            alone.insert(alone.end(), out.begin(), out.end());
          }
        }
        for (const int64_t num_tokens : {2, 7, 13, 33, 40}) {
          const std::vector<float> got =
              copy(*backend, backend->ops().matmul(view(x, {num_tokens, kInputs}), *weight));
          ASSERT_EQ(0, std::memcmp(got.data(), alone.data(), got.size() * sizeof(float)))
              << isa << " " << format_traits(dtype).name << " T=" << num_tokens
              << " threads=" << threads;
        }
      }
    }
  }
}

TEST(CpuBackend, MatmulManyGivesWhatSingleProductsGive) {
  const auto backend = make_backend("", 2);
  std::vector<float> x = random_floats(5 * 64, 1);
  const WeightPtr a = pack(*backend, random_floats(40 * 64, 2), {40, 64}, DType::kBF16);
  const WeightPtr b = pack(*backend, random_floats(97 * 64, 3), {97, 64}, DType::kQ8_0);
  const WeightPtr c = pack(*backend, random_floats(33 * 64, 4), {33, 64}, DType::kBF16);
  const Weight* const weights[] = {a.get(), b.get(), c.get()};
  const std::vector<Tensor> many = backend->ops().matmul_many(view(x, {5, 64}), weights);
  ASSERT_EQ(many.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(copy(*backend, many[i]),
              copy(*backend, backend->ops().matmul(view(x, {5, 64}), *weights[i])));
  }
}

TEST(CpuBackend, EmbedReturnsTheStoredRowsExactly) {
  const std::vector<float> table = random_floats(70 * 96, 1);
  const std::vector<int32_t> ids = {0, 69, 31, 32, 32, 5};
  for (const DType source : {DType::kF32, DType::kBF16, DType::kF16, DType::kQ8_0}) {
    const std::vector<float> stored = decoded(encoded(table, source), source, 70 * 96);
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
      // What the target format makes of the source's values; q8_0 blocks are taken as they are.
      const std::vector<float> want =
          dtype == source ? stored : decoded(encoded(stored, dtype), dtype, 70 * 96);
      for (const std::string& isa : isas()) {
        const auto backend = make_backend(isa);
        const WeightPtr weight = pack(*backend, table, {70, 96}, dtype, source);
        const std::vector<float> got = copy(*backend, backend->ops().embed(*weight, ids));
        for (size_t i = 0; i < ids.size(); ++i) {
          for (size_t k = 0; k < 96; ++k) {
            ASSERT_EQ(got[i * 96 + k], want[static_cast<size_t>(ids[i]) * 96 + k])
                << isa << " " << format_traits(source).name << " as " << format_traits(dtype).name;
          }
        }
      }
    }
  }
}

TEST(CpuBackend, PackRefusesWhatAFormatCannotHoldAndNamesIt) {
  const auto backend = make_backend("");
  const std::vector<float> values(64 * 33);
  const TensorView view = {.data = reinterpret_cast<const std::byte*>(values.data()),
                           .dtype = DType::kF32,
                           .shape = {64, 33}};
  const auto q8 = backend->pack(view, DType::kQ8_0);
  ASSERT_FALSE(q8.ok());
  EXPECT_EQ(q8.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(q8.error().message, HasSubstr("q8_0"));
  EXPECT_THAT(q8.error().message, HasSubstr("[64, 33]"));
  EXPECT_FALSE(backend->pack(view, DType::kI32).ok());
  EXPECT_FALSE(
      backend->pack({.data = view.data, .dtype = DType::kF32, .shape = {0, 4}}, DType::kF32).ok());
  EXPECT_FALSE(
      backend->pack({.data = view.data, .dtype = DType::kI32, .shape = {4}}, DType::kF32).ok());
}

TEST(CpuBackend, PackedBytesAreWhatPackHolds) {
  const auto backend = make_backend("");
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
    const WeightPtr matrix = pack(*backend, random_floats(33 * 64, 1), {33, 64}, dtype);
    EXPECT_EQ(matrix->num_bytes(), backend->packed_bytes({33, 64}, dtype));
    const WeightPtr vector = pack(*backend, random_floats(33, 1), {33}, dtype);
    EXPECT_EQ(vector->num_bytes(), backend->packed_bytes({33}, dtype));
    EXPECT_EQ(vector->dtype(), DType::kF32);
  }
}

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
      for (size_t i = 0; i < a.size(); ++i) {
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

// What NullOps counts is enough, and not a byte is spare: the reserve is exactly that.
TEST(NullOps, CountsTheArenaThatTheSameCallsNeed) {
  const auto run = [](Ops& ops, const Weight& table, const Weight& w) {
    ops.begin_step();
    const std::vector<int32_t> ids(9, 1);
    Tensor h = ops.embed(table, ids);
    for (int layer = 0; layer < 3; ++layer) {
      h = ops.keep_only(ops.add(h, ops.matmul(h, w)));
    }
    return h;
  };
  NullOps null_ops;
  run(null_ops, *null_weight({40, 64}, DType::kF32), *null_weight({64, 64}, DType::kF32));
  auto backend = make_cpu_backend({.num_threads = 2, .isa = ""});
  ASSERT_TRUE(backend.ok());
  ASSERT_TRUE((*backend)->reserve_arena(null_ops.num_arena_bytes()).ok());
  const WeightPtr table = pack(**backend, random_floats(40 * 64, 1), {40, 64}, DType::kF32);
  const WeightPtr w = pack(**backend, random_floats(64 * 64, 1), {64, 64}, DType::kF32);
  EXPECT_EQ(run((*backend)->ops(), *table, *w).shape, (Shape{9, 64}));
}

}  // namespace
}  // namespace pagoda::cpu
