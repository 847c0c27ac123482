// Kernels for AVX-512 with BF16 and VNNI (Zen 4, Cooper Lake, Sapphire Rapids and later), and with
// AMX on top (Sapphire Rapids and later).
#include "backend/cpu/kernels.h"
#include "backend/cpu/quant_layout.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own intrinsics start from deliberately undefined registers and warn about it.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

namespace pagoda::cpu {
namespace {

using Vec = __m512;

// 32 registers, less a few for operands.
constexpr int kAccumulators = 16;

inline __mmask16 first_lanes(int n) {
  return static_cast<__mmask16>((1U << n) - 1U);
}

inline Vec v_zero() {
  return _mm512_setzero_ps();
}
inline Vec v_set1(float value) {
  return _mm512_set1_ps(value);
}
inline Vec v_load(const float* from) {
  return _mm512_loadu_ps(from);
}
inline Vec v_load_n(const float* from, int n) {
  return _mm512_maskz_loadu_ps(first_lanes(n), from);
}
inline void v_store(float* to, Vec value) {
  _mm512_storeu_ps(to, value);
}
inline void v_store_n(float* to, Vec value, int n) {
  _mm512_mask_storeu_ps(to, first_lanes(n), value);
}
inline Vec widen_bf16(__m256i bits) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
inline Vec v_load_bf16(const uint16_t* from) {
  return widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Vec v_load_bf16_n(const uint16_t* from, int n) {
  return widen_bf16(_mm256_maskz_loadu_epi16(first_lanes(n), from));
}
inline Vec widen_int8(__m128i bytes) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}
inline Vec v_load_int8(const int8_t* from) {
  return widen_int8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Vec v_load_int8_n(const int8_t* from, int n) {
  return widen_int8(_mm_maskz_loadu_epi8(first_lanes(n), from));
}
inline Vec v_load_f16(const void* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
}
inline Vec v_add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
inline Vec v_sub(Vec a, Vec b) {
  return _mm512_sub_ps(a, b);
}
inline Vec v_mul(Vec a, Vec b) {
  return _mm512_mul_ps(a, b);
}
inline Vec v_div(Vec a, Vec b) {
  return _mm512_div_ps(a, b);
}
inline Vec v_max(Vec a, Vec b) {
  return _mm512_max_ps(a, b);
}
inline Vec v_min(Vec a, Vec b) {
  return _mm512_min_ps(a, b);
}
inline Vec v_fma(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline Vec v_abs(Vec a) {
  return _mm512_abs_ps(a);
}
inline Vec v_round(Vec a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// Halves away from zero: |a| + (largest float below a half), cut off, with the sign put back.
inline Vec v_round_away(Vec a) {
  const __m512i sign = _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(INT32_MIN));
  const Vec cut = _mm512_roundscale_ps(_mm512_add_ps(_mm512_abs_ps(a), _mm512_set1_ps(0.49999997F)),
                                       _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(cut), sign));
}
// value * 2^n for whole n in [-126, 128]; value in [0.5, 2).
inline Vec v_scale_by_pow2(Vec value, Vec n) {
  return _mm512_scalef_ps(value, n);
}
inline Vec v_zero_below(Vec value, Vec x, Vec limit) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), value);
}
inline float v_reduce_max(Vec value) {
  return _mm512_reduce_max_ps(value);
}
// Whole numbers to bytes; what does not fit, as a NaN or an infinity may leave, saturates.
inline void v_store_quants(int8_t* to, Vec value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(value)));
}
// The sum of 16 quants: of their distances from -128 as unsigned bytes, less that.
inline int32_t v_sum_quants(const int8_t* from) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m128i sums = _mm_sad_epu8(_mm_xor_si128(bytes, _mm_set1_epi8(-128)), _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4) - 16 * 128;
}
// To nearest even; a NaN keeps its upper bits and becomes quiet.
inline void v_store_bf16(uint16_t* to, Vec value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x00400000));
  const __m512i chosen = _mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, nan, quiet), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(chosen));
}

using IntVec = __m512i;
inline IntVec v_set1_int(int32_t value) {
  return _mm512_set1_epi32(value);
}
inline Vec v_from_int(IntVec x) {
  return _mm512_cvtepi32_ps(x);
}
// 16 rows of 4 k, a byte each.
using ByteVec = __m512i;
inline ByteVec v_load_bytes(const std::byte* from) {
  return _mm512_load_si512(from);
}
template <int kMask>
inline ByteVec v_and_bytes(ByteVec x) {
  return _mm512_and_si512(x, _mm512_set1_epi8(kMask));
}
// x | (y & kMask)
template <int kMask>
inline ByteVec v_or_masked(ByteVec x, ByteVec y) {
  return _mm512_ternarylogic_epi32(x, y, _mm512_set1_epi8(kMask), 0xf8);
}
// To the left, or to the right by -kBits; bits that cross a byte's border are for the caller to
// mask.
template <int kBits>
inline ByteVec v_shift_bits(ByteVec x) {
  if constexpr (kBits >= 0) {
    return _mm512_slli_epi16(x, kBits);
  } else {
    return _mm512_srli_epi16(x, -kBits);
  }
}
inline ByteVec v_lookup_e2m1(ByteVec codes) {
  const __m512i table = _mm512_broadcast_i32x4(
      _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
  return _mm512_shuffle_epi8(table, codes);
}
// Adds each row's four bytes times the four signed bytes of x.
inline IntVec v_dot_bytes(IntVec sum, ByteVec quants, int32_t x) {
  return _mm512_dpbusd_epi32(sum, quants, _mm512_set1_epi32(x));
}
// (byte >> kShift) & kMask of 16 rows.
template <int kMask, int kShift>
inline Vec v_load_uint8(const std::byte* from) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m128i mask = _mm_set1_epi8(static_cast<char>(kMask));
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(bytes, kShift), mask)));
}

#include "backend/cpu/elementwise-inl.h"
// Elementwise first: the others use its helpers.
#include "backend/cpu/attention-inl.h"
#include "backend/cpu/matmul-inl.h"
// Uses matmul-inl.h.
#include "backend/cpu/matmul_quant-inl.h"
// Uses elementwise-inl.h and attention-inl.h.
#include "backend/cpu/shared_loops-inl.h"

// vdpbf16ps adds two products a step to each of 16 rows; x gives the same pair to all of them.
struct Bf16DotTile {
  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[2][T];
    load_sums<T>(tile, sums);
    const std::byte* w = tile.weights;
    const std::byte* x = tile.x;
    for (int64_t unit = 0; unit < tile.num_units; ++unit, w += 128, x += 4) {
      prefetch_step(tile, unit);
      const auto low = reinterpret_cast<__m512bh>(_mm512_load_si512(w));
      const auto high = reinterpret_cast<__m512bh>(_mm512_load_si512(w + 64));
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        const auto pair =
            reinterpret_cast<__m512bh>(_mm512_set1_epi32(load_int(x + t * tile.x_stride)));
        sums[0][t] = _mm512_dpbf16_ps(sums[0][t], low, pair);
        sums[1][t] = _mm512_dpbf16_ps(sums[1][t], high, pair);
      }
    }
    store_sums<T>(tile, sums);
  }
};

void convert_bf16(const float* x, int64_t num_elements, std::byte* out) {
  to_bf16(x, reinterpret_cast<uint16_t*>(out), num_elements);
  const uint16_t zero = 0;
  if (num_elements % 2 != 0) __builtin_memcpy(out + num_elements * 2, &zero, sizeof(zero));
}

// vpdpbusd: unsigned weights (quant + 128) times signed x; starting from -128 * sum(x) takes the
// offset back exactly.
struct Q8DotTile {
  using Row = Q8Row<1>;
  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[2][T];
    load_sums<T>(tile, sums);
    const std::byte* w = tile.weights;
    const std::byte* x = tile.x;
    for (int64_t unit = 0; unit < tile.num_units; ++unit, w += kQ8GroupBytes, x += Row::kBytes) {
      prefetch_step(tile, unit);
      __m512i dots[T][2];
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        dots[t][0] = _mm512_set1_epi32(load_int(x + t * tile.x_stride + Row::kOffset));
        dots[t][1] = dots[t][0];
      }
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k) {
        const __m512i low = _mm512_load_si512(w + k * 128);
        const __m512i high = _mm512_load_si512(w + k * 128 + 64);
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) {
          const __m512i quants = _mm512_set1_epi32(load_int(x + t * tile.x_stride + k * 4));
          dots[t][0] = _mm512_dpbusd_epi32(dots[t][0], low, quants);
          dots[t][1] = _mm512_dpbusd_epi32(dots[t][1], high, quants);
        }
      }
      const Vec low_scale = v_load_f16(w + 1024);
      const Vec high_scale = v_load_f16(w + 1056);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        const Vec scale = v_set1(load_float(x + t * tile.x_stride + Row::kScale));
        sums[0][t] = v_fma(_mm512_cvtepi32_ps(dots[t][0]), v_mul(low_scale, scale), sums[0][t]);
        sums[1][t] = v_fma(_mm512_cvtepi32_ps(dots[t][1]), v_mul(high_scale, scale), sums[1][t]);
      }
    }
    store_sums<T>(tile, sums);
  }
};

// Tokens a tile: each takes two sums (and for q8_0 two more for the group) of the 32 registers; the
// rest holds weights, scales and the broadcast.
constexpr int kQ8Tokens = 6;
constexpr int kQuantTokens = 8;

// Uses all of the above.
#include "backend/cpu/matmul_amx-inl.h"
// Uses matmul_amx-inl.h.
#include "backend/cpu/matmul_amx_bf16-inl.h"

constexpr CpuKernels avx512_kernels() {
  return with_shared_loops({
      .isa = "avx512",
      .f32 = f32_kernel<8>(),
      .bf16 = {.unit_elements = 2,
               .unit_bytes = 128,
               .x_unit_bytes = 4,
               .max_tokens = 8,
               .any_tokens = true,
               .convert = convert_bf16,
               .tile = run_tile<Bf16DotTile, 8>},
      .q8 = {.unit_elements = 32,
             .unit_bytes = kQ8GroupBytes,
             .x_unit_bytes = Q8Row<1>::kBytes,
             .max_tokens = kQ8Tokens,
             .any_tokens = true,
             .convert = convert_q8<1, kQ8Zero>,
             .tile = run_tile<Q8DotTile, kQ8Tokens>},
      .quant = quant_kernels<kQuantTokens>(),
  });
}

template <typename Source, void (*kVectorTile)(const MatmulTile&), int kMaxTokens>
constexpr void use_amx(MatmulKernel& kernel) {
  kernel.wide = AmxTile<Source, kVectorTile, kMaxTokens>::run;
  // With one pass of the tiles, unpacking the weights costs what the tiles gain.
  kernel.wide_tokens = 2 * kAmxTokens;
  kernel.wide_units = kAmxGroups / Source::kGroups;
}

template <QuantLayout kLayout>
constexpr void use_amx(MatmulKernel& kernel) {
  use_amx<AmxQuantSource<kLayout>, run_pieces<QuantTile<kLayout>, kQuantTokens>, kQuantTokens>(
      kernel);
}

constexpr void use_amx(CpuKernels& kernels) {
  kernels.bf16.wide = AmxBf16Tile::run;
  kernels.bf16.wide_tokens = 1;
  kernels.bf16.wide_units = 64 * AmxBf16Tile::kStepPairs;
  use_amx<AmxQ8Source, run_tile<Q8DotTile, kQ8Tokens>, kQ8Tokens>(kernels.q8);
  use_amx<kQ4_0Layout>(kernels.quant.q4_0);
  use_amx<kQ4_1Layout>(kernels.quant.q4_1);
  use_amx<kQ5_0Layout>(kernels.quant.q5_0);
  use_amx<kQ5_1Layout>(kernels.quant.q5_1);
  use_amx<kQ2_KLayout>(kernels.quant.q2_k);
  use_amx<kQ3_KLayout>(kernels.quant.q3_k);
  use_amx<kQ4_KLayout>(kernels.quant.q4_k);
  use_amx<kQ5_KLayout>(kernels.quant.q5_k);
  use_amx<kQ6_KLayout>(kernels.quant.q6_k);
  use_amx<kMxfp4Layout>(kernels.quant.mxfp4);
}

// The same with tiles for many tokens, and for bf16 always: its sums are grouped in the way of the
// tile instruction.
constexpr CpuKernels amx_kernels() {
  CpuKernels kernels = avx512_kernels();
  kernels.isa = "amx";
  use_amx(kernels);
  return kernels;
}

}  // namespace

extern const CpuKernels kAvx512Kernels = avx512_kernels();
extern const CpuKernels kAmxKernels = amx_kernels();

}  // namespace pagoda::cpu
