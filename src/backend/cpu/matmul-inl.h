// Products shared by all instruction sets. Included inside the anonymous namespace of a kernel
// file, after its Vec.
#pragma once

// The sums of T tokens x 32 rows. Inlined and unrolled whatever the size: an array of vectors that
// is ever indexed by a variable stays in memory where a vector is several registers.
template <int T>
[[gnu::always_inline]] inline void load_sums(const MatmulTile& tile, Vec (&sums)[2][T]) {
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
    const float* from = tile.out + t * tile.out_stride;
    sums[0][t] = tile.accumulate ? v_load(from) : v_zero();
    sums[1][t] = tile.accumulate ? v_load(from + kLanes) : v_zero();
  }
}

template <int T>
[[gnu::always_inline]] inline void store_sums(const MatmulTile& tile, const Vec (&sums)[2][T]) {
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
    v_store(tile.out + t * tile.out_stride, sums[0][t]);
    v_store(tile.out + t * tile.out_stride + kLanes, sums[1][t]);
  }
}

// Calls Tile::run<T> with T = tile.num_tokens, at most Max.
template <typename Tile, int Max>
void run_tile(const MatmulTile& tile) {
  if (tile.num_tokens == Max) {
    Tile::template run<Max>(tile);
  } else if constexpr (Max > 1) {
    run_tile<Tile, Max - 1>(tile);
  }
}

inline float load_float(const std::byte* from) {
  float value;
  __builtin_memcpy(&value, from, sizeof(value));
  return value;
}

inline int32_t load_int(const std::byte* from) {
  int32_t value;
  __builtin_memcpy(&value, from, sizeof(value));
  return value;
}

// Into the second level: the first is full of the block at hand.
inline void prefetch_line(const std::byte* from) {
  __builtin_prefetch(from, 0, 2);
}

inline void prefetch_step(const MatmulTile& tile, int64_t unit) {
  const std::byte* from = tile.prefetch + unit * tile.prefetch_step;
  for (int64_t i = 0; i < tile.prefetch_step; i += 64) prefetch_line(from + i);
}

struct F32Tile {
  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[2][T];
    load_sums<T>(tile, sums);
    const auto* w = reinterpret_cast<const float*>(tile.weights);
    const std::byte* x = tile.x;
    for (int64_t k = 0; k < tile.num_units; ++k, w += kPanelRows, x += 4) {
      prefetch_step(tile, k);
      const Vec low = v_load(w);
      const Vec high = v_load(w + kLanes);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        const Vec value = v_set1(load_float(x + t * tile.x_stride));
        sums[0][t] = v_fma(value, low, sums[0][t]);
        sums[1][t] = v_fma(value, high, sums[1][t]);
      }
    }
    store_sums<T>(tile, sums);
  }
};

void convert_f32(const float* x, int64_t num_elements, std::byte* out) {
  __builtin_memcpy(out, x, static_cast<size_t>(num_elements) * sizeof(float));
}

template <int kMaxTokens>
constexpr MatmulKernel f32_kernel() {
  return {.unit_elements = 1,
          .unit_bytes = 128,
          .x_unit_bytes = 4,
          .max_tokens = kMaxTokens,
          .any_tokens = true,
          .convert = convert_f32,
          .tile = run_tile<F32Tile, kMaxTokens>};
}

// q8_0 as x: the quants in the order that q8_dot wants, the scale, -kZero times the sum of the
// quants and of each 16, which take back the zero of the stored weights, and the sums times the
// scale. kQuantBytes is 1 or 2; with 1 a group fills a cache line.
template <int kQuantBytes>
struct Q8Row {
  static constexpr int64_t kScale = 32 * kQuantBytes;
  static constexpr int64_t kOffset = kScale + 4;
  static constexpr int64_t kPartOffsets = kOffset + 4;
  static constexpr int64_t kScaledSum = kPartOffsets + 8;
  static constexpr int64_t kScaledPartSums = kScaledSum + 4;
  static constexpr int64_t kBytes = 32 * kQuantBytes + 32;
};

// k of one 4-byte step: x0 x1 x2 x3 as bytes, or x0 x2 x1 x3 as 16-bit numbers for multiply-adds
// of bytes 0 and 2, then 1 and 3.
template <int kQuantBytes, int32_t kZero>
void convert_q8(const float* x, int64_t num_elements, std::byte* out) {
  using Row = Q8Row<kQuantBytes>;
  for (int64_t i = 0; i < num_elements; i += kQ8GroupElements, out += Row::kBytes) {
    int8_t bytes[kQ8GroupElements];
    const float scale = quantize_group(x + i, bytes);
    const int32_t low = v_sum_quants(bytes);
    const int32_t high = v_sum_quants(bytes + kLanes);
    const int32_t sums[3] = {low + high, low, high};
    if constexpr (kQuantBytes == 2) {
      int16_t words[kQ8GroupElements];
      for (int j = 0; j < kQ8GroupElements; j += 4) {
        words[j] = bytes[j];
        words[j + 1] = bytes[j + 2];
        words[j + 2] = bytes[j + 1];
        words[j + 3] = bytes[j + 3];
      }
      __builtin_memcpy(out, words, sizeof(words));
    } else {
      __builtin_memcpy(out, bytes, sizeof(bytes));
    }
    int32_t offsets[3];
    float scaled_sums[3];
    for (int j = 0; j < 3; ++j) {
      offsets[j] = -kZero * sums[j];
      scaled_sums[j] = scale * static_cast<float>(sums[j]);
    }
    __builtin_memcpy(out + Row::kScale, &scale, sizeof(scale));
    __builtin_memcpy(out + Row::kOffset, offsets, sizeof(offsets));
    __builtin_memcpy(out + Row::kScaledSum, scaled_sums, sizeof(scaled_sums));
  }
}
