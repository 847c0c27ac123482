// MXFP4 (OCP Microscaling Formats 1.0) and FP8 E4M3 (OCP 8-bit Floating Point 1.0).
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "tensor/dtype.h"
#include "tensor/formats/blocks.h"
#include "tensor/formats/codecs.h"

namespace pagoda {
namespace {

constexpr int64_t kElements = 32;

// Sign, 4 bits of exponent with bias 7, 3 of mantissa; no infinities, and all ones are a NaN.
float e4m3_to_float(uint32_t bits) {
  const uint32_t exponent = bits >> 3 & 0x0fU;
  const uint32_t mantissa = bits & 7U;
  float magnitude = static_cast<float>(mantissa) * 0x1p-9F;
  if ((bits & 0x7fU) == 0x7fU) {
    magnitude = std::numeric_limits<float>::quiet_NaN();
  } else if (exponent != 0) {
    magnitude = std::bit_cast<float>((exponent + 120U) << 23 | mantissa << 20);
  }
  return (bits & 0x80U) != 0 ? -magnitude : magnitude;
}

std::array<float, 256> make_e4m3_table() {
  std::array<float, 256> table = {};
  for (uint32_t i = 0; i < 256; ++i) table[i] = e4m3_to_float(i);
  return table;
}

// The exponent that puts the largest element into E2M1's own largest binade: floor(log2) - 2, by
// the specification's conversion (6.3).
uint8_t shared_exponent(const float* in) {
  float max_abs = 0.0F;
  for (int64_t j = 0; j < kElements; ++j) max_abs = std::fmax(max_abs, std::fabs(in[j]));
  if (!(max_abs > 0.0F)) return 0;
  const int exponent = std::isinf(max_abs) ? 128 : std::ilogb(max_abs);
  return static_cast<uint8_t>(std::fmin(std::fmax(exponent - 2 + 127, 0), 254));
}

}  // namespace

float mxfp4_scale(uint8_t exponent) {
  return std::bit_cast<float>(exponent < 2 ? 0x00200000U << exponent : (exponent - 1U) << 23);
}

void unpack_quants(const BlockMXFP4& block, uint8_t* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = block.low[j] & 0x0fU;
    out[j + 16] = static_cast<uint8_t>(block.low[j] >> 4);
  }
}

void decode_mxfp4(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockMXFP4)) {
    const auto block = load_block<BlockMXFP4>(blocks);
    uint8_t codes[kElements];
    unpack_quants(block, codes);
    const float scale = mxfp4_scale(block.exponent);
    for (int64_t j = 0; j < kElements; ++j) {
      out[i + j] = scale * static_cast<float>(kDoubledE2M1[codes[j]]);
    }
  }
}

void encode_mxfp4(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockMXFP4)) {
    BlockMXFP4 block = {.exponent = shared_exponent(in + i), .low = {}};
    const float scale = mxfp4_scale(block.exponent);
    for (int64_t j = 0; j < kElements; ++j) {
      // The first of the nearest, in the order of codes.
      uint32_t best = 0;
      float least = std::numeric_limits<float>::infinity();
      for (uint32_t code = 0; code < 16; ++code) {
        const float error = std::fabs(scale * static_cast<float>(kDoubledE2M1[code]) - in[i + j]);
        if (error < least) {
          least = error;
          best = code;
        }
      }
      block.low[j % 16] = static_cast<uint8_t>(block.low[j % 16] | best << (j / 16 * 4));
    }
    std::memcpy(blocks, &block, sizeof(block));
  }
}

void decode_f8_e4m3(const std::byte* blocks, float* out, int64_t num_elements) {
  static const std::array<float, 256> kTable = make_e4m3_table();
  for (int64_t i = 0; i < num_elements; ++i) out[i] = kTable[static_cast<uint8_t>(blocks[i])];
}

}  // namespace pagoda
