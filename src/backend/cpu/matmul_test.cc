// Products: every format and instruction set against double precision, and bit equality where it is
// promised.
#include "backend/cpu/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cpu/test_backend.h"

namespace pagoda::cpu {
namespace {

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

// One product of every format against double precision, on every instruction set.
void expect_products(DType dtype, const MatmulShape& s) {
  const std::vector<float> w = random_floats(s.num_inputs * s.num_outputs, 1, 0.1F);
  const std::vector<std::byte> bytes = stored(w, dtype);
  const std::vector<float> values = decoded(bytes, dtype, static_cast<int64_t>(w.size()));
  std::vector<float> x = random_floats(s.num_tokens * s.num_inputs, 2);
  for (const std::string& isa : isas()) {
    const auto backend = make_backend(isa);
    const WeightPtr weight = pack_stored(*backend, bytes, {s.num_outputs, s.num_inputs}, dtype);
    const Tensor result = backend->ops().matmul(view(x, {s.num_tokens, s.num_inputs}), *weight);
    ASSERT_EQ(result.shape, (Shape{s.num_tokens, s.num_outputs}));
    const std::vector<float> got = copy(*backend, result);
    for (int64_t t = 0; t < s.num_tokens; ++t) {
      const float* row = x.data() + t * s.num_inputs;
      float max_abs = 0;
      for (int64_t k = 0; k < s.num_inputs; ++k) max_abs = std::max(max_abs, std::fabs(row[k]));
      for (int64_t r = 0; r < s.num_outputs; ++r) {
        const float* weights = values.data() + r * s.num_inputs;
        const Expected want = dot(row, weights, s.num_inputs);
        double tolerance = want.magnitude * relative_tolerance(dtype, s.num_inputs) + 1e-30;
        if (format_traits(dtype).block_elements > 1) {
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

TEST(Matmul, AgreesWithDoublePrecisionForEveryFormatIsaAndOddShape) {
  const MatmulShape shapes[] = {{1, 32, 1},   {2, 64, 31},    {3, 96, 33},
                                {7, 160, 64}, {13, 1056, 65}, {29, 544, 32},
                                {1, 256, 33}, {2, 512, 1},    {9, 1280, 40}};
  for (const DType dtype : matrix_formats()) {
    for (const MatmulShape& s : shapes) {
      if (s.num_inputs % format_traits(dtype).block_elements == 0) expect_products(dtype, s);
    }
  }
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
    expect_products(dtype, {64, 2080, 96});
  }
}

TEST(Matmul, TakesAnyLengthInFloatFormats) {
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

// Block formats sum integers exactly and then floats in one order, f32 has one order too: no
// instruction set may differ from the scalar reference in a single bit.
TEST(Matmul, IsBitwiseEqualOnAllInstructionSetsWhereTheArithmeticIsTheSame) {
  const std::vector<float> w = random_floats(70 * 1280, 1, 0.02F);
  std::vector<float> x = random_floats(49 * 1280, 2);
  for (const DType dtype : matrix_formats()) {
    if (dtype == DType::kBF16) continue;
    const std::vector<std::byte> bytes = stored(w, dtype);
    std::vector<float> want;
    for (const std::string& isa : isas()) {
      const auto backend = make_backend(isa);
      const WeightPtr weight = pack_stored(*backend, bytes, {70, 1280}, dtype);
      const std::vector<float> got =
          copy(*backend, backend->ops().matmul(view(x, {49, 1280}), *weight));
      if (want.empty()) want = got;
      EXPECT_EQ(got, want) << isa << " " << format_traits(dtype).name;
    }
  }
}

// Products of 40 rows one by one, then in batches and on several threads, on every instruction set.
void expect_rows_independent(DType dtype, int64_t num_inputs) {
  constexpr int64_t kOutputs = 70;
  const std::vector<float> w = random_floats(num_inputs * kOutputs, 3, 0.05F);
  std::vector<float> x = random_floats(40 * num_inputs, 4);
  const std::vector<std::byte> bytes = stored(w, dtype);
  for (const std::string& isa : isas()) {
    std::vector<float> alone;
    for (const int32_t threads : {1, 2, 3}) {
      const auto backend = make_backend(isa, threads);
      const WeightPtr weight = pack_stored(*backend, bytes, {kOutputs, num_inputs}, dtype);
      if (alone.empty()) {
        for (int64_t t = 0; t < 40; ++t) {
          std::vector<float> row(x.begin() + t * num_inputs, x.begin() + (t + 1) * num_inputs);
          const auto out =
              copy(*backend, backend->ops().matmul(view(row, {1, num_inputs}), *weight));
          alone.insert(alone.end(), out.begin(), out.end());
        }
      }
      for (const int64_t num_tokens : {2, 7, 9, 13, 16, 33, 40}) {
        const std::vector<float> got =
            copy(*backend, backend->ops().matmul(view(x, {num_tokens, num_inputs}), *weight));
        ASSERT_EQ(0, std::memcmp(got.data(), alone.data(), got.size() * sizeof(float)))
            << isa << " " << format_traits(dtype).name << " T=" << num_tokens << " k=" << num_inputs
            << " threads=" << threads;
      }
    }
  }
}

TEST(Matmul, OfARowDoesNotDependOnTheBatchNorOnThreads) {
  for (const DType dtype : matrix_formats()) expect_rows_independent(dtype, 1280);
  // A last step along k that is not whole.
  expect_rows_independent(DType::kBF16, 1289);
}

TEST(Matmul, ManyGivesWhatSingleProductsGive) {
  const auto backend = make_backend("", 2);
  std::vector<float> x = random_floats(5 * 256, 1);
  const WeightPtr a = pack(*backend, random_floats(40 * 256, 2), {40, 256}, DType::kBF16);
  const WeightPtr b = pack(*backend, random_floats(97 * 256, 3), {97, 256}, DType::kQ4_K);
  const WeightPtr c = pack(*backend, random_floats(33 * 256, 4), {33, 256}, DType::kBF16);
  const WeightPtr d = pack(*backend, random_floats(33 * 256, 5), {33, 256}, DType::kQ6_K);
  const Weight* const weights[] = {a.get(), b.get(), c.get(), d.get()};
  const std::vector<Tensor> many = backend->ops().matmul_many(view(x, {5, 256}), weights);
  ASSERT_EQ(many.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(copy(*backend, many[i]),
              copy(*backend, backend->ops().matmul(view(x, {5, 256}), *weights[i])));
  }
}

}  // namespace
}  // namespace pagoda::cpu
