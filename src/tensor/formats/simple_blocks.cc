// Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0: blocks of 32 with one scale.
#include <algorithm>
#include <cmath>

#include "tensor/dtype.h"
#include "tensor/formats/blocks.h"
#include "tensor/formats/codecs.h"

namespace pagoda {
namespace {

constexpr int64_t kElements = 32;

void unpack_low(const uint8_t low[16], uint8_t* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = low[j] & 0x0fU;
    out[j + 16] = static_cast<uint8_t>(low[j] >> 4);
  }
}

void add_high(const uint8_t high[4], uint8_t* out) {
  for (int j = 0; j < 32; ++j) {
    out[j] = static_cast<uint8_t>(out[j] | ((high[j / 8] >> (j % 8) & 1U) << 4));
  }
}

void pack_low(const uint8_t* quants, uint8_t low[16]) {
  for (int j = 0; j < 16; ++j) {
    low[j] = static_cast<uint8_t>((quants[j] & 0x0fU) | (quants[j + 16] << 4));
  }
}

void pack_high(const uint8_t* quants, uint8_t high[4]) {
  for (int j = 0; j < 32; ++j) {
    high[j / 8] = static_cast<uint8_t>(high[j / 8] | (quants[j] >> 4 & 1U) << (j % 8));
  }
}

// d * (q - zero)
template <typename Block, int kZero>
void decode_symmetric(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(Block)) {
    const auto block = load_block<Block>(blocks);
    uint8_t quants[kElements];
    unpack_quants(block, quants);
    const float scale = f16_to_float(block.scale);
    for (int64_t j = 0; j < kElements; ++j) {
      out[i + j] = scale * static_cast<float>(quants[j] - kZero);
    }
  }
}

// d * q + m
template <typename Block>
void decode_affine(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(Block)) {
    const auto block = load_block<Block>(blocks);
    uint8_t quants[kElements];
    unpack_quants(block, quants);
    const float scale = f16_to_float(block.scale);
    const float min = f16_to_float(block.min);
    for (int64_t j = 0; j < kElements; ++j) {
      out[i + j] = scale * static_cast<float>(quants[j]) + min;
    }
  }
}

// A whole number within [0, limit]; what is no number becomes 0.
uint8_t cut(float value, float limit) {
  return value >= 0.0F ? static_cast<uint8_t>(std::fmin(value, limit)) : uint8_t{0};
}

// The element farthest from zero, sign and all, becomes the quant 0: so one more step is used than
// a scale taken from the magnitude would give.
template <int kZero>
uint16_t quantize_symmetric(const float* in, uint8_t* quants) {
  float extreme = in[0];
  for (int64_t j = 1; j < kElements; ++j) {
    if (std::fabs(in[j]) > std::fabs(extreme)) extreme = in[j];
  }
  const float scale = extreme / static_cast<float>(-kZero);
  const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
  for (int64_t j = 0; j < kElements; ++j) {
    quants[j] = cut(in[j] * inverse + (static_cast<float>(kZero) + 0.5F),
                    static_cast<float>(2 * kZero - 1));
  }
  return float_to_f16(scale);
}

template <int kMax>
void quantize_affine(const float* in, uint8_t* quants, uint16_t* scale_bits, uint16_t* min_bits) {
  float min = in[0];
  float max = in[0];
  for (int64_t j = 1; j < kElements; ++j) {
    if (in[j] < min) min = in[j];
    if (in[j] > max) max = in[j];
  }
  const float scale = (max - min) / static_cast<float>(kMax);
  const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
  for (int64_t j = 0; j < kElements; ++j) {
    quants[j] = cut((in[j] - min) * inverse + 0.5F, static_cast<float>(kMax));
  }
  *scale_bits = float_to_f16(scale);
  *min_bits = float_to_f16(min);
}

}  // namespace

void unpack_quants(const BlockQ4_0& block, uint8_t* out) {
  unpack_low(block.low, out);
}
void unpack_quants(const BlockQ4_1& block, uint8_t* out) {
  unpack_low(block.low, out);
}
void unpack_quants(const BlockQ5_0& block, uint8_t* out) {
  unpack_low(block.low, out);
  add_high(block.high, out);
}
void unpack_quants(const BlockQ5_1& block, uint8_t* out) {
  unpack_low(block.low, out);
  add_high(block.high, out);
}

void decode_q4_0(const std::byte* blocks, float* out, int64_t num_elements) {
  decode_symmetric<BlockQ4_0, 8>(blocks, out, num_elements);
}
void decode_q4_1(const std::byte* blocks, float* out, int64_t num_elements) {
  decode_affine<BlockQ4_1>(blocks, out, num_elements);
}
void decode_q5_0(const std::byte* blocks, float* out, int64_t num_elements) {
  decode_symmetric<BlockQ5_0, 16>(blocks, out, num_elements);
}
void decode_q5_1(const std::byte* blocks, float* out, int64_t num_elements) {
  decode_affine<BlockQ5_1>(blocks, out, num_elements);
}

void decode_q8_0(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ8_0)) {
    const auto block = load_block<BlockQ8_0>(blocks);
    const float scale = f16_to_float(block.scale);
    for (int64_t j = 0; j < kElements; ++j) {
      out[i + j] = scale * static_cast<float>(block.quants[j]);
    }
  }
}

void encode_q4_0(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ4_0)) {
    uint8_t quants[kElements];
    BlockQ4_0 block = {.scale = quantize_symmetric<8>(in + i, quants), .low = {}};
    pack_low(quants, block.low);
    std::memcpy(blocks, &block, sizeof(block));
  }
}

void encode_q4_1(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ4_1)) {
    uint8_t quants[kElements];
    BlockQ4_1 block = {};
    quantize_affine<15>(in + i, quants, &block.scale, &block.min);
    pack_low(quants, block.low);
    std::memcpy(blocks, &block, sizeof(block));
  }
}

void encode_q5_0(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ5_0)) {
    uint8_t quants[kElements];
    BlockQ5_0 block = {.scale = quantize_symmetric<16>(in + i, quants), .high = {}, .low = {}};
    pack_low(quants, block.low);
    pack_high(quants, block.high);
    std::memcpy(blocks, &block, sizeof(block));
  }
}

void encode_q5_1(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ5_1)) {
    uint8_t quants[kElements];
    BlockQ5_1 block = {};
    quantize_affine<31>(in + i, quants, &block.scale, &block.min);
    pack_low(quants, block.low);
    pack_high(quants, block.high);
    std::memcpy(blocks, &block, sizeof(block));
  }
}

// The quantiser divides by the unrounded scale and rounds halves away from zero, as GGUF writers
// do, so that a file made elsewhere from the same floats holds the same bytes.
void encode_q8_0(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ8_0)) {
    float max_abs = 0.0F;
    for (int64_t j = 0; j < kElements; ++j) max_abs = std::fmax(max_abs, std::fabs(in[i + j]));
    const float scale = max_abs / 127.0F;
    const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
    BlockQ8_0 block = {.scale = float_to_f16(scale), .quants = {}};
    for (int64_t j = 0; j < kElements; ++j) {
      const float scaled = in[i + j] * inverse;
      // A NaN or an infinity in the source must not become an undefined conversion.
      const float limited = std::min(std::max(scaled == scaled ? scaled : 0.0F, -127.0F), 127.0F);
      // Adding the largest float below a half and cutting off rounds halves away from zero.
      block.quants[j] = static_cast<int8_t>(limited + std::copysign(0.49999997F, limited));
    }
    std::memcpy(blocks, &block, sizeof(block));
  }
}

}  // namespace pagoda
