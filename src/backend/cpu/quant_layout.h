// How quantized weights lie in panels: bit planes of the file's own quants, and the file's scales.
#pragma once

#include <cstdint>

namespace pagoda::cpu {

// The scales of a group of 32 k, for each of the panel's 32 rows. "16": of each 16 k.
enum class QuantScales : uint8_t {
  kF16,         // d                              value = d * (q - zero)
  kF16AndMin,   // d, m                           value = d * q + m
  kBf16,        // d                              value = d * e2m1[q], elements doubled
  kWithMins,    // unit: d, dmin; group: sc, m    value = d * sc * q - dmin * m
  kWithMins16,  // the same, 4 bits each
  kSigned16,    // unit: d; group: sc             value = d * sc * (q - zero)
};

// A panel is a stream of units. A unit is a header and one group, or 8 where scales come in two
// levels. All numbers of rows are in order of rows; halves are rows 0..15 and 16..31.
//
//   header  f16 d[32], then dmin[32] with mins
//   group   planes of the quants' bits, then scales
//   nibbles [2 halves][4][16 rows][4 k]: vector v has k 4 v .. 4 v + 3 in the lower four bits of
//           its bytes and k 16 + 4 v .. in the upper four
//   pairs   [2 halves][2][16 rows][4 k]: vector v has k 16 v + 4 i .. in bits 2 i of its bytes
//   bits    [2 halves][16 rows][4 k]: k 4 i .. in bit i
//   scales  f16 d[32] (or bf16), m[32]; or u8 sc[32], m[32]; or [2 of 16 k][32] u8 sc | m << 4; or
//           [2 of 16 k][32] i8 sc
//
// So every format takes the memory of its file, up to 6 % more: bits a weight are q4_0 4.5, q4_1 5,
// q5_0 5.5, q5_1 6, mxfp4 4.5, q2_k 2.625, q3_k 3.5625, q4_k 4.625, q5_k 5.625, q6_k 6.5625.
struct QuantLayout {
  bool nibbles;  // bits 0..3
  bool pairs;    // the two bits above those, or bits 0 and 1
  bool bits;     // the bit above all those
  QuantScales scales;
  int32_t zero;

  constexpr bool two_levels() const {
    return scales == QuantScales::kWithMins || scales == QuantScales::kWithMins16 ||
           scales == QuantScales::kSigned16;
  }
  constexpr bool has_mins() const {
    return scales == QuantScales::kF16AndMin || scales == QuantScales::kWithMins ||
           scales == QuantScales::kWithMins16;
  }
  // Scales for each 16 k.
  constexpr bool split() const {
    return scales == QuantScales::kWithMins16 || scales == QuantScales::kSigned16;
  }
  constexpr int32_t groups() const { return two_levels() ? 8 : 1; }
  constexpr int32_t header_bytes() const { return two_levels() ? (has_mins() ? 128 : 64) : 0; }
  // Where planes begin in a group, and the scales behind them.
  constexpr int32_t pairs_at() const { return nibbles ? 512 : 0; }
  constexpr int32_t bits_at() const { return pairs_at() + (pairs ? 256 : 0); }
  constexpr int32_t scales_at() const { return bits_at() + (bits ? 128 : 0); }
  constexpr int32_t group_bytes() const {
    return scales_at() + (scales == QuantScales::kF16AndMin ? 128 : 64);
  }
  constexpr int32_t unit_elements() const { return 32 * groups(); }
  constexpr int32_t unit_bytes() const { return header_bytes() + groups() * group_bytes(); }
};

// Not `inline`, so that no kernel file exports them.
constexpr QuantLayout kQ4_0Layout = {true, false, false, QuantScales::kF16, 8};
constexpr QuantLayout kQ4_1Layout = {true, false, false, QuantScales::kF16AndMin, 0};
constexpr QuantLayout kQ5_0Layout = {true, false, true, QuantScales::kF16, 16};
constexpr QuantLayout kQ5_1Layout = {true, false, true, QuantScales::kF16AndMin, 0};
constexpr QuantLayout kQ2_KLayout = {false, true, false, QuantScales::kWithMins16, 0};
constexpr QuantLayout kQ3_KLayout = {false, true, true, QuantScales::kSigned16, 4};
constexpr QuantLayout kQ4_KLayout = {true, false, false, QuantScales::kWithMins, 0};
constexpr QuantLayout kQ5_KLayout = {true, false, true, QuantScales::kWithMins, 0};
constexpr QuantLayout kQ6_KLayout = {true, true, false, QuantScales::kSigned16, 32};
// Kernels look up twice the element plus 12, so that what they multiply is not negative.
constexpr QuantLayout kMxfp4Layout = {true, false, false, QuantScales::kBf16, 12};

}  // namespace pagoda::cpu
