// The format table and the scalar conversions of bf16, f16 and q8_0.
#include "tensor/dtype.h"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"

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

// Q8_0 of the GGUF specification: an f16 scale d, then 32 signed bytes q; the value is d * q.
struct Q8Block {
  uint16_t scale;
  int8_t quants[32];
};
static_assert(sizeof(Q8Block) == 34);
constexpr int64_t kQ8Elements = 32;

void decode_q8_0(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kQ8Elements) {
    const auto block = load<Q8Block>(blocks + i / kQ8Elements * 34);
    const float scale = f16_to_float(block.scale);
    for (int64_t j = 0; j < kQ8Elements; ++j) {
      out[i + j] = scale * static_cast<float>(block.quants[j]);
    }
  }
}

// The quantiser divides by the unrounded scale and rounds halves away from zero, as GGUF writers
// do, so that a file made elsewhere from the same floats holds the same bytes.
void encode_q8_0(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kQ8Elements) {
    float max_abs = 0.0F;
    for (int64_t j = 0; j < kQ8Elements; ++j) max_abs = std::fmax(max_abs, std::fabs(in[i + j]));
    const float scale = max_abs / 127.0F;
    const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
    Q8Block block = {.scale = float_to_f16(scale), .quants = {}};
    for (int64_t j = 0; j < kQ8Elements; ++j) {
      const float scaled = std::round(in[i + j] * inverse);
      // A NaN or an infinity in the source must not become an undefined conversion.
      const float limited = scaled >= -127.0F ? std::fmin(scaled, 127.0F) : -127.0F;
      block.quants[j] = static_cast<int8_t>(std::isnan(scaled) ? 0.0F : limited);
    }
    store(blocks + i / kQ8Elements * 34, block);
  }
}

constexpr std::array<FormatTraits, 6> kFormats = {{
    {DType::kF32, "f32", "F32", 1, 4, decode_f32, encode_f32},
    {DType::kBF16, "bf16", "BF16", 1, 2, decode_16<bf16_to_float>, encode_16<float_to_bf16>},
    {DType::kF16, "f16", "F16", 1, 2, decode_16<f16_to_float>, encode_16<float_to_f16>},
    {DType::kQ8_0, "q8_0", "", 32, 34, decode_q8_0, encode_q8_0},
    {DType::kI32, "i32", "I32", 1, 4, nullptr, nullptr},
    {DType::kI8, "int8", "I8", 1, 1, nullptr, nullptr},
}};

}  // namespace

const FormatTraits& format_traits(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  CHECK(index < kFormats.size() && kFormats[index].dtype == dtype);
  return kFormats[index];
}

Result<DType> parse_dtype(std::string_view name) {
  for (const FormatTraits& format : kFormats) {
    if (name == format.name) return format.dtype;
  }
  if (name == "float32") return DType::kF32;
  if (name == "bfloat16") return DType::kBF16;
  if (name == "float16" || name == "half") return DType::kF16;
  return invalid_argument(fmt::format(
      "dtype \"{}\" is not one of f32, float32, bf16, bfloat16, f16, float16, q8_0, i32, int8",
      name.substr(0, 40)));
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
