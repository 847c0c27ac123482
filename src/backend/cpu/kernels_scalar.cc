// Kernels in plain C++: the reference that every other instruction set is tested against.
#include "backend/cpu/kernels.h"
#include "backend/cpu/quant_layout.h"

namespace pagoda::cpu {
namespace {

struct Vec {
  float lane[kLanes];
};
struct IntVec {
  int32_t lane[kLanes];
};
// The four bytes of each row in two pairs: 0 and 2, then 1 and 3.
struct QuantVec {
  uint8_t even[2 * kLanes];
  uint8_t odd[2 * kLanes];
};

constexpr int kAccumulators = 4;

template <typename Function>
inline Vec map(const Function& function) {
  Vec result;
  for (int i = 0; i < kLanes; ++i) result.lane[i] = function(i);
  return result;
}

inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
}
inline float float_of(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}
inline float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fU;
  const uint32_t mantissa = bits & 0x3ffU;
  if (exponent == 0x1fU) return float_of(sign | 0x7f800000U | (mantissa << 13));
  if (exponent == 0) return float_of(sign | bits_of(static_cast<float>(mantissa) * 0x1p-24F));
  return float_of(sign | ((exponent + 112U) << 23) | (mantissa << 13));
}
inline uint16_t round_bf16(float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

inline Vec v_set1(float value) {
  return map([&](int) { return value; });
}
inline Vec v_zero() {
  return v_set1(0.0F);
}
inline Vec v_load(const float* from) {
  Vec result;
  __builtin_memcpy(&result, from, sizeof(result));
  return result;
}
inline Vec v_load_n(const float* from, int n) {
  return map([&](int i) { return i < n ? from[i] : 0.0F; });
}
inline void v_store(float* to, const Vec& value) {
  __builtin_memcpy(to, &value, sizeof(value));
}
inline void v_store_n(float* to, const Vec& value, int n) {
  for (int i = 0; i < n; ++i) to[i] = value.lane[i];
}
inline Vec v_load_bf16(const uint16_t* from) {
  return map([&](int i) { return float_of(static_cast<uint32_t>(from[i]) << 16); });
}
inline Vec v_load_bf16_n(const uint16_t* from, int n) {
  return map([&](int i) { return i < n ? float_of(static_cast<uint32_t>(from[i]) << 16) : 0.0F; });
}
inline Vec v_load_int8(const int8_t* from) {
  return map([&](int i) { return static_cast<float>(from[i]); });
}
inline Vec v_load_int8_n(const int8_t* from, int n) {
  return map([&](int i) { return i < n ? static_cast<float>(from[i]) : 0.0F; });
}
inline Vec v_load_f16(const void* from) {
  uint16_t bits[kLanes];
  __builtin_memcpy(bits, from, sizeof(bits));
  return map([&](int i) { return half_to_float(bits[i]); });
}
inline Vec v_add(const Vec& a, const Vec& b) {
  return map([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline Vec v_sub(const Vec& a, const Vec& b) {
  return map([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline Vec v_mul(const Vec& a, const Vec& b) {
  return map([&](int i) { return a.lane[i] * b.lane[i]; });
}
inline Vec v_div(const Vec& a, const Vec& b) {
  return map([&](int i) { return a.lane[i] / b.lane[i]; });
}
// Like the instructions, these give the second operand when one is a NaN.
inline Vec v_max(const Vec& a, const Vec& b) {
  return map([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Vec v_min(const Vec& a, const Vec& b) {
  return map([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Vec v_fma(const Vec& a, const Vec& b, const Vec& c) {
  return map([&](int i) { return __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]); });
}
inline Vec v_abs(const Vec& a) {
  return map([&](int i) { return __builtin_fabsf(a.lane[i]); });
}
inline Vec v_round(const Vec& a) {
  return map([&](int i) { return __builtin_nearbyintf(a.lane[i]); });
}
inline Vec v_round_away(const Vec& a) {
  return map([&](int i) { return __builtin_roundf(a.lane[i]); });
}
inline Vec v_scale_by_pow2(const Vec& value, const Vec& n) {
  return map([&](int i) { return __builtin_ldexpf(value.lane[i], static_cast<int>(n.lane[i])); });
}
inline Vec v_zero_below(const Vec& value, const Vec& x, const Vec& limit) {
  return map([&](int i) { return x.lane[i] < limit.lane[i] ? 0.0F : value.lane[i]; });
}
inline float v_reduce_max(const Vec& value) {
  float largest = value.lane[0];
  for (const float lane : value.lane) largest = lane > largest ? lane : largest;
  return largest;
}
// Whole numbers to bytes; what does not fit, as a NaN or an infinity may leave, saturates.
inline void v_store_quants(int8_t* to, const Vec& value) {
  for (int i = 0; i < kLanes; ++i) {
    const float lane = value.lane[i];
    to[i] = static_cast<int8_t>(lane >= -128.0F ? (lane <= 127.0F ? static_cast<int>(lane) : 127)
                                                : -128);
  }
}
inline int32_t v_sum_quants(const int8_t* from) {
  int32_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += from[i];
  return sum;
}
inline void v_store_bf16(uint16_t* to, const Vec& value) {
  for (int i = 0; i < kLanes; ++i) to[i] = round_bf16(value.lane[i]);
}
inline void v_load_bf16_pairs(const std::byte* from, Vec* even, Vec* odd) {
  uint32_t words[kLanes];
  __builtin_memcpy(words, from, sizeof(words));
  *even = map([&](int i) { return float_of(words[i] << 16); });
  *odd = map([&](int i) { return float_of(words[i] & 0xffff0000U); });
}
inline IntVec v_set1_int(int32_t value) {
  IntVec result;
  for (int i = 0; i < kLanes; ++i) result.lane[i] = value;
  return result;
}
inline Vec v_from_int(const IntVec& x) {
  return map([&](int i) { return static_cast<float>(x.lane[i]); });
}
inline QuantVec v_load_quants(const std::byte* from) {
  QuantVec result;
  for (int i = 0; i < 2 * kLanes; ++i) {
    result.even[i] = static_cast<uint8_t>(from[2 * i]);
    result.odd[i] = static_cast<uint8_t>(from[2 * i + 1]);
  }
  return result;
}
inline IntVec v_dot4(IntVec sum, const QuantVec& quants, const std::byte* x) {
  int16_t pairs[4];
  __builtin_memcpy(pairs, x, sizeof(pairs));
  for (int i = 0; i < kLanes; ++i) {
    sum.lane[i] += quants.even[2 * i] * pairs[0] + quants.even[2 * i + 1] * pairs[1];
    sum.lane[i] += quants.odd[2 * i] * pairs[2] + quants.odd[2 * i + 1] * pairs[3];
  }
  return sum;
}

// 16 rows of 4 k, a byte each.
struct ByteVec {
  uint8_t byte[4 * kLanes];
};
template <typename Function>
inline ByteVec map_bytes(const Function& function) {
  ByteVec result;
  for (int i = 0; i < 4 * kLanes; ++i) result.byte[i] = static_cast<uint8_t>(function(i));
  return result;
}
inline ByteVec v_load_bytes(const std::byte* from) {
  ByteVec result;
  __builtin_memcpy(&result, from, sizeof(result));
  return result;
}
template <int kMask>
inline ByteVec v_and_bytes(const ByteVec& a) {
  return map_bytes([&](int i) { return a.byte[i] & kMask; });
}
// a | (b & kMask)
template <int kMask>
inline ByteVec v_or_masked(const ByteVec& a, const ByteVec& b) {
  return map_bytes([&](int i) { return a.byte[i] | (b.byte[i] & kMask); });
}
// To the left, or to the right by -kBits; bits that cross a byte's border are for the caller to
// mask.
template <int kBits>
inline ByteVec v_shift_bits(const ByteVec& a) {
  return map_bytes([&](int i) { return kBits >= 0 ? a.byte[i] << kBits : a.byte[i] >> -kBits; });
}
inline ByteVec v_lookup_e2m1(const ByteVec& codes) {
  constexpr uint8_t kTable[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
  return map_bytes([&](int i) { return kTable[codes.byte[i]]; });
}
// Adds each row's four bytes times the four signed bytes of x.
inline IntVec v_dot_bytes(IntVec sum, const ByteVec& quants, int32_t x) {
  int8_t bytes[4];
  __builtin_memcpy(bytes, &x, sizeof(bytes));
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < 4; ++j) sum.lane[i] += quants.byte[4 * i + j] * bytes[j];
  }
  return sum;
}
// (byte >> kShift) & kMask of 16 rows.
template <int kMask, int kShift>
inline Vec v_load_uint8(const std::byte* from) {
  return map(
      [&](int i) { return static_cast<float>(static_cast<int>(from[i]) >> kShift & kMask); });
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

extern const CpuKernels kScalarKernels = with_shared_loops({
    .isa = "scalar",
    .f32 = f32_kernel<3>(),
    .bf16 = bf16_kernel<3>(),
    .q8 = q8_kernel<3>(),
    .quant = quant_kernels<1>(),
});

}  // namespace pagoda::cpu
