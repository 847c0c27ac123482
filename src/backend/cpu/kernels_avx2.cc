// Kernels for AVX2 with FMA and F16C: 16 lanes as two registers.
#include <immintrin.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/quant_layout.h"

namespace pagoda::cpu {
namespace {

struct Vec {
  __m256 a;
  __m256 b;
};
struct IntVec {
  __m256i a;
  __m256i b;
};
// Bytes 0 and 2, and bytes 1 and 3, of each row's four, widened to 16 bits.
struct QuantVec {
  IntVec even;
  IntVec odd;
};

// 16 registers hold at most 8 Vec; two go to operands.
constexpr int kAccumulators = 4;

inline __m256i lane_mask(int n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), index);
}

inline Vec v_set1(float value) {
  return {_mm256_set1_ps(value), _mm256_set1_ps(value)};
}
inline Vec v_zero() {
  return v_set1(0.0F);
}
inline Vec v_load(const float* from) {
  return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
inline Vec v_load_n(const float* from, int n) {
  // Lanes that are masked out are not touched, even behind the end of memory.
  return {_mm256_maskload_ps(from, lane_mask(n)), _mm256_maskload_ps(from + 8, lane_mask(n - 8))};
}
inline void v_store(float* to, Vec value) {
  _mm256_storeu_ps(to, value.a);
  _mm256_storeu_ps(to + 8, value.b);
}
inline void v_store_n(float* to, Vec value, int n) {
  _mm256_maskstore_ps(to, lane_mask(n), value.a);
  _mm256_maskstore_ps(to + 8, lane_mask(n - 8), value.b);
}
inline __m256 widen_bf16(const uint16_t* from) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline Vec v_load_bf16(const uint16_t* from) {
  return {widen_bf16(from), widen_bf16(from + 8)};
}
inline Vec v_load_bf16_n(const uint16_t* from, int n) {
  uint16_t bits[kLanes] = {};
  for (int i = 0; i < n; ++i) bits[i] = from[i];
  return v_load_bf16(bits);
}
inline Vec v_load_int8(const int8_t* from) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline Vec v_load_int8_n(const int8_t* from, int n) {
  int8_t bytes[kLanes] = {};
  for (int i = 0; i < n; ++i) bytes[i] = from[i];
  return v_load_int8(bytes);
}
inline Vec v_load_f16(const void* from) {
  const auto* halves = static_cast<const __m128i*>(from);
  return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
inline Vec v_add(Vec x, Vec y) {
  return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
inline Vec v_sub(Vec x, Vec y) {
  return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
inline Vec v_mul(Vec x, Vec y) {
  return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}
inline Vec v_div(Vec x, Vec y) {
  return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)};
}
inline Vec v_max(Vec x, Vec y) {
  return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)};
}
inline Vec v_min(Vec x, Vec y) {
  return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)};
}
inline Vec v_fma(Vec x, Vec y, Vec z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Vec v_abs(Vec x) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
inline Vec v_round(Vec x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, kMode), _mm256_round_ps(x.b, kMode)};
}
// Halves away from zero: |x| + (largest float below a half), cut off, with the sign put back.
inline Vec v_round_away(Vec x) {
  constexpr int kMode = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
  const __m256 sign = _mm256_set1_ps(-0.0F);
  const Vec sum = v_add(v_abs(x), v_set1(0.49999997F));
  return {_mm256_or_ps(_mm256_round_ps(sum.a, kMode), _mm256_and_ps(x.a, sign)),
          _mm256_or_ps(_mm256_round_ps(sum.b, kMode), _mm256_and_ps(x.b, sign))};
}
// value * 2^n for whole n in [-126, 128]; value in [0.5, 2). Two factors, as 2^128 is no float.
inline __m256 pow2(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
inline __m256 scale_by_pow2(__m256 value, __m256 n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  return _mm256_mul_ps(_mm256_mul_ps(value, pow2(half)), pow2(_mm256_sub_epi32(whole, half)));
}
inline Vec v_scale_by_pow2(Vec value, Vec n) {
  return {scale_by_pow2(value.a, n.a), scale_by_pow2(value.b, n.b)};
}
inline Vec v_zero_below(Vec value, Vec x, Vec limit) {
  return {_mm256_and_ps(value.a, _mm256_cmp_ps(x.a, limit.a, _CMP_NLT_UQ)),
          _mm256_and_ps(value.b, _mm256_cmp_ps(x.b, limit.b, _CMP_NLT_UQ))};
}
inline float v_reduce_max(Vec value) {
  const __m256 eight = _mm256_max_ps(value.a, value.b);
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
// Whole numbers to bytes; what does not fit, as a NaN or an infinity may leave, saturates.
inline void v_store_quants(int8_t* to, Vec value) {
  const __m256i words = _mm256_permute4x64_epi64(
      _mm256_packs_epi32(_mm256_cvtps_epi32(value.a), _mm256_cvtps_epi32(value.b)), 0xd8);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(to),
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
// The sum of 16 quants: of their distances from -128 as unsigned bytes, less that.
inline int32_t v_sum_quants(const int8_t* from) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m128i sums = _mm_sad_epu8(_mm_xor_si128(bytes, _mm_set1_epi8(-128)), _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4) - 16 * 128;
}
// To nearest even; a NaN keeps its upper bits and becomes quiet.
inline __m256i round_bf16(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
  return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
}
inline void v_store_bf16(uint16_t* to, Vec value) {
  const __m256i packed = _mm256_packus_epi32(round_bf16(value.a), round_bf16(value.b));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(packed, 0xd8));
}
// 16 pairs of bf16: the even ones are the lower halves of 32-bit words.
inline void v_load_bf16_pairs(const std::byte* from, Vec* even, Vec* odd) {
  const auto* words = reinterpret_cast<const __m256i*>(from);
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000U));
  const __m256i a = _mm256_load_si256(words);
  const __m256i b = _mm256_load_si256(words + 1);
  *even = {_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)),
           _mm256_castsi256_ps(_mm256_slli_epi32(b, 16))};
  *odd = {_mm256_castsi256_ps(_mm256_and_si256(a, upper)),
          _mm256_castsi256_ps(_mm256_and_si256(b, upper))};
}
inline IntVec v_set1_int(int32_t value) {
  return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)};
}
inline Vec v_from_int(IntVec x) {
  return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}
inline QuantVec v_load_quants(const std::byte* from) {
  const auto* words = reinterpret_cast<const __m256i*>(from);
  const __m256i lower = _mm256_set1_epi16(0xff);
  const __m256i a = _mm256_load_si256(words);
  const __m256i b = _mm256_load_si256(words + 1);
  return {{_mm256_and_si256(a, lower), _mm256_and_si256(b, lower)},
          {_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)}};
}
// Exact: 255 * 127 * 2 fits 32 bits. (vpmaddubsw would saturate at 16.)
inline IntVec v_dot4(IntVec sum, const QuantVec& quants, const std::byte* x) {
  int32_t pairs[2];
  __builtin_memcpy(pairs, x, sizeof(pairs));
  const __m256i even = _mm256_set1_epi32(pairs[0]);
  const __m256i odd = _mm256_set1_epi32(pairs[1]);
  sum.a = _mm256_add_epi32(sum.a, _mm256_madd_epi16(quants.even.a, even));
  sum.b = _mm256_add_epi32(sum.b, _mm256_madd_epi16(quants.even.b, even));
  sum.a = _mm256_add_epi32(sum.a, _mm256_madd_epi16(quants.odd.a, odd));
  sum.b = _mm256_add_epi32(sum.b, _mm256_madd_epi16(quants.odd.b, odd));
  return sum;
}

// 16 rows of 4 k, a byte each.
using ByteVec = IntVec;
inline ByteVec v_load_bytes(const std::byte* from) {
  const auto* words = reinterpret_cast<const __m256i*>(from);
  return {_mm256_load_si256(words), _mm256_load_si256(words + 1)};
}
template <int kMask>
inline ByteVec v_and_bytes(ByteVec x) {
  const __m256i mask = _mm256_set1_epi8(kMask);
  return {_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
}
// x | (y & kMask)
template <int kMask>
inline ByteVec v_or_masked(ByteVec x, ByteVec y) {
  const ByteVec kept = v_and_bytes<kMask>(y);
  return {_mm256_or_si256(x.a, kept.a), _mm256_or_si256(x.b, kept.b)};
}
// To the left, or to the right by -kBits; bits that cross a byte's border are for the caller to
// mask.
template <int kBits>
inline ByteVec v_shift_bits(ByteVec x) {
  if constexpr (kBits >= 0) {
    return {_mm256_slli_epi16(x.a, kBits), _mm256_slli_epi16(x.b, kBits)};
  } else {
    return {_mm256_srli_epi16(x.a, -kBits), _mm256_srli_epi16(x.b, -kBits)};
  }
}
inline ByteVec v_lookup_e2m1(ByteVec codes) {
  const __m256i table = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
  return {_mm256_shuffle_epi8(table, codes.a), _mm256_shuffle_epi8(table, codes.b)};
}
// Adds each row's four bytes times the four signed bytes of x. Exact: bytes are at most 63, so two
// products fit 16 bits.
inline IntVec v_dot_bytes(IntVec sum, ByteVec quants, int32_t x) {
  const __m256i four = _mm256_set1_epi32(x);
  const __m256i ones = _mm256_set1_epi16(1);
  sum.a = _mm256_add_epi32(sum.a, _mm256_madd_epi16(_mm256_maddubs_epi16(quants.a, four), ones));
  sum.b = _mm256_add_epi32(sum.b, _mm256_madd_epi16(_mm256_maddubs_epi16(quants.b, four), ones));
  return sum;
}
// (byte >> kShift) & kMask of 16 rows.
template <int kMask, int kShift>
inline Vec v_load_uint8(const std::byte* from) {
  __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  bytes = _mm_and_si128(_mm_srli_epi16(bytes, kShift), _mm_set1_epi8(static_cast<char>(kMask)));
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}

#include "backend/cpu/elementwise-inl.h"
// Elementwise first: the others use its helpers.
#include "backend/cpu/attention-inl.h"
#include "backend/cpu/matmul-inl.h"
// These use matmul-inl.h.
#include "backend/cpu/matmul_bf16-inl.h"
#include "backend/cpu/matmul_q8-inl.h"
#include "backend/cpu/matmul_quant-inl.h"
// Uses elementwise-inl.h and attention-inl.h.
#include "backend/cpu/shared_loops-inl.h"

}  // namespace

// Three tokens: 3 x 2 Vec are 12 of the 16 registers.
extern const CpuKernels kAvx2Kernels = with_shared_loops({
    .isa = "avx2",
    .f32 = f32_kernel<3>(),
    .bf16 = bf16_kernel<3>(),
    .q8 = q8_kernel<3>(),
    .quant = quant_kernels<2>(),
});

}  // namespace pagoda::cpu
