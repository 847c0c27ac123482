// Q2_K, Q3_K, Q4_K, Q5_K and Q6_K: blocks of 256 whose groups have scales of their own. Decoding.
#include "tensor/dtype.h"
#include "tensor/formats/blocks.h"
#include "tensor/formats/codecs.h"

namespace pagoda {
namespace {

constexpr int64_t kElements = 256;

// Two bits an element: byte 32 h + j holds elements 128 h + 32 i + j in bits 2 i.
void unpack_pairs(const uint8_t quants[64], uint8_t* out) {
  for (int h = 0; h < 2; ++h) {
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 32; ++j) {
        out[128 * h + 32 * i + j] = quants[32 * h + j] >> (2 * i) & 3U;
      }
    }
  }
}

void unpack_low(const uint8_t low[128], uint8_t* out) {
  for (int h = 0; h < 4; ++h) {
    for (int j = 0; j < 32; ++j) {
      out[64 * h + j] = low[32 * h + j] & 0x0fU;
      out[64 * h + 32 + j] = static_cast<uint8_t>(low[32 * h + j] >> 4);
    }
  }
}

// d * sc * q - dmin * m over groups of kElements / kGroups.
template <typename Block, int kGroups>
void decode_block(const Block& block, const uint8_t* scales, const uint8_t* mins, float* out) {
  constexpr int kGroup = static_cast<int>(kElements) / kGroups;
  uint8_t quants[kElements];
  unpack_quants(block, quants);
  const float d = f16_to_float(block.scale);
  const float dmin = f16_to_float(block.min);
  for (int g = 0; g < kGroups; ++g) {
    const float scale = d * static_cast<float>(scales[g]);
    const float min = dmin * static_cast<float>(mins[g]);
    for (int j = g * kGroup; j < (g + 1) * kGroup; ++j) {
      out[j] = scale * static_cast<float>(quants[j]) - min;
    }
  }
}

template <typename Block>
void decode_with_mins(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(Block)) {
    const auto block = load_block<Block>(blocks);
    uint8_t scales[8];
    uint8_t mins[8];
    unpack_scales(block.scales, scales, mins);
    decode_block<Block, 8>(block, scales, mins, out + i);
  }
}

// d * sc * (q - zero) over groups of 16.
template <int kZero, typename Block>
void decode_symmetric(const Block& block, const int8_t* scales, float* out) {
  uint8_t quants[kElements];
  unpack_quants(block, quants);
  const float d = f16_to_float(block.scale);
  for (int g = 0; g < 16; ++g) {
    const float scale = d * static_cast<float>(scales[g]);
    for (int j = 16 * g; j < 16 * g + 16; ++j) {
      out[j] = scale * static_cast<float>(quants[j] - kZero);
    }
  }
}

}  // namespace

void unpack_scales(const uint8_t packed[12], uint8_t scales[8], uint8_t mins[8]) {
  for (int i = 0; i < 4; ++i) {
    scales[i] = packed[i] & 0x3fU;
    mins[i] = packed[i + 4] & 0x3fU;
    scales[i + 4] = static_cast<uint8_t>((packed[i + 8] & 0x0fU) | ((packed[i] >> 6 & 3U) << 4));
    mins[i + 4] = static_cast<uint8_t>((packed[i + 8] >> 4) | ((packed[i + 4] >> 6 & 3U) << 4));
  }
}

void pack_scales(const uint8_t scales[8], const uint8_t mins[8], uint8_t packed[12]) {
  for (int i = 0; i < 4; ++i) {
    packed[i] = static_cast<uint8_t>(scales[i] | (scales[i + 4] >> 4) << 6);
    packed[i + 4] = static_cast<uint8_t>(mins[i] | (mins[i + 4] >> 4) << 6);
    packed[i + 8] = static_cast<uint8_t>((scales[i + 4] & 0x0fU) | (mins[i + 4] & 0x0fU) << 4);
  }
}

void unpack_scales(const uint8_t packed[12], int8_t scales[16]) {
  for (int i = 0; i < 16; ++i) {
    const uint32_t low = packed[i % 8] >> (i / 8 * 4) & 0x0fU;
    const uint32_t high = packed[8 + i % 4] >> (i / 4 * 2) & 3U;
    scales[i] = static_cast<int8_t>(static_cast<int>(low | high << 4) - 32);
  }
}

void unpack_quants(const BlockQ2_K& block, uint8_t* out) {
  unpack_pairs(block.quants, out);
}

void unpack_quants(const BlockQ3_K& block, uint8_t* out) {
  unpack_pairs(block.quants, out);
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 32; ++j) {
      const uint32_t bit = block.high[j] >> i & 1U;
      out[32 * i + j] = static_cast<uint8_t>(out[32 * i + j] | bit << 2);
    }
  }
}

void unpack_quants(const BlockQ4_K& block, uint8_t* out) {
  unpack_low(block.low, out);
}

void unpack_quants(const BlockQ5_K& block, uint8_t* out) {
  unpack_low(block.low, out);
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 32; ++j) {
      const uint32_t bit = block.high[j] >> i & 1U;
      out[32 * i + j] = static_cast<uint8_t>(out[32 * i + j] | bit << 4);
    }
  }
}

void unpack_quants(const BlockQ6_K& block, uint8_t* out) {
  for (int h = 0; h < 2; ++h) {
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 32; ++j) {
        const uint32_t low = block.low[64 * h + 32 * (i % 2) + j] >> (i / 2 * 4) & 0x0fU;
        const uint32_t high = block.high[32 * h + j] >> (2 * i) & 3U;
        out[128 * h + 32 * i + j] = static_cast<uint8_t>(low | high << 4);
      }
    }
  }
}

void decode_q2_k(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ2_K)) {
    const auto block = load_block<BlockQ2_K>(blocks);
    uint8_t scales[16];
    uint8_t mins[16];
    for (int g = 0; g < 16; ++g) {
      scales[g] = block.scales[g] & 0x0fU;
      mins[g] = static_cast<uint8_t>(block.scales[g] >> 4);
    }
    decode_block<BlockQ2_K, 16>(block, scales, mins, out + i);
  }
}

void decode_q3_k(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ3_K)) {
    const auto block = load_block<BlockQ3_K>(blocks);
    int8_t scales[16];
    unpack_scales(block.scales, scales);
    decode_symmetric<4>(block, scales, out + i);
  }
}

void decode_q4_k(const std::byte* blocks, float* out, int64_t num_elements) {
  decode_with_mins<BlockQ4_K>(blocks, out, num_elements);
}

void decode_q5_k(const std::byte* blocks, float* out, int64_t num_elements) {
  decode_with_mins<BlockQ5_K>(blocks, out, num_elements);
}

void decode_q6_k(const std::byte* blocks, float* out, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ6_K)) {
    const auto block = load_block<BlockQ6_K>(blocks);
    decode_symmetric<32>(block, block.scales, out + i);
  }
}

}  // namespace pagoda
