// Attention loops shared by all instruction sets. Included inside the anonymous namespace of a
// kernel file, after its Vec and its kAccumulators (registers free for sums).
#pragma once

// Cache elements as floats.
struct F32Cache {
  static constexpr int64_t kBytes = 4;
  static constexpr bool kScaled = false;
  static Vec load(const std::byte* from) { return v_load(reinterpret_cast<const float*>(from)); }
  static Vec load_n(const std::byte* from, int n) {
    return v_load_n(reinterpret_cast<const float*>(from), n);
  }
};

struct Bf16Cache {
  static constexpr int64_t kBytes = 2;
  static constexpr bool kScaled = false;
  static Vec load(const std::byte* from) {
    return v_load_bf16(reinterpret_cast<const uint16_t*>(from));
  }
  static Vec load_n(const std::byte* from, int n) {
    return v_load_bf16_n(reinterpret_cast<const uint16_t*>(from), n);
  }
};

// Without their scales, which are one a token.
struct Int8Cache {
  static constexpr int64_t kBytes = 1;
  static constexpr bool kScaled = true;
  static Vec load(const std::byte* from) {
    return v_load_int8(reinterpret_cast<const int8_t*>(from));
  }
  static Vec load_n(const std::byte* from, int n) {
    return v_load_int8_n(reinterpret_cast<const int8_t*>(from), n);
  }
};

// In both tiles every loop over sums is unrolled: an array of vectors that is ever indexed by a
// variable stays in memory where a vector is several registers.

// Lanes are keys: no sum across lanes, and each score is one chain in the order of d.
template <typename Cache, int Q>
void score_tile(const ScoreRun& run, int32_t first) {
  Vec sums[Q];
#pragma GCC unroll 8
  for (int q = 0; q < Q; ++q) sums[q] = v_zero();
  const float* query = run.queries + static_cast<int64_t>(first) * run.q_stride;
  const std::byte* keys = run.keys;
  const int64_t step = run.key_stride * Cache::kBytes;
  for (int32_t d = 0; d < run.head_size; ++d) {
    const Vec key = run.num_keys == kLanes ? Cache::load(keys) : Cache::load_n(keys, run.num_keys);
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
      sums[q] = v_fma(v_set1(query[static_cast<int64_t>(q) * run.q_stride + d]), key, sums[q]);
    }
    keys += step;
  }
  if constexpr (Cache::kScaled) {
    const Vec scales = load_some(run.scales, run.num_keys);
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) sums[q] = v_mul(sums[q], scales);
  }
#pragma GCC unroll 8
  for (int q = 0; q < Q; ++q) {
    store_some(run.out + (first + q) * kChunkKeys, sums[q], run.num_keys);
  }
}

template <typename Cache, int Q>
void score_upto(const ScoreRun& run, int32_t first, int32_t count) {
  if (count == Q) {
    score_tile<Cache, Q>(run, first);
  } else if constexpr (Q > 1) {
    score_upto<Cache, Q - 1>(run, first, count);
  }
}

template <typename Cache>
void scores(const ScoreRun& run) {
  constexpr int kStep = kAccumulators < 8 ? kAccumulators : 8;
  for (int32_t q = 0; q < run.num_queries; q += kStep) {
    const int32_t rest = run.num_queries - q;
    score_upto<Cache, kStep>(run, q, rest < kStep ? rest : kStep);
  }
}

// Q queries x N vectors of the head, summed over the chunk in registers; n_last lanes of the last
// vector exist.
template <typename Cache, int Q, int N>
void value_tile(const ValueChunk& chunk, int32_t first, int32_t d, int n_last) {
  Vec sums[Q][N];
#pragma GCC unroll 8
  for (int q = 0; q < Q; ++q) {
    const float* from = chunk.sums + static_cast<int64_t>(first + q) * chunk.stride + d;
    const Vec rescale = v_set1(chunk.rescale[first + q]);
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) sums[q][i] = v_mul(v_load(from + i * kLanes), rescale);
  }
  const float* probs = chunk.probs + first * kChunkKeys;
  for (int32_t key = 0; key < chunk.num_keys; ++key) {
    const std::byte* row = chunk.values[key] + d * Cache::kBytes;
    Vec values[N];
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
      const std::byte* from = row + i * kLanes * Cache::kBytes;
      values[i] = i + 1 < N || n_last == kLanes ? Cache::load(from) : Cache::load_n(from, n_last);
    }
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
      const Vec prob = v_set1(probs[q * kChunkKeys + key]);
#pragma GCC unroll 4
      for (int i = 0; i < N; ++i) sums[q][i] = v_fma(prob, values[i], sums[q][i]);
    }
  }
#pragma GCC unroll 8
  for (int q = 0; q < Q; ++q) {
    float* to = chunk.sums + static_cast<int64_t>(first + q) * chunk.stride + d;
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) v_store(to + i * kLanes, sums[q][i]);
  }
}

template <typename Cache, int Q>
void value_upto(const ValueChunk& chunk, int32_t first, int32_t count) {
  if (count == Q) {
    constexpr int kFit = kAccumulators / Q;
    constexpr int kVectors = kFit < 1 ? 1 : (kFit > 4 ? 4 : kFit);
    int32_t d = 0;
    for (; d + kVectors * kLanes <= chunk.head_size; d += kVectors * kLanes) {
      value_tile<Cache, Q, kVectors>(chunk, first, d, kLanes);
    }
    for (; d < chunk.head_size; d += kLanes) {
      const int32_t rest = chunk.head_size - d;
      value_tile<Cache, Q, 1>(chunk, first, d, rest < kLanes ? rest : kLanes);
    }
  } else if constexpr (Q > 1) {
    value_upto<Cache, Q - 1>(chunk, first, count);
  }
}

template <typename Cache>
void values(const ValueChunk& chunk) {
  constexpr int kStep = kAccumulators < 8 ? kAccumulators : 8;
  for (int32_t q = 0; q < chunk.num_queries; q += kStep) {
    const int32_t rest = chunk.num_queries - q;
    value_upto<Cache, kStep>(chunk, q, rest < kStep ? rest : kStep);
  }
}
