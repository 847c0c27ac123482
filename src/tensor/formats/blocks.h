// Blocks of the quantized formats as they lie in files, and their unsigned quants one byte each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pagoda {

// The layouts are those of GGUF files (ggml's documentation of its tensor types; the `gguf` package
// of PyPI, quants.py). All scales are IEEE binary16, little-endian. Blocks lie at any address, so
// they are copied out with load_block().
//
// Simple blocks hold 32 elements. "Low halves": byte j holds element j in its lower four bits and
// element j + 16 in its upper four. `high` holds bit 4 of element j as bit j.
struct BlockQ8_0 {  // d * q
  uint16_t scale;
  int8_t quants[32];
};
struct BlockQ4_0 {  // d * (q - 8)
  uint16_t scale;
  uint8_t low[16];
};
struct BlockQ4_1 {  // d * q + m
  uint16_t scale;
  uint16_t min;
  uint8_t low[16];
};
struct BlockQ5_0 {  // d * (q - 16)
  uint16_t scale;
  uint8_t high[4];
  uint8_t low[16];
};
struct BlockQ5_1 {  // d * q + m
  uint16_t scale;
  uint16_t min;
  uint8_t high[4];
  uint8_t low[16];
};

// K blocks hold 256 elements in 8 groups of 32 or 16 groups of 16, each with small whole numbers as
// scale and min that are multiplied by the block's own d and dmin.
struct BlockQ2_K {     // d * sc * q - dmin * m, groups of 16
  uint8_t scales[16];  // sc in the lower four bits, m in the upper four
  uint8_t quants[64];  // byte 32 h + j: elements 128 h + j + 32 i, i = 0..3, in bits 2 i
  uint16_t scale;
  uint16_t min;
};
struct BlockQ3_K {     // d * (sc - 32) * (q - 4), groups of 16
  uint8_t high[32];    // bit i of byte j: bit 2 of element 32 i + j
  uint8_t quants[64];  // bits 0 and 1, as in BlockQ2_K
  uint8_t scales[12];  // 6 bits each
  uint16_t scale;
};
struct BlockQ4_K {  // d * sc * q - dmin * m, groups of 32
  uint16_t scale;
  uint16_t min;
  uint8_t scales[12];  // 6 bits each of sc and m
  uint8_t low[128];    // byte 32 h + j: element 64 h + j below, element 64 h + 32 + j above
};
struct BlockQ5_K {  // as BlockQ4_K
  uint16_t scale;
  uint16_t min;
  uint8_t scales[12];
  uint8_t high[32];  // bit i of byte j: bit 4 of element 32 i + j
  uint8_t low[128];
};
struct BlockQ6_K {   // d * sc * (q - 32), groups of 16
  uint8_t low[128];  // byte 64 h + j: element 128 h + j below, element 128 h + 64 + j above
  uint8_t high[64];  // byte 32 h + j: bits 4 and 5 of element 128 h + 32 i + j in bits 2 i
  int8_t scales[16];
  uint16_t scale;
};

// OCP Microscaling Formats (MX) 1.0: 32 elements of E2M1 and an exponent, 2^(e - 127). GGUF doubles
// the elements to whole numbers and halves the scale.
struct BlockMXFP4 {
  uint8_t exponent;
  uint8_t low[16];  // low halves
};

static_assert(sizeof(BlockQ8_0) == 34);
static_assert(sizeof(BlockQ4_0) == 18);
static_assert(sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockQ2_K) == 84);
static_assert(sizeof(BlockQ3_K) == 110);
static_assert(sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176);
static_assert(sizeof(BlockQ6_K) == 210);
static_assert(sizeof(BlockMXFP4) == 17);

// Twice the value of each E2M1 code.
inline constexpr int8_t kDoubledE2M1[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                            0, -1, -2, -3, -4, -6, -8, -12};

template <typename Block>
Block load_block(const std::byte* from) {
  Block block;
  std::memcpy(&block, from, sizeof(block));
  return block;
}

// Quants of one block as unsigned numbers in the order of elements; MXFP4 gives its codes.
void unpack_quants(const BlockQ4_0& block, uint8_t* out);
void unpack_quants(const BlockQ4_1& block, uint8_t* out);
void unpack_quants(const BlockQ5_0& block, uint8_t* out);
void unpack_quants(const BlockQ5_1& block, uint8_t* out);
void unpack_quants(const BlockQ2_K& block, uint8_t* out);
void unpack_quants(const BlockQ3_K& block, uint8_t* out);
void unpack_quants(const BlockQ4_K& block, uint8_t* out);
void unpack_quants(const BlockQ5_K& block, uint8_t* out);
void unpack_quants(const BlockQ6_K& block, uint8_t* out);
void unpack_quants(const BlockMXFP4& block, uint8_t* out);

// The 8 scales and mins of Q4_K and Q5_K, each 0..63.
void unpack_scales(const uint8_t packed[12], uint8_t scales[8], uint8_t mins[8]);
void pack_scales(const uint8_t scales[8], const uint8_t mins[8], uint8_t packed[12]);
// The 16 scales of Q3_K, each -32..31.
void unpack_scales(const uint8_t packed[12], int8_t scales[16]);

// Half of 2^(exponent - 127), the scale of doubled elements. Exact, subnormal below exponent 2.
float mxfp4_scale(uint8_t exponent);

}  // namespace pagoda
