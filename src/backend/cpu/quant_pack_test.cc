// Panels hold every bit where the layouts say, whatever way it was brought there.
#include "backend/cpu/quant_pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "backend/cpu/packed_weight.h"
#include "backend/cpu/test_backend.h"
#include "tensor/formats/blocks.h"

namespace pagoda::cpu {
namespace {

// One block taken apart: quants in the order of elements, and scales as quant_layout.h names them.
struct Parts {
  uint8_t quants[256];
  uint16_t scale = 0;
  uint16_t min = 0;
  uint8_t scales[16] = {};
  uint8_t mins[16] = {};
};

template <typename Block>
Parts parts_of(const std::byte* from) {
  const auto block = load_block<Block>(from);
  Parts parts;
  unpack_quants(block, parts.quants);
  if constexpr (requires { block.exponent; }) {
    parts.scale = float_to_bf16(mxfp4_scale(block.exponent));
  } else {
    parts.scale = block.scale;
  }
  if constexpr (requires { block.min; }) parts.min = block.min;
  if constexpr (std::is_same_v<Block, BlockQ2_K>) {
    for (size_t i = 0; i < 16; ++i) {
      parts.scales[i] = block.scales[i] & 15U;
      parts.mins[i] = block.scales[i] >> 4U;
    }
  } else if constexpr (std::is_same_v<Block, BlockQ3_K>) {
    int8_t scales[16];
    unpack_scales(block.scales, scales);
    std::memcpy(parts.scales, scales, sizeof(scales));
  } else if constexpr (std::is_same_v<Block, BlockQ6_K>) {
    std::memcpy(parts.scales, block.scales, sizeof(block.scales));
  } else if constexpr (requires { block.scales; }) {
    unpack_scales(block.scales, parts.scales, parts.mins);
  }
  return parts;
}

Parts parts_of(DType dtype, const std::byte* block) {
  switch (dtype) {
    case DType::kQ4_0: return parts_of<BlockQ4_0>(block);
    case DType::kQ4_1: return parts_of<BlockQ4_1>(block);
    case DType::kQ5_0: return parts_of<BlockQ5_0>(block);
    case DType::kQ5_1: return parts_of<BlockQ5_1>(block);
    case DType::kQ2_K: return parts_of<BlockQ2_K>(block);
    case DType::kQ3_K: return parts_of<BlockQ3_K>(block);
    case DType::kQ4_K: return parts_of<BlockQ4_K>(block);
    case DType::kQ5_K: return parts_of<BlockQ5_K>(block);
    case DType::kQ6_K: return parts_of<BlockQ6_K>(block);
    default: return parts_of<BlockMXFP4>(block);
  }
}

using Bytes = std::vector<std::byte>;

void put(Bytes& to, int64_t at, uint32_t bits) {
  to[static_cast<size_t>(at)] |= static_cast<std::byte>(bits);
}
void put16(Bytes& to, int64_t at, uint16_t bits) {
  put(to, at, bits & 255U);
  put(to, at + 1, bits >> 8U);
}

// The bits of quant `q`, element k of a group, one plane after another.
void put_quant(const QuantLayout& layout, uint32_t q, int64_t k, int64_t lane, int64_t group,
               Bytes& to) {
  const int64_t half = lane / 16;
  const int64_t byte = lane % 16 * 4 + k % 4;
  if (layout.nibbles) {
    put(to, group + half * 256 + k % 16 / 4 * 64 + byte, (q & 15U) << (k / 16 * 4));
    q >>= 4U;
  }
  if (layout.pairs) {
    put(to, group + layout.pairs_at() + half * 128 + k / 16 * 64 + byte,
        (q & 3U) << (k % 16 / 4 * 2));
    q >>= 2U;
  }
  if (layout.bits) put(to, group + layout.bits_at() + half * 64 + byte, (q & 1U) << (k / 4));
}

void put_block(const QuantLayout& layout, const Parts& parts, int64_t lane, int64_t unit,
               Bytes& to) {
  if (layout.two_levels()) {
    put16(to, unit + lane * 2, parts.scale);
    if (layout.has_mins()) put16(to, unit + 64 + lane * 2, parts.min);
  }
  for (int i = 0; i < layout.groups(); ++i) {
    const int64_t group = unit + layout.header_bytes() + i * layout.group_bytes();
    for (int64_t k = 0; k < 32; ++k) {
      put_quant(layout, parts.quants[i * 32 + k], k, lane, group, to);
    }
    const int64_t scales = group + layout.scales_at();
    if (!layout.two_levels()) {
      put16(to, scales + lane * 2, parts.scale);
      if (layout.has_mins()) put16(to, scales + 64 + lane * 2, parts.min);
    } else if (!layout.split()) {
      put(to, scales + lane, parts.scales[i]);
      put(to, scales + 32 + lane, parts.mins[i]);
    } else {
      for (int part = 0; part < 2; ++part) {
        const uint32_t min = layout.has_mins() ? parts.mins[2 * i + part] : 0U;
        put(to, scales + part * 32 + lane, parts.scales[2 * i + part] | min << 4U);
      }
    }
  }
}

void put_q8_block(const std::byte* from, int64_t lane, int64_t group, Bytes& to) {
  const auto block = load_block<BlockQ8_0>(from);
  for (int64_t k = 0; k < 32; ++k) {
    to[static_cast<size_t>(group + k / 4 * 128 + lane * 4 + k % 4)] =
        static_cast<std::byte>(block.quants[k] + 128);
  }
  put16(to, group + 1024 + lane * 2, block.scale);
}

// `rows` x `columns` in a format of the file to all panels, an element at a time.
Bytes panels_of(DType dtype, const Bytes& source, int64_t rows, int64_t columns) {
  const int64_t panel_bytes = PackedWeight::packed_bytes({32, columns}, dtype);
  Bytes panels(static_cast<size_t>((rows + 31) / 32 * panel_bytes));
  const FormatTraits& traits = format_traits(dtype);
  if (dtype == DType::kQ8_0) {
    for (size_t i = 0; i < panels.size(); ++i) {
      if (i % kQ8GroupBytes < 1024) panels[i] = std::byte{128};
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t panel = row / 32 * panel_bytes;
    const int64_t lane = row % 32;
    const std::byte* from = source.data() + row * dtype_bytes(dtype, columns);
    for (int64_t k = 0; k < columns; k += traits.block_elements, from += traits.block_bytes) {
      const int64_t block = k / traits.block_elements;
      if (dtype == DType::kF32 || dtype == DType::kBF16) {
        const int64_t words = 4 / traits.block_bytes;
        const int64_t at = panel + (k / words * 32 + lane) * 4 + k % words * traits.block_bytes;
        std::memcpy(&panels[static_cast<size_t>(at)], from,
                    static_cast<size_t>(traits.block_bytes));
      } else if (dtype == DType::kQ8_0) {
        put_q8_block(from, lane, panel + block * kQ8GroupBytes, panels);
      } else {
        const QuantLayout& layout = *quant_layout(dtype);
        put_block(layout, parts_of(dtype, from), lane, panel + block * layout.unit_bytes(), panels);
      }
    }
  }
  return panels;
}

Bytes any_bytes(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

Bytes packed_bytes(const PackedWeight& weight) {
  Bytes bytes(static_cast<size_t>(weight.num_bytes()));
  std::memcpy(bytes.data(), weight.panel(0), bytes.size());
  return bytes;
}

TEST(QuantPack, PutsEveryBitOfEveryFormatWhereItsLayoutSays) {
  for (const int32_t num_threads : {1, 3}) {
    const auto backend = make_backend("", num_threads);
    for (const DType dtype : matrix_formats()) {
      const bool plain = format_traits(dtype).block_elements == 1;
      // Chunks of 512 k: less than one, and one and a part; rows that fill no panel and no tile.
      for (const int64_t columns : {int64_t{256}, int64_t{768}, int64_t{plain ? 517 : 1024}}) {
        for (const int64_t rows : {1, 3, 4, 31, 32, 33, 70, 131}) {
          const auto size = static_cast<size_t>(rows * dtype_bytes(dtype, columns));
          // Any bits at all, and at an odd address.
          const Bytes bytes = any_bytes(size + 1, static_cast<uint32_t>(rows));
          const auto weight = backend->pack(
              {.data = bytes.data() + 1, .dtype = dtype, .shape = {rows, columns}}, dtype);
          ASSERT_TRUE(weight.ok());
          const Bytes source(bytes.begin() + 1, bytes.end());
          ASSERT_EQ(packed_bytes(static_cast<const PackedWeight&>(**weight)),
                    panels_of(dtype, source, rows, columns))
              << format_traits(dtype).name << " " << rows << " x " << columns;
        }
      }
    }
  }
}

// Gives rows until one of them fails.
class FailingRows final : public RowSource {
 public:
  FailingRows(int64_t num_rows, int64_t bad_row)
      : shape_{num_rows, 64}, bad_row_(bad_row), row_(64) {}
  DType dtype() const override { return DType::kF32; }
  const Shape& shape() const override { return shape_; }
  Result<void> fetch(int64_t first, std::span<const std::byte*> rows, Buffer&) const override {
    if (bad_row_ >= first && bad_row_ < first + static_cast<int64_t>(rows.size())) {
      return Error{ErrorCode::kInvalidArgument, "the file ends"};
    }
    for (const std::byte*& row : rows) row = reinterpret_cast<const std::byte*>(row_.data());
    return {};
  }

 private:
  Shape shape_;
  int64_t bad_row_;
  std::vector<float> row_;
};

TEST(QuantPack, PassesOnWhyRowsCouldNotBeFetched) {
  for (const int32_t num_threads : {1, 3}) {
    const auto backend = make_backend("", num_threads);
    const auto failed = backend->pack_rows(FailingRows(320, 200), DType::kBF16);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().message, "the file ends");
    EXPECT_TRUE(backend->pack_rows(FailingRows(320, 400), DType::kBF16).ok());
  }
}

}  // namespace
}  // namespace pagoda::cpu
