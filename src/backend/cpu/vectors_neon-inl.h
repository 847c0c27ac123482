// Vectors of NEON: 16 lanes as four registers. Included inside the anonymous namespace of the
// kernel files for 64-bit ARM, after <arm_neon.h>.
#pragma once

// Registers are named rather than numbered, so that the compiler never keeps them in memory.
template <typename Register>
struct Four {
  Register a;
  Register b;
  Register c;
  Register d;
};
using Vec = Four<float32x4_t>;
using IntVec = Four<int32x4_t>;
// 16 rows of 4 k, a byte each.
using ByteVec = Four<uint8x16_t>;

// 32 registers hold 8 Vec; half of them go to operands.
constexpr int kAccumulators = 4;

template <typename R, typename Function>
inline auto map(const Four<R>& x, const Function& f) -> Four<decltype(f(x.a))> {
  return {f(x.a), f(x.b), f(x.c), f(x.d)};
}
template <typename R, typename S, typename Function>
inline auto map(const Four<R>& x, const Four<S>& y, const Function& f)
    -> Four<decltype(f(x.a, y.a))> {
  return {f(x.a, y.a), f(x.b, y.b), f(x.c, y.c), f(x.d, y.d)};
}

inline Vec v_set1(float value) {
  const float32x4_t all = vdupq_n_f32(value);
  return {all, all, all, all};
}
inline Vec v_zero() {
  return v_set1(0.0F);
}
inline Vec v_load(const float* from) {
  return {vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)};
}
inline void v_store(float* to, const Vec& value) {
  vst1q_f32(to, value.a);
  vst1q_f32(to + 4, value.b);
  vst1q_f32(to + 8, value.c);
  vst1q_f32(to + 12, value.d);
}
inline Vec v_load_n(const float* from, int n) {
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i] = from[i];
  return v_load(lanes);
}
inline void v_store_n(float* to, const Vec& value, int n) {
  float lanes[kLanes];
  v_store(lanes, value);
  for (int i = 0; i < n; ++i) to[i] = lanes[i];
}

inline float32x4_t widen_bf16(uint16x4_t bits) {
  return vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
}
inline Vec v_load_bf16(const uint16_t* from) {
  const uint16x8_t low = vld1q_u16(from);
  const uint16x8_t high = vld1q_u16(from + 8);
  return {widen_bf16(vget_low_u16(low)), widen_bf16(vget_high_u16(low)),
          widen_bf16(vget_low_u16(high)), widen_bf16(vget_high_u16(high))};
}
inline Vec v_load_bf16_n(const uint16_t* from, int n) {
  uint16_t bits[kLanes] = {};
  for (int i = 0; i < n; ++i) bits[i] = from[i];
  return v_load_bf16(bits);
}
inline Vec v_from_words(int16x8_t low, int16x8_t high) {
  return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
          vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
}
inline Vec v_load_int8(const int8_t* from) {
  const int8x16_t bytes = vld1q_s8(from);
  return v_from_words(vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
}
inline Vec v_load_int8_n(const int8_t* from, int n) {
  int8_t bytes[kLanes] = {};
  for (int i = 0; i < n; ++i) bytes[i] = from[i];
  return v_load_int8(bytes);
}
// (byte >> kShift) & kMask of 16 rows.
template <int kMask, int kShift>
inline Vec v_load_uint8(const std::byte* from) {
  uint8x16_t bytes = vld1q_u8(reinterpret_cast<const uint8_t*>(from));
  if constexpr (kShift > 0) bytes = vshrq_n_u8(bytes, kShift);
  bytes = vandq_u8(bytes, vdupq_n_u8(kMask));
  return v_from_words(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))),
                      vreinterpretq_s16_u16(vmovl_high_u8(bytes)));
}
inline float32x4_t widen_f16(uint16x4_t bits) {
  return vcvt_f32_f16(vreinterpret_f16_u16(bits));
}
inline Vec v_load_f16(const void* from) {
  const auto* halves = static_cast<const uint16_t*>(from);
  const uint16x8_t low = vld1q_u16(halves);
  const uint16x8_t high = vld1q_u16(halves + 8);
  return {widen_f16(vget_low_u16(low)), widen_f16(vget_high_u16(low)),
          widen_f16(vget_low_u16(high)), widen_f16(vget_high_u16(high))};
}

inline Vec v_add(const Vec& x, const Vec& y) {
  return map(x, y, [](float32x4_t a, float32x4_t b) { return vaddq_f32(a, b); });
}
inline Vec v_sub(const Vec& x, const Vec& y) {
  return map(x, y, [](float32x4_t a, float32x4_t b) { return vsubq_f32(a, b); });
}
inline Vec v_mul(const Vec& x, const Vec& y) {
  return map(x, y, [](float32x4_t a, float32x4_t b) { return vmulq_f32(a, b); });
}
inline Vec v_div(const Vec& x, const Vec& y) {
  return map(x, y, [](float32x4_t a, float32x4_t b) { return vdivq_f32(a, b); });
}
// Like x86's instructions, these give the second operand when one is a NaN; ARM's would give the
// NaN.
inline Vec v_max(const Vec& x, const Vec& y) {
  return map(x, y, [](float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); });
}
inline Vec v_min(const Vec& x, const Vec& y) {
  return map(x, y, [](float32x4_t a, float32x4_t b) { return vbslq_f32(vcltq_f32(a, b), a, b); });
}
inline Vec v_fma(const Vec& x, const Vec& y, const Vec& z) {
  return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c),
          vfmaq_f32(z.d, x.d, y.d)};
}
inline Vec v_abs(const Vec& x) {
  return map(x, [](float32x4_t a) { return vabsq_f32(a); });
}
inline Vec v_round(const Vec& x) {
  return map(x, [](float32x4_t a) { return vrndnq_f32(a); });
}
inline Vec v_round_away(const Vec& x) {
  return map(x, [](float32x4_t a) { return vrndaq_f32(a); });
}
// value * 2^n for whole n in [-126, 128]; value in [0.5, 2). Two factors, as 2^128 is no float.
inline float32x4_t pow2(int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
inline Vec v_scale_by_pow2(const Vec& value, const Vec& n) {
  return map(value, n, [](float32x4_t a, float32x4_t b) {
    const int32x4_t whole = vcvtq_s32_f32(b);
    const int32x4_t half = vshrq_n_s32(whole, 1);
    return vmulq_f32(vmulq_f32(a, pow2(half)), pow2(vsubq_s32(whole, half)));
  });
}
inline float32x4_t clear_where(float32x4_t value, uint32x4_t mask) {
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(value), mask));
}
inline Vec v_zero_below(const Vec& value, const Vec& x, const Vec& limit) {
  return {
      clear_where(value.a, vcltq_f32(x.a, limit.a)), clear_where(value.b, vcltq_f32(x.b, limit.b)),
      clear_where(value.c, vcltq_f32(x.c, limit.c)), clear_where(value.d, vcltq_f32(x.d, limit.d))};
}
// Of the numbers among them, as far as there are any.
inline float v_reduce_max(const Vec& value) {
  return vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(value.a, value.b), vmaxnmq_f32(value.c, value.d)));
}
// Whole numbers to bytes; what does not fit saturates, and a NaN becomes the lowest, as on x86.
inline void v_store_quants(int8_t* to, const Vec& value) {
  const IntVec whole = map(
      value, [](float32x4_t a) { return vcvtnq_s32_f32(vmaxnmq_f32(a, vdupq_n_f32(-128.0F))); });
  const int16x8_t low = vqmovn_high_s32(vqmovn_s32(whole.a), whole.b);
  const int16x8_t high = vqmovn_high_s32(vqmovn_s32(whole.c), whole.d);
  vst1q_s8(to, vqmovn_high_s16(vqmovn_s16(low), high));
}
inline int32_t v_sum_quants(const int8_t* from) {
  return vaddlvq_s8(vld1q_s8(from));
}
// To nearest even; a NaN keeps its upper bits and becomes quiet.
inline uint32x4_t round_bf16(float32x4_t value) {
  const uint32x4_t bits = vreinterpretq_u32_f32(value);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x00400000));
  return vbslq_u32(vceqq_f32(value, value), rounded, quiet);
}
inline void v_store_bf16(uint16_t* to, const Vec& value) {
  const Four<uint32x4_t> bits = map(value, [](float32x4_t a) { return round_bf16(a); });
  vst1q_u16(to, vshrn_high_n_u32(vshrn_n_u32(bits.a, 16), bits.b, 16));
  vst1q_u16(to + 8, vshrn_high_n_u32(vshrn_n_u32(bits.c, 16), bits.d, 16));
}
inline ByteVec v_load_bytes(const std::byte* from) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(from);
  return {vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)};
}
// 16 pairs of bf16: the even ones are the lower halves of 32-bit words.
inline void v_load_bf16_pairs(const std::byte* from, Vec* even, Vec* odd) {
  const Four<uint32x4_t> words =
      map(v_load_bytes(from), [](uint8x16_t a) { return vreinterpretq_u32_u8(a); });
  *even = map(words, [](uint32x4_t a) { return vreinterpretq_f32_u32(vshlq_n_u32(a, 16)); });
  *odd = map(words, [](uint32x4_t a) {
    return vreinterpretq_f32_u32(vandq_u32(a, vdupq_n_u32(0xffff0000U)));
  });
}

inline IntVec v_set1_int(int32_t value) {
  const int32x4_t all = vdupq_n_s32(value);
  return {all, all, all, all};
}
inline Vec v_from_int(const IntVec& x) {
  return map(x, [](int32x4_t a) { return vcvtq_f32_s32(a); });
}
template <int kMask>
inline ByteVec v_and_bytes(const ByteVec& x) {
  return map(x, [](uint8x16_t a) { return vandq_u8(a, vdupq_n_u8(kMask)); });
}
// x | (y & kMask)
template <int kMask>
inline ByteVec v_or_masked(const ByteVec& x, const ByteVec& y) {
  return map(x, v_and_bytes<kMask>(y), [](uint8x16_t a, uint8x16_t b) { return vorrq_u8(a, b); });
}
// To the left, or to the right by -kBits; bits that leave a byte are gone.
template <int kBits>
inline ByteVec v_shift_bits(const ByteVec& x) {
  if constexpr (kBits > 0) {
    return map(x, [](uint8x16_t a) { return vshlq_n_u8(a, kBits); });
  } else if constexpr (kBits < 0) {
    return map(x, [](uint8x16_t a) { return vshrq_n_u8(a, -kBits); });
  } else {
    return x;
  }
}
inline ByteVec v_lookup_e2m1(const ByteVec& codes) {
  constexpr uint8_t kTable[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
  const uint8x16_t table = vld1q_u8(kTable);
  return map(codes, [&](uint8x16_t a) { return vqtbl1q_u8(table, a); });
}
// The same four bytes for each row.
inline int8x16_t v_set1_four(int32_t x) {
  return vreinterpretq_s8_s32(vdupq_n_s32(x));
}
