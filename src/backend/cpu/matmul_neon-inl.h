// Products of whole numbers on NEON, with SDOT or with widening multiplications. Included inside
// the anonymous namespace of the kernel files for 64-bit ARM, after vectors_neon-inl.h.
#pragma once

// Adds each row's four bytes times the four signed bytes of x. Exact: bytes are at most 63, so two
// products fit 16 bits.
inline int32x4_t dot_bytes(int32x4_t sum, uint8x16_t quants, int8x16_t x) {
  const int8x16_t q = vreinterpretq_s8_u8(quants);
#if defined(__ARM_FEATURE_DOTPROD)
  return vdotq_s32(sum, q, x);
#else
  const int16x8_t low = vmull_s8(vget_low_s8(q), vget_low_s8(x));
  return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(q, x)));
#endif
}
inline IntVec v_dot_bytes(const IntVec& sum, const ByteVec& quants, int32_t x) {
  const int8x16_t four = v_set1_four(x);
  return map(sum, quants, [&](int32x4_t a, uint8x16_t b) { return dot_bytes(a, b, four); });
}

#include "backend/cpu/matmul-inl.h"
// These use matmul-inl.h.
#include "backend/cpu/matmul_bf16-inl.h"
#include "backend/cpu/matmul_quant-inl.h"

// Sums of products of any signed bytes, of which two may need 17 bits.
#if defined(__ARM_FEATURE_DOTPROD)
struct SignedDot {
  IntVec sums;

  void clear() { sums = v_set1_int(0); }
  void add(const ByteVec& quants, int32_t x) { sums = v_dot_bytes(sums, quants, x); }
  IntVec total() const { return sums; }
};
#else
struct SignedDot {
  IntVec low;  // of each four rows the pairs of the first two, then of the others
  IntVec high;

  void clear() { low = high = v_set1_int(0); }
  void add(const ByteVec& quants, int32_t x) {
    const int8x16_t four = v_set1_four(x);
    low = map(low, quants, [&](int32x4_t sum, uint8x16_t q) {
      return vpadalq_s16(sum, vmull_s8(vget_low_s8(vreinterpretq_s8_u8(q)), vget_low_s8(four)));
    });
    high = map(high, quants, [&](int32x4_t sum, uint8x16_t q) {
      return vpadalq_s16(sum, vmull_high_s8(vreinterpretq_s8_u8(q), four));
    });
  }
  IntVec total() const {
    return map(low, high, [](int32x4_t a, int32x4_t b) { return vpaddq_s32(a, b); });
  }
};
#endif

// q8_0: the stored quant + 128 with its upper bit turned is the quant.
struct Q8SignedTile {
  using Row = Q8Row<1>;
  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[2][T];
    load_sums<T>(tile, sums);
    const std::byte* w = tile.weights;
    const std::byte* x = tile.x;
    for (int64_t unit = 0; unit < tile.num_units; ++unit, w += kQ8GroupBytes, x += Row::kBytes) {
      prefetch_step(tile, unit);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        SignedDot dots[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) dots[t].clear();
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) {
          const ByteVec quants = map(v_load_bytes(w + k * 128 + half * 64),
                                     [](uint8x16_t a) { return veorq_u8(a, vdupq_n_u8(0x80)); });
#pragma GCC unroll 4
          for (int t = 0; t < T; ++t) {
            dots[t].add(quants, load_int(x + t * tile.x_stride + k * 4));
          }
        }
        const Vec w_scale = v_load_f16(w + 1024 + half * 32);
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          const Vec x_scale = v_set1(load_float(x + t * tile.x_stride + Row::kScale));
          sums[half][t] =
              v_fma(v_from_int(dots[t].total()), v_mul(w_scale, x_scale), sums[half][t]);
        }
      }
    }
    store_sums<T>(tile, sums);
  }
};

// Tokens a tile. Floats: 2 x 8 registers of sums and 8 of weights are 24 of 32. Whole numbers: the
// sums of one half's rows are 4 a token, and the float sums wait in memory for the end of a group.
constexpr int kFloatTokens = 2;
constexpr int kWholeTokens = 4;

constexpr Products neon_products(const char* isa) {
  return {.isa = isa,
          .f32 = f32_kernel<kFloatTokens>(),
          .bf16 = bf16_kernel<kFloatTokens>(),
          .q8 = {.unit_elements = 32,
                 .unit_bytes = kQ8GroupBytes,
                 .x_unit_bytes = Q8Row<1>::kBytes,
                 .max_tokens = kWholeTokens,
                 .any_tokens = true,
                 .convert = convert_q8<1, kQ8Zero>,
                 .tile = run_tile<Q8SignedTile, kWholeTokens>},
          .quant = quant_kernels<kWholeTokens>()};
}
