// The format table and the scalar conversions of bf16 and f16.
#include "tensor/dtype.h"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "base/check.h"
#include "tensor/formats/codecs.h"

namespace pagoda {
namespace {

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

void decode_f32(const std::byte* blocks, float* out, int64_t num_elements) {
  std::memcpy(out, blocks, static_cast<size_t>(num_elements) * sizeof(float));
}

void encode_f32(const float* in, std::byte* blocks, int64_t num_elements) {
  std::memcpy(blocks, in, static_cast<size_t>(num_elements) * sizeof(float));
}

template <float (*kToFloat)(uint16_t)>
void decode_16(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; ++i) out[i] = kToFloat(load<uint16_t>(blocks + 2 * i));
}

template <uint16_t (*kFromFloat)(float)>
void encode_16(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; ++i) store(blocks + 2 * i, kFromFloat(in[i]));
}

constexpr std::array<FormatTraits, 17> kFormats = {{
    {DType::kF32, "f32", "F32", 0, 1, 4, decode_f32, encode_f32},
    {DType::kBF16, "bf16", "BF16", 30, 1, 2, decode_16<bf16_to_float>, encode_16<float_to_bf16>},
    {DType::kF16, "f16", "F16", 1, 1, 2, decode_16<f16_to_float>, encode_16<float_to_f16>},
    {DType::kQ8_0, "q8_0", "", 8, 32, 34, decode_q8_0, encode_q8_0},
    {DType::kI32, "i32", "I32", 26, 1, 4, nullptr, nullptr},
    {DType::kI8, "int8", "I8", 24, 1, 1, nullptr, nullptr},
    {DType::kQ4_0, "q4_0", "", 2, 32, 18, decode_q4_0, encode_q4_0},
    {DType::kQ4_1, "q4_1", "", 3, 32, 20, decode_q4_1, encode_q4_1},
    {DType::kQ5_0, "q5_0", "", 6, 32, 22, decode_q5_0, encode_q5_0},
    {DType::kQ5_1, "q5_1", "", 7, 32, 24, decode_q5_1, encode_q5_1},
    {DType::kQ2_K, "q2_k", "", 10, 256, 84, decode_q2_k, nullptr},
    {DType::kQ3_K, "q3_k", "", 11, 256, 110, decode_q3_k, nullptr},
    {DType::kQ4_K, "q4_k", "", 12, 256, 144, decode_q4_k, encode_q4_k},
    {DType::kQ5_K, "q5_k", "", 13, 256, 176, decode_q5_k, nullptr},
    {DType::kQ6_K, "q6_k", "", 14, 256, 210, decode_q6_k, encode_q6_k},
    {DType::kMXFP4, "mxfp4", "", 39, 32, 17, decode_mxfp4, encode_mxfp4},
    {DType::kF8E4M3, "f8_e4m3", "F8_E4M3", -1, 1, 1, decode_f8_e4m3, nullptr},
}};

}  // namespace

const FormatTraits& format_traits(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  CHECK(index < kFormats.size() && kFormats[index].dtype == dtype);
  return kFormats[index];
}

std::span<const FormatTraits> all_formats() {
  return kFormats;
}

Result<DType> parse_dtype(std::string_view name) {
  for (const FormatTraits& format : kFormats) {
    if (name == format.name) return format.dtype;
  }
  if (name == "float32") return DType::kF32;
  if (name == "bfloat16") return DType::kBF16;
  if (name == "float16" || name == "half") return DType::kF16;
  std::string known = "float32, bfloat16, float16";
  for (const FormatTraits& format : kFormats) known += fmt::format(", {}", format.name);
  return invalid_argument(fmt::format("dtype \"{}\" is not one of {}", name.substr(0, 40), known));
}

int64_t dtype_bytes(DType dtype, int64_t num_elements) {
  const FormatTraits& format = format_traits(dtype);
  CHECK(num_elements >= 0 && num_elements % format.block_elements == 0);
  return num_elements / format.block_elements * format.block_bytes;
}

uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16) | 0x0040U);
  // Adding half an ulp, less one when the kept part is even, rounds to nearest even.
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t float_to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<uint16_t>(sign | 0x7e00U);
  // 65520 and above round to infinity.
  if (magnitude >= 0x477ff000U) return static_cast<uint16_t>(sign | 0x7c00U);
  if (magnitude < 0x38800000U) {
    // Below 2^-14 the result is a multiple of 2^-24: let the float adder round it there. 0.5 has
    // an ulp of 2^-24.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(aligned) - 0x3f000000U));
  }
  const uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

float f16_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fU;
  const uint32_t mantissa = bits & 0x3ffU;
  if (exponent == 0x1fU) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  if (exponent == 0) {
    // Subnormal: mantissa * 2^-24, exact in float.
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13));
}

}  // namespace pagoda
