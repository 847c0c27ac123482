// Placing of quants in bit planes, and of scales beside them.
#include "backend/cpu/quant_pack.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/check.h"
#include "tensor/formats/blocks.h"

namespace pagoda::cpu {
namespace {

constexpr int kGroupElements = 32;

// One block of any format: quants one a byte, and its scales as bits.
struct UnitRow {
  uint8_t quants[256];  // not set where PackFormat::words gives them
  uint16_t scale = 0;   // d: f16, or bf16 for MXFP4
  uint16_t min = 0;     // m or dmin
  // Of each group of 32, or of each 16: sc, and m with mins. Signed ones as bytes.
  uint8_t scales[16] = {};
  uint8_t mins[16] = {};
};

template <typename Block>
void read_simple(const std::byte* from, UnitRow& row) {
  const auto block = load_block<Block>(from);
  if constexpr (requires { block.high; }) unpack_quants(block, row.quants);
  row.scale = block.scale;
  if constexpr (requires { block.min; }) row.min = block.min;
}

template <typename Block>
void read_k(const std::byte* from, UnitRow& row) {
  const auto block = load_block<Block>(from);
  if constexpr (requires { block.high; }) unpack_quants(block, row.quants);
  row.scale = block.scale;
  row.min = block.min;
  unpack_scales(block.scales, row.scales, row.mins);
}

void read_q2_k(const std::byte* from, UnitRow& row) {
  const auto block = load_block<BlockQ2_K>(from);
  unpack_quants(block, row.quants);
  row.scale = block.scale;
  row.min = block.min;
  for (size_t i = 0; i < 16; ++i) {
    row.scales[i] = block.scales[i] & 0x0fU;
    row.mins[i] = static_cast<uint8_t>(block.scales[i] >> 4);
  }
}

void read_q3_k(const std::byte* from, UnitRow& row) {
  const auto block = load_block<BlockQ3_K>(from);
  unpack_quants(block, row.quants);
  row.scale = block.scale;
  int8_t scales[16];
  unpack_scales(block.scales, scales);
  std::memcpy(row.scales, scales, sizeof(scales));
}

void read_q6_k(const std::byte* from, UnitRow& row) {
  const auto block = load_block<BlockQ6_K>(from);
  unpack_quants(block, row.quants);
  row.scale = block.scale;
  std::memcpy(row.scales, block.scales, sizeof(block.scales));
}

// All scales are powers of two from 2^-128 on, which bf16 holds exactly.
void read_mxfp4(const std::byte* from, UnitRow& row) {
  const auto block = load_block<BlockMXFP4>(from);
  row.scale = float_to_bf16(mxfp4_scale(block.exponent));
}

uint32_t load32(const uint8_t* from) {
  uint32_t value = 0;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// Low halves of 32 elements are the four words of the nibble plane already.
template <typename Block>
void simple_words(const std::byte* from, int, uint32_t (&words)[4]) {
  const auto block = load_block<Block>(from);
  std::memcpy(words, block.low, sizeof(words));
}

// Each 32 bytes hold one group below and the next above.
void q4_k_words(const std::byte* from, int group, uint32_t (&words)[4]) {
  uint8_t low[32];
  std::memcpy(low, from + offsetof(BlockQ4_K, low) + group / 2 * 32, sizeof(low));
  const int shift = group % 2 * 4;
  for (int v = 0; v < 4; ++v) {
    const uint32_t first = load32(low + 4 * v) >> shift & 0x0f0f0f0fU;
    const uint32_t second = load32(low + 16 + 4 * v) >> shift & 0x0f0f0f0fU;
    words[v] = first | second << 4;
  }
}

struct PackFormat {
  DType dtype;
  QuantLayout layout;
  void (*read)(const std::byte* from, UnitRow& row);
  // The four words of a group's nibble plane, for formats of nibbles alone; null for the others,
  // whose quants read() gives.
  void (*words)(const std::byte* from, int group, uint32_t (&words)[4]) = nullptr;
};

constexpr PackFormat kPackFormats[] = {
    {DType::kQ4_0, kQ4_0Layout, read_simple<BlockQ4_0>, simple_words<BlockQ4_0>},
    {DType::kQ4_1, kQ4_1Layout, read_simple<BlockQ4_1>, simple_words<BlockQ4_1>},
    {DType::kQ5_0, kQ5_0Layout, read_simple<BlockQ5_0>},
    {DType::kQ5_1, kQ5_1Layout, read_simple<BlockQ5_1>},
    {DType::kQ2_K, kQ2_KLayout, read_q2_k},
    {DType::kQ3_K, kQ3_KLayout, read_q3_k},
    {DType::kQ4_K, kQ4_KLayout, read_k<BlockQ4_K>, q4_k_words},
    {DType::kQ5_K, kQ5_KLayout, read_k<BlockQ5_K>},
    {DType::kQ6_K, kQ6_KLayout, read_q6_k},
    {DType::kMXFP4, kMxfp4Layout, read_mxfp4, simple_words<BlockMXFP4>},
};

const PackFormat* find(DType dtype) {
  for (const PackFormat& format : kPackFormats) {
    if (format.dtype == dtype) return &format;
  }
  return nullptr;
}

void store16(std::byte* to, uint16_t value) {
  std::memcpy(to, &value, sizeof(value));
}
uint16_t load16(const std::byte* from) {
  uint16_t value = 0;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// Where bits of the quants are.
struct BitPlaces {
  int high;  // of the pairs
  int top;   // of the single bits
};
BitPlaces bit_places(const QuantLayout& layout) {
  const int high = layout.nibbles ? 4 : 0;
  return {high, high + (layout.pairs ? 2 : 0)};
}

void place_words(const uint32_t (&words)[4], int64_t lane, std::byte* group) {
  std::byte* to = group + lane / 16 * 256 + lane % 16 * 4;
  for (int v = 0; v < 4; ++v) std::memcpy(to + v * 64, &words[v], sizeof(words[v]));
}

// Four quants, those of a step, in one word.
void place_quants(const QuantLayout& layout, const uint8_t* quants, int64_t lane,
                  std::byte* group) {
  const BitPlaces at = bit_places(layout);
  const int64_t half = lane / 16;
  const int64_t offset = lane % 16 * 4;
  uint32_t steps[8];
  std::memcpy(steps, quants, sizeof(steps));
  if (layout.nibbles) {
    for (int v = 0; v < 4; ++v) {
      const uint32_t word = (steps[v] & 0x0f0f0f0fU) | (steps[v + 4] & 0x0f0f0f0fU) << 4;
      std::memcpy(group + half * 256 + v * 64 + offset, &word, sizeof(word));
    }
  }
  if (layout.pairs) {
    for (int v = 0; v < 2; ++v) {
      uint32_t word = 0;
      for (int i = 0; i < 4; ++i) word |= (steps[4 * v + i] >> at.high & 0x03030303U) << (2 * i);
      std::memcpy(group + layout.pairs_at() + half * 128 + v * 64 + offset, &word, sizeof(word));
    }
  }
  if (layout.bits) {
    uint32_t word = 0;
    for (int i = 0; i < 8; ++i) word |= (steps[i] >> at.top & 0x01010101U) << i;
    std::memcpy(group + layout.bits_at() + half * 64 + offset, &word, sizeof(word));
  }
}

void read_quants(const QuantLayout& layout, const std::byte* group, int64_t lane, uint8_t* quants) {
  const BitPlaces at = bit_places(layout);
  const int64_t half = lane / 16;
  const int64_t offset = lane % 16 * 4;
  for (int k = 0; k < kGroupElements; ++k) {
    const int step = k / 4;
    const int64_t byte = offset + k % 4;
    uint32_t q = 0;
    if (layout.nibbles) {
      const auto both = static_cast<uint32_t>(group[half * 256 + step % 4 * 64 + byte]);
      q |= both >> (step / 4 * 4) & 0x0fU;
    }
    if (layout.pairs) {
      const auto four =
          static_cast<uint32_t>(group[layout.pairs_at() + half * 128 + step / 4 * 64 + byte]);
      q |= (four >> (step % 4 * 2) & 3U) << at.high;
    }
    if (layout.bits) {
      const auto eight = static_cast<uint32_t>(group[layout.bits_at() + half * 64 + byte]);
      q |= (eight >> step & 1U) << at.top;
    }
    quants[k] = static_cast<uint8_t>(q);
  }
}

void place_scales(const QuantLayout& layout, const UnitRow& row, int index, int64_t lane,
                  std::byte* scales) {
  const auto part = static_cast<size_t>(2 * index);
  switch (layout.scales) {
    case QuantScales::kF16:
    case QuantScales::kBf16: store16(scales + lane * 2, row.scale); break;
    case QuantScales::kF16AndMin:
      store16(scales + lane * 2, row.scale);
      store16(scales + 64 + lane * 2, row.min);
      break;
    case QuantScales::kWithMins:
      scales[lane] = std::byte{row.scales[index]};
      scales[32 + lane] = std::byte{row.mins[index]};
      break;
    case QuantScales::kWithMins16:
      for (size_t i = 0; i < 2; ++i) {
        scales[i * 32 + static_cast<size_t>(lane)] =
            static_cast<std::byte>(row.scales[part + i] | row.mins[part + i] << 4);
      }
      break;
    case QuantScales::kSigned16:
      for (size_t i = 0; i < 2; ++i) {
        scales[i * 32 + static_cast<size_t>(lane)] = std::byte{row.scales[part + i]};
      }
      break;
  }
}

// Scale and min, as what is added, of the 16 k number `part` of a group: products that floats hold
// exactly.
struct Affine {
  float scale;
  float min;
};
Affine read_scales(const QuantLayout& layout, const std::byte* header, const std::byte* scales,
                   int64_t lane, int64_t part) {
  const auto small = [&](int64_t at) { return static_cast<uint8_t>(scales[at]); };
  if (layout.scales == QuantScales::kBf16) return {bf16_to_float(load16(scales + lane * 2)), 0};
  if (!layout.two_levels()) {
    const float min = layout.has_mins() ? f16_to_float(load16(scales + 64 + lane * 2)) : 0.0F;
    return {f16_to_float(load16(scales + lane * 2)), min};
  }
  const float d = f16_to_float(load16(header + lane * 2));
  if (layout.scales == QuantScales::kSigned16) {
    return {d * static_cast<float>(std::bit_cast<int8_t>(small(part * 32 + lane))), 0};
  }
  const float dmin = f16_to_float(load16(header + 64 + lane * 2));
  if (layout.scales == QuantScales::kWithMins) {
    return {d * static_cast<float>(small(lane)), -(dmin * static_cast<float>(small(32 + lane)))};
  }
  const uint8_t both = small(part * 32 + lane);
  return {d * static_cast<float>(both & 0x0fU), -(dmin * static_cast<float>(both >> 4))};
}

}  // namespace

const QuantLayout* quant_layout(DType dtype) {
  const PackFormat* format = find(dtype);
  return format == nullptr ? nullptr : &format->layout;
}

void place_blocks(DType dtype, const std::byte* blocks, int64_t num_blocks, int64_t lane,
                  std::byte* units) {
  const PackFormat* format = find(dtype);
  CHECK(format != nullptr);
  const QuantLayout& layout = format->layout;
  const int64_t block_bytes = format_traits(dtype).block_bytes;
  UnitRow row;
  for (int64_t block = 0; block < num_blocks; ++block, units += layout.unit_bytes()) {
    format->read(blocks + block * block_bytes, row);
    if (layout.two_levels()) {
      store16(units + lane * 2, row.scale);
      if (layout.has_mins()) store16(units + 64 + lane * 2, row.min);
    }
    std::byte* group = units + layout.header_bytes();
    for (int i = 0; i < layout.groups(); ++i, group += layout.group_bytes()) {
      if (format->words != nullptr) {
        uint32_t words[4];
        format->words(blocks + block * block_bytes, i, words);
        place_words(words, lane, group);
      } else {
        place_quants(layout, row.quants + i * kGroupElements, lane, group);
      }
      place_scales(layout, row, i, lane, group + layout.scales_at());
    }
  }
}

void decode_lane(DType dtype, const std::byte* units, int64_t num_units, int64_t lane, float* out) {
  const PackFormat* format = find(dtype);
  CHECK(format != nullptr);
  const QuantLayout& layout = format->layout;
  const bool codes = layout.scales == QuantScales::kBf16;
  uint8_t quants[kGroupElements];
  for (int64_t unit = 0; unit < num_units; ++unit, units += layout.unit_bytes()) {
    const std::byte* group = units + layout.header_bytes();
    for (int i = 0; i < layout.groups(); ++i, group += layout.group_bytes()) {
      read_quants(layout, group, lane, quants);
      for (int j = 0; j < kGroupElements; ++j) {
        const Affine a = read_scales(layout, units, group + layout.scales_at(), lane,
                                     layout.split() ? j / 16 : 0);
        const int q = codes ? kDoubledE2M1[quants[j]] : quants[j] - layout.zero;
        const float product = a.scale * static_cast<float>(q);
        *out++ = layout.has_mins() ? product + a.min : product;
      }
    }
  }
}

}  // namespace pagoda::cpu
