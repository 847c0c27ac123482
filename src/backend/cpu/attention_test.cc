// Attention against a plain double-precision reference, and bit equality where it is promised.
#include "backend/cpu/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "backend/cpu/test_backend.h"

namespace pagoda::cpu {
namespace {

struct Model {
  int32_t num_heads, num_kv_heads, head_size, block_size;
  DType dtype;
  int32_t sliding_window = 0;
  float logit_soft_cap = 0.0F;
  std::vector<float> sinks = {};  // [num_heads], or none
};

// One sequence's tokens and its blocks.
struct Sequence {
  int32_t num_tokens = 0;
  std::vector<float> q, k, v;  // [tokens, heads * D]
  std::vector<int32_t> blocks;
};

// Sequences whose blocks are dealt out in a random order.
std::vector<Sequence> make_sequences(const Model& m, const std::vector<int32_t>& lengths,
                                     int32_t* num_blocks) {
  std::vector<Sequence> sequences;
  *num_blocks = 0;
  uint32_t seed = 1;
  for (const int32_t length : lengths) {
    Sequence s;
    s.num_tokens = length;
    s.q = random_floats(int64_t{length} * m.num_heads * m.head_size, seed++, 2.0F);
    s.k = random_floats(int64_t{length} * m.num_kv_heads * m.head_size, seed++);
    s.v = random_floats(int64_t{length} * m.num_kv_heads * m.head_size, seed++);
    s.blocks.resize(static_cast<size_t>((length + m.block_size - 1) / m.block_size));
    *num_blocks += static_cast<int32_t>(s.blocks.size());
    sequences.push_back(std::move(s));
  }
  std::vector<int32_t> ids(static_cast<size_t>(*num_blocks));
  std::iota(ids.begin(), ids.end(), 0);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(7));
  size_t next = 0;
  for (Sequence& s : sequences) {
    for (int32_t& block : s.blocks) block = ids[next++];
  }
  return sequences;
}

AttentionParams params_of(const Model& m) {
  return {.layer = 1,
          .num_heads = m.num_heads,
          .num_kv_heads = m.num_kv_heads,
          .head_size = m.head_size,
          .scale = 1.0F / std::sqrt(static_cast<float>(m.head_size)),
          .sliding_window = m.sliding_window,
          .logit_soft_cap = m.logit_soft_cap};
}

KvCache make_cache(const Model& m, int32_t num_blocks) {
  auto cache = KvCache::create({.num_layers = 2,
                                .num_blocks = num_blocks,
                                .block_size = m.block_size,
                                .num_kv_heads = m.num_kv_heads,
                                .head_size = m.head_size,
                                .dtype = m.dtype});
  EXPECT_TRUE(cache.ok());
  return std::move(cache).value();
}

// Runs all sequences in steps of at most `chunk` tokens each, all in one batch; the results are in
// the order of sequences and tokens.
std::vector<float> run(Backend& backend, const Model& m, const std::vector<Sequence>& sequences,
                       int32_t num_blocks, int32_t chunk) {
  KvCache cache = make_cache(m, num_blocks);
  AttentionParams params = params_of(m);
  const WeightPtr sinks =
      m.sinks.empty() ? nullptr : pack(backend, m.sinks, {m.num_heads}, DType::kF32);
  params.sinks = sinks.get();
  std::vector<std::vector<float>> results(sequences.size());
  for (int32_t done = 0;; done += chunk) {
    std::vector<AttentionSequence> batch;
    std::vector<size_t> owners;
    std::vector<float> q, k, v;
    int32_t rows = 0;
    const auto append = [&](std::vector<float>& to, const std::vector<float>& from, int32_t width,
                            int32_t count) {
      to.insert(to.end(), from.begin() + int64_t{done} * width,
                from.begin() + int64_t{done + count} * width);
    };
    for (size_t i = 0; i < sequences.size(); ++i) {
      const Sequence& s = sequences[i];
      const int32_t count = std::min(chunk, s.num_tokens - done);
      if (count <= 0) continue;
      batch.push_back({.first_row = rows,
                       .num_rows = count,
                       .num_computed_tokens = done,
                       .block_table = s.blocks});
      owners.push_back(i);
      append(q, s.q, m.num_heads * m.head_size, count);
      append(k, s.k, m.num_kv_heads * m.head_size, count);
      append(v, s.v, m.num_kv_heads * m.head_size, count);
      rows += count;
    }
    if (batch.empty()) break;
    const int64_t width = int64_t{m.num_heads} * m.head_size;
    const int64_t kv_width = int64_t{m.num_kv_heads} * m.head_size;
    backend.ops().begin_step();
    const std::vector<float> out =
        copy(backend, backend.ops().attention(view(q, {rows, width}), view(k, {rows, kv_width}),
                                              view(v, {rows, kv_width}), params,
                                              {.sequences = batch}, cache));
    for (size_t i = 0; i < batch.size(); ++i) {
      const auto begin = out.begin() + batch[i].first_row * width;
      results[owners[i]].insert(results[owners[i]].end(), begin, begin + batch[i].num_rows * width);
    }
  }
  std::vector<float> all;
  for (const auto& result : results) all.insert(all.end(), result.begin(), result.end());
  return all;
}

// A token's head as the cache is to keep it. Which whole number a value near the middle becomes
// depends on float rounding, so int8 goes through the floats that the format is defined by.
std::vector<double> stored(const float* head, const Model& m) {
  std::vector<double> values(head, head + m.head_size);
  float max_abs = 0;
  for (int32_t d = 0; d < m.head_size; ++d) max_abs = std::max(max_abs, std::fabs(head[d]));
  const float scale = max_abs / 127.0F;
  for (double& value : values) {
    if (m.dtype == DType::kBF16) {
      value = static_cast<double>(bf16_to_float(float_to_bf16(static_cast<float>(value))));
    } else if (m.dtype == DType::kI8) {
      const float quant = std::nearbyint(static_cast<float>(value) * (1.0F / scale));
      value = static_cast<double>(quant) * static_cast<double>(scale);
    }
  }
  return values;
}

// Plain softmax(q . K * scale) . V of the last token's head `head`.
std::vector<double> naive(const Model& m, const Sequence& s, int32_t token, int32_t head) {
  const int64_t kv_width = int64_t{m.num_kv_heads} * m.head_size;
  const int32_t kv_head = head / (m.num_heads / m.num_kv_heads);
  const float* q = s.q.data() + (int64_t{token} * m.num_heads + head) * m.head_size;
  const auto head_of = [&](const std::vector<float>& all, int32_t key) {
    return stored(all.data() + key * kv_width + kv_head * m.head_size, m);
  };
  const int32_t first = m.sliding_window > 0 ? std::max(0, token - m.sliding_window + 1) : 0;
  std::vector<double> weights(static_cast<size_t>(first));
  double total =
      m.sinks.empty() ? 0.0 : std::exp(static_cast<double>(m.sinks[static_cast<size_t>(head)]));
  for (int32_t key = first; key <= token; ++key) {
    const std::vector<double> k = head_of(s.k, key);
    double score = 0;
    for (int32_t d = 0; d < m.head_size; ++d) {
      score += static_cast<double>(q[d]) * k[static_cast<size_t>(d)];
    }
    score /= std::sqrt(static_cast<double>(m.head_size));
    const auto cap = static_cast<double>(m.logit_soft_cap);
    weights.push_back(std::exp(cap > 0 ? cap * std::tanh(score / cap) : score));
    total += weights.back();
  }
  std::vector<double> out(static_cast<size_t>(m.head_size));
  for (int32_t key = first; key <= token; ++key) {
    const std::vector<double> v = head_of(s.v, key);
    for (size_t d = 0; d < v.size(); ++d) {
      out[d] += weights[static_cast<size_t>(key)] / total * v[d];
    }
  }
  return out;
}

TEST(Attention, AgreesWithPlainSoftmaxForEveryCacheFormatIsaAndOddShape) {
  const Model models[] = {{4, 2, 64, 16, DType::kBF16},
                          {4, 4, 8, 4, DType::kF32},
                          {8, 2, 40, 5, DType::kBF16},
                          {32, 1, 16, 32, DType::kF32},
                          {6, 2, 80, 1, DType::kF32},
                          {2, 1, 128, 128, DType::kBF16},
                          {4, 2, 64, 16, DType::kI8},
                          {8, 2, 32, 5, DType::kI8},
                          {6, 2, 80, 24, DType::kI8},
                          {2, 1, 128, 128, DType::kI8},
                          {3, 3, 10, 1, DType::kI8},
                          {8, 2, 40, 5, DType::kBF16, 17},
                          {4, 4, 24, 8, DType::kI8, 64},
                          {4, 2, 16, 16, DType::kF32, 65, 1.5F},
                          {2, 2, 32, 16, DType::kBF16, 0, 5.0F},
                          {4, 2, 16, 16, DType::kF32, 1000, 50.0F},
                          {4, 2, 16, 16, DType::kF32, 0, 0.0F, {0.5F, -3.0F, 12.0F, 0.0F}},
                          {4, 1, 40, 5, DType::kI8, 20, 0.0F, {1.0F, 2.0F, -80.0F, 5.0F}}};
  for (const Model& m : models) {
    int32_t num_blocks = 0;
    const std::vector<Sequence> sequences = make_sequences(m, {70, 1, 17, 130}, &num_blocks);
    for (const std::string& isa : isas()) {
      const auto backend = make_backend(isa);
      const std::vector<float> got = run(*backend, m, sequences, num_blocks, 1000);
      size_t at = 0;
      for (const Sequence& s : sequences) {
        for (int32_t token = 0; token < s.num_tokens; ++token) {
          for (int32_t head = 0; head < m.num_heads; ++head) {
            // The reference is slow: the ends and a few between.
            const bool looked_at = token < 2 || token % 16 == 15 || token + 1 == s.num_tokens;
            const std::vector<double> want =
                looked_at ? naive(m, s, token, head) : std::vector<double>();
            for (int32_t d = 0; d < m.head_size; ++d, ++at) {
              // Scores reach 10, where a float's rounding in the sum is 1e-6 of the weights; values
              // are below 5.
              if (looked_at) {
                ASSERT_NEAR(got[at], want[static_cast<size_t>(d)], 2e-5)
                    << isa << " D=" << m.head_size << " token=" << token << " head=" << head;
              }
            }
          }
        }
      }
    }
  }
}

TEST(Attention, ARowDoesNotDependOnChunkingNorThreadsNorIsaNorItsBatch) {
  for (const Model& m : {Model{8, 2, 64, 16, DType::kBF16}, Model{3, 3, 24, 7, DType::kF32},
                         Model{8, 2, 64, 16, DType::kI8}, Model{3, 3, 22, 7, DType::kI8},
                         Model{6, 2, 24, 7, DType::kI8, 70, 30.0F},
                         Model{2, 1, 16, 16, DType::kBF16, 40, 0.0F, {1.0F, 4.0F}}}) {
    int32_t num_blocks = 0;
    const std::vector<Sequence> sequences = make_sequences(m, {150, 40}, &num_blocks);
    const auto reference = make_backend("scalar");
    const std::vector<float> want = run(*reference, m, sequences, num_blocks, 1000);
    for (const std::string& isa : isas()) {
      for (const int32_t threads : {1, 3}) {
        const auto backend = make_backend(isa, threads);
        for (const int32_t chunk : {1000, 1, 33}) {
          const std::vector<float> got = run(*backend, m, sequences, num_blocks, chunk);
          ASSERT_EQ(0, std::memcmp(got.data(), want.data(), want.size() * sizeof(float)))
              << isa << " chunk=" << chunk << " threads=" << threads;
        }
      }
    }
    std::vector<Sequence> alone = {sequences[1]};
    const std::vector<float> got = run(*reference, m, alone, num_blocks, 1000);
    EXPECT_EQ(0, std::memcmp(got.data(), want.data() + want.size() - got.size(),
                             got.size() * sizeof(float)));
  }
}

TEST(Attention, ARowDoesNotDependOnHowItsCacheIsCutIntoBlocks) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI8}) {
    std::vector<float> want;
    for (const int32_t block_size : {512, 16, 5, 1}) {
      const Model m = {4, 2, 80, block_size, dtype};
      int32_t num_blocks = 0;
      const std::vector<Sequence> sequences = make_sequences(m, {150, 40}, &num_blocks);
      const auto backend = make_backend("");
      const std::vector<float> got = run(*backend, m, sequences, num_blocks, 64);
      if (want.empty()) want = got;
      ASSERT_EQ(0, std::memcmp(got.data(), want.data(), want.size() * sizeof(float)))
          << format_traits(dtype).name << " block_size=" << block_size;
    }
  }
}

// A key is off by at most e = scale / 2 in each of D places, so a score by at most e * sum|q| /
// sqrt(D), the ratio of two weights by at most exp(2 * that), and the result by (exp(2 * that) - 1)
// times the largest value, and by half a step of V.
TEST(Attention, Int8IsOffByNoMoreThanItsStepsAllow) {
  const Model exact = {4, 2, 64, 16, DType::kF32};
  Model int8 = exact;
  int8.dtype = DType::kI8;
  int32_t num_blocks = 0;
  std::vector<Sequence> sequences = make_sequences(exact, {200}, &num_blocks);
  for (float& q : sequences[0].q) q *= 0.25F;
  const auto backend = make_backend("");
  const std::vector<float> want = run(*backend, exact, sequences, num_blocks, 1000);
  const std::vector<float> got = run(*backend, int8, sequences, num_blocks, 1000);
  const auto largest = [](const std::vector<float>& values) {
    double result = 0;
    for (const float value : values)
      result = std::max(result, std::fabs(static_cast<double>(value)));
    return result;
  };
  const double k_step = largest(sequences[0].k) / 127;
  const double v_max = largest(sequences[0].v);
  double worst = 0;
  for (size_t row = 0; row < want.size(); row += 64) {
    double sum_q = 0;
    for (size_t d = 0; d < 64; ++d)
      sum_q += std::fabs(static_cast<double>(sequences[0].q[row + d]));
    const double bound = std::expm1(k_step * sum_q / 8) * v_max + v_max / 254;
    for (size_t d = 0; d < 64; ++d) {
      const double error = std::fabs(static_cast<double>(got[row + d] - want[row + d]));
      ASSERT_LE(error, bound) << row;
      worst = std::max(worst, error);
    }
  }
  // Steps do not add up in practice: the loss is a small part of that bound.
  EXPECT_LT(worst, 0.02 * v_max);
  EXPECT_GT(worst, 1e-4);
}

TEST(Attention, AnInt8CacheKeepsZerosAndTinyNumbersAndDoesNotHideWhatIsNotFinite) {
  const Model m = {1, 1, 16, 16, DType::kI8};
  int32_t num_blocks = 0;
  std::vector<Sequence> sequences = make_sequences(m, {20}, &num_blocks);
  const auto backend = make_backend("");
  std::fill(sequences[0].k.begin(), sequences[0].k.end(), 0.0F);
  std::fill(sequences[0].v.begin(), sequences[0].v.end(), 1e-40F);
  for (const float value : run(*backend, m, sequences, num_blocks, 1000)) ASSERT_EQ(value, 0.0F);
  std::fill(sequences[0].v.begin(), sequences[0].v.end(), -1.0F);
  for (const float value : run(*backend, m, sequences, num_blocks, 1000)) {
    ASSERT_NEAR(value, -1.0F, 1e-6F);
  }
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    sequences[0].v[5] = bad;
    const std::vector<float> got = run(*backend, m, sequences, num_blocks, 1000);
    ASSERT_FALSE(std::isfinite(got.back()));
  }
}

TEST(Attention, HugeScoresNeitherOverflowNorLoseTheLargest) {
  const Model m = {1, 1, 16, 16, DType::kF32};
  int32_t num_blocks = 0;
  std::vector<Sequence> sequences = make_sequences(m, {100}, &num_blocks);
  for (float& q : sequences[0].q) q *= 1e4F;
  const auto backend = make_backend("");
  const std::vector<float> got = run(*backend, m, sequences, num_blocks, 1000);
  for (const float value : got) ASSERT_TRUE(std::isfinite(value));
  // With such scores the last token sees its best key only.
  const Sequence& s = sequences[0];
  const auto score = [&](size_t key) {
    double sum = 0;
    for (size_t d = 0; d < 16; ++d) {
      sum += static_cast<double>(s.q[99 * 16 + d]) * static_cast<double>(s.k[key * 16 + d]);
    }
    return sum;
  };
  size_t best = 0;
  for (size_t key = 1; key < 100; ++key) best = score(key) > score(best) ? key : best;
  for (size_t d = 0; d < 16; ++d) EXPECT_NEAR(got[99 * 16 + d], s.v[best * 16 + d], 1e-5);
}

}  // namespace
}  // namespace pagoda::cpu
