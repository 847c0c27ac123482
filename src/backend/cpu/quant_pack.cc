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

// The scales of one block of any format, as bits.
struct BlockScales {
  uint16_t scale = 0;  // d: f16, or bf16 for MXFP4
  uint16_t min = 0;    // m or dmin
  // Of each group of 32, or of each 16: sc, and m with mins. Signed ones as bytes.
  uint8_t scales[16] = {};
  uint8_t mins[16] = {};
};

// The quants of 32 elements, one a byte.
struct GroupQuants {
  WordVector first;  // elements 0..15
  WordVector second;
};

// Bits `shift` and up of each byte, as many as `mask` has.
GroupQuants take_bits(const std::byte* from, int shift, uint32_t mask) {
  return {load_words(from) >> shift & mask, load_words(from + 16) >> shift & mask};
}
GroupQuants operator|(const GroupQuants& a, const GroupQuants& b) {
  return {a.first | b.first, a.second | b.second};
}
GroupQuants operator<<(const GroupQuants& a, int shift) {
  return {a.first << shift, a.second << shift};
}

constexpr uint32_t kNibbles = 0x0f0f0f0fU;
constexpr uint32_t kPairs = 0x03030303U;
constexpr uint32_t kBits = 0x01010101U;

// "Low halves": 16 bytes with one element below and the one 16 further above.
template <typename Block>
GroupQuants low_halves(const std::byte* block) {
  const WordVector low = load_words(block + offsetof(Block, low));
  return {low & kNibbles, low >> 4 & kNibbles};
}

// Bit j becomes bit 0 of byte j.
GroupQuants spread_bits(uint32_t bits) {
  uint32_t bytes[8];
  // The products are four copies 7 bits apart, so that bit i of four meets bit 0 of byte i.
  for (int i = 0; i < 8; ++i) bytes[i] = (bits >> (4 * i) & 0x0fU) * 0x00204081U & kBits;
  return {load_words(bytes), load_words(bytes + 4)};
}

// A format: its block, its layout, the quants of a group, and the scales.
template <typename BlockType>
struct SimpleFormat {
  using Block = BlockType;
  static GroupQuants quants(const std::byte* block, int) {
    if constexpr (requires(Block b) { b.high; }) {
      uint32_t high = 0;
      std::memcpy(&high, block + offsetof(Block, high), sizeof(high));
      return low_halves<Block>(block) | spread_bits(high) << 4;
    } else {
      return low_halves<Block>(block);
    }
  }
  static void scales(const Block& block, BlockScales& out) {
    out.scale = block.scale;
    if constexpr (requires { block.min; }) out.min = block.min;
  }
};
struct FormatQ4_0 : SimpleFormat<BlockQ4_0> {
  static constexpr QuantLayout kLayout = kQ4_0Layout;
};
struct FormatQ4_1 : SimpleFormat<BlockQ4_1> {
  static constexpr QuantLayout kLayout = kQ4_1Layout;
};
struct FormatQ5_0 : SimpleFormat<BlockQ5_0> {
  static constexpr QuantLayout kLayout = kQ5_0Layout;
};
struct FormatQ5_1 : SimpleFormat<BlockQ5_1> {
  static constexpr QuantLayout kLayout = kQ5_1Layout;
};

struct FormatMXFP4 {
  using Block = BlockMXFP4;
  static constexpr QuantLayout kLayout = kMxfp4Layout;
  static GroupQuants quants(const std::byte* block, int) { return low_halves<Block>(block); }
  // All scales are powers of two from 2^-128 on, which bf16 holds exactly.
  static void scales(const Block& block, BlockScales& out) {
    out.scale = float_to_bf16(mxfp4_scale(block.exponent));
  }
};

struct FormatQ2_K {
  using Block = BlockQ2_K;
  static constexpr QuantLayout kLayout = kQ2_KLayout;
  static GroupQuants quants(const std::byte* block, int group) {
    return take_bits(block + offsetof(Block, quants) + group / 4 * 32, group % 4 * 2, kPairs);
  }
  static void scales(const Block& block, BlockScales& out) {
    out.scale = block.scale;
    out.min = block.min;
    for (size_t i = 0; i < 16; ++i) {
      out.scales[i] = block.scales[i] & 0x0fU;
      out.mins[i] = static_cast<uint8_t>(block.scales[i] >> 4);
    }
  }
};

struct FormatQ3_K {
  using Block = BlockQ3_K;
  static constexpr QuantLayout kLayout = kQ3_KLayout;
  static GroupQuants quants(const std::byte* block, int group) {
    return take_bits(block + offsetof(Block, quants) + group / 4 * 32, group % 4 * 2, kPairs) |
           take_bits(block + offsetof(Block, high), group, kBits) << 2;
  }
  static void scales(const Block& block, BlockScales& out) {
    out.scale = block.scale;
    int8_t scales[16];
    unpack_scales(block.scales, scales);
    std::memcpy(out.scales, scales, sizeof(scales));
  }
};

template <typename BlockType>
struct FormatWithMins {
  using Block = BlockType;
  static GroupQuants quants(const std::byte* block, int group) {
    const GroupQuants low =
        take_bits(block + offsetof(Block, low) + group / 2 * 32, group % 2 * 4, kNibbles);
    if constexpr (requires(Block b) { b.high; }) {
      return low | take_bits(block + offsetof(Block, high), group, kBits) << 4;
    } else {
      return low;
    }
  }
  static void scales(const Block& block, BlockScales& out) {
    out.scale = block.scale;
    out.min = block.min;
    unpack_scales(block.scales, out.scales, out.mins);
  }
};
struct FormatQ4_K : FormatWithMins<BlockQ4_K> {
  static constexpr QuantLayout kLayout = kQ4_KLayout;
};
struct FormatQ5_K : FormatWithMins<BlockQ5_K> {
  static constexpr QuantLayout kLayout = kQ5_KLayout;
};

struct FormatQ6_K {
  using Block = BlockQ6_K;
  static constexpr QuantLayout kLayout = kQ6_KLayout;
  static GroupQuants quants(const std::byte* block, int group) {
    const int half = group / 4;
    const int low_at = half * 64 + group % 2 * 32;
    return take_bits(block + offsetof(Block, low) + low_at, group % 4 / 2 * 4, kNibbles) |
           take_bits(block + offsetof(Block, high) + half * 32, group % 4 * 2, kPairs) << 4;
  }
  static void scales(const Block& block, BlockScales& out) {
    out.scale = block.scale;
    std::memcpy(out.scales, block.scales, sizeof(block.scales));
  }
};

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

// Lower four bits of each byte of both halves, and the upper four, as words of the nibble plane.
WordVector low_words(const GroupQuants& q) {
  return (q.first & kNibbles) | (q.second & kNibbles) << 4;
}
WordVector high_words(const GroupQuants& q) {
  return (q.first >> 4 & kNibbles) | (q.second & ~kNibbles);
}

// Pairs and single bits of four rows. Word j of each has the bits of steps j and, four bits higher,
// j + 4.
template <typename Format>
void place_narrow(const WordVector (&words)[4], int64_t lane, std::byte* group) {
  constexpr QuantLayout kLayout = Format::kLayout;
  const int64_t half = lane / 16;
  std::byte* const to = group + lane % 16 * 4;
  const int shift = kLayout.nibbles ? 4 : 0;
  if constexpr (kLayout.pairs) {
    const int high = bit_places(kLayout).high - shift;
    for (int v = 0; v < 2; ++v) {
      WordVector plane = {};
      for (int i = 0; i < 4; ++i) plane |= (words[i] >> (high + 4 * v) & kPairs) << (2 * i);
      store_words(to + kLayout.pairs_at() + half * 128 + v * 64, plane);
    }
  }
  if constexpr (kLayout.bits) {
    const int top = bit_places(kLayout).top - shift;
    WordVector plane = {};
    for (int i = 0; i < 8; ++i) plane |= (words[i % 4] >> (top + i / 4 * 4) & kBits) << i;
    store_words(to + kLayout.bits_at() + half * 64, plane);
  }
}

// The planes of one group of four rows.
template <typename Format>
void place_quants(const std::byte* const (&blocks)[4], int index, int64_t lane, std::byte* group) {
  constexpr QuantLayout kLayout = Format::kLayout;
  WordVector low[4];
  WordVector high[4];
  for (int row = 0; row < 4; ++row) {
    const GroupQuants quants = Format::quants(blocks[row], index);
    low[row] = low_words(quants);
    high[row] = high_words(quants);
  }
  transpose_words(low);
  if constexpr (kLayout.nibbles) {
    std::byte* const to = group + lane / 16 * 256 + lane % 16 * 4;
    for (int v = 0; v < 4; ++v) store_words(to + v * 64, low[v]);
  }
  if constexpr (kLayout.pairs || kLayout.bits) {
    if constexpr (kLayout.nibbles) transpose_words(high);
    place_narrow<Format>(kLayout.nibbles ? high : low, lane, group);
  }
}

void place_scales(const QuantLayout& layout, const BlockScales& from, int index, int64_t lane,
                  std::byte* scales) {
  const auto part = static_cast<size_t>(2 * index);
  switch (layout.scales) {
    case QuantScales::kF16:
    case QuantScales::kBf16: store16(scales + lane * 2, from.scale); break;
    case QuantScales::kF16AndMin:
      store16(scales + lane * 2, from.scale);
      store16(scales + 64 + lane * 2, from.min);
      break;
    case QuantScales::kWithMins:
      scales[lane] = std::byte{from.scales[index]};
      scales[32 + lane] = std::byte{from.mins[index]};
      break;
    case QuantScales::kWithMins16:
      for (size_t i = 0; i < 2; ++i) {
        scales[i * 32 + static_cast<size_t>(lane)] =
            static_cast<std::byte>(from.scales[part + i] | from.mins[part + i] << 4);
      }
      break;
    case QuantScales::kSigned16:
      for (size_t i = 0; i < 2; ++i) {
        scales[i * 32 + static_cast<size_t>(lane)] = std::byte{from.scales[part + i]};
      }
      break;
  }
}

template <typename Format>
void place_unit_scales(const std::byte* from, int64_t lane, std::byte* unit) {
  constexpr QuantLayout kLayout = Format::kLayout;
  BlockScales scales;
  Format::scales(load_block<typename Format::Block>(from), scales);
  if constexpr (kLayout.two_levels()) {
    store16(unit + lane * 2, scales.scale);
    if constexpr (kLayout.has_mins()) store16(unit + 64 + lane * 2, scales.min);
  }
  std::byte* group = unit + kLayout.header_bytes();
  for (int i = 0; i < kLayout.groups(); ++i, group += kLayout.group_bytes()) {
    place_scales(kLayout, scales, i, lane, group + kLayout.scales_at());
  }
}

template <typename Format>
void place(std::span<const std::byte* const> rows, int64_t num_blocks, int64_t lane,
           std::byte* units) {
  using Block = typename Format::Block;
  constexpr QuantLayout kLayout = Format::kLayout;
  // Quants of rows that are not there: all bits zero.
  static constexpr std::byte kNothing[sizeof(Block)] = {};
  for (int64_t i = 0; i < num_blocks; ++i, units += kLayout.unit_bytes()) {
    const std::byte* blocks[kTileRows] = {kNothing, kNothing, kNothing, kNothing};
    for (size_t row = 0; row < rows.size(); ++row) {
      blocks[row] = rows[row] + i * static_cast<int64_t>(sizeof(Block));
      place_unit_scales<Format>(blocks[row], lane + static_cast<int64_t>(row), units);
    }
    std::byte* group = units + kLayout.header_bytes();
    for (int index = 0; index < kLayout.groups(); ++index, group += kLayout.group_bytes()) {
      place_quants<Format>(blocks, index, lane, group);
    }
  }
}

struct PackFormat {
  DType dtype;
  QuantLayout layout;
  void (*place)(std::span<const std::byte* const> rows, int64_t num_blocks, int64_t lane,
                std::byte* units);
};

constexpr PackFormat kPackFormats[] = {
    {DType::kQ4_0, kQ4_0Layout, place<FormatQ4_0>},
    {DType::kQ4_1, kQ4_1Layout, place<FormatQ4_1>},
    {DType::kQ5_0, kQ5_0Layout, place<FormatQ5_0>},
    {DType::kQ5_1, kQ5_1Layout, place<FormatQ5_1>},
    {DType::kQ2_K, kQ2_KLayout, place<FormatQ2_K>},
    {DType::kQ3_K, kQ3_KLayout, place<FormatQ3_K>},
    {DType::kQ4_K, kQ4_KLayout, place<FormatQ4_K>},
    {DType::kQ5_K, kQ5_KLayout, place<FormatQ5_K>},
    {DType::kQ6_K, kQ6_KLayout, place<FormatQ6_K>},
    {DType::kMXFP4, kMxfp4Layout, place<FormatMXFP4>},
};

const PackFormat* find(DType dtype) {
  for (const PackFormat& format : kPackFormats) {
    if (format.dtype == dtype) return &format;
  }
  return nullptr;
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

void place_blocks(DType dtype, std::span<const std::byte* const> rows, int64_t num_blocks,
                  int64_t lane, std::byte* units) {
  const PackFormat* format = find(dtype);
  CHECK(format != nullptr && !rows.empty() && rows.size() <= kTileRows && lane % kTileRows == 0);
  format->place(rows, num_blocks, lane, units);
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
