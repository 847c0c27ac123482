// Decoding of quantized matrices, a few rows at a time.
#include "checkpoint/quantized_linear.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace pagoda {
namespace {

constexpr int64_t kBlock = 32;     // elements of a block of q4_0, q4_1 and q8_0
constexpr int64_t kTileRows = 16;  // rows decoded together: a cache line of words along Out

// Where output j lies within a word of AWQ, whose nibbles hold outputs 0, 2, 4, 6, 1, 3, 5, 7.
constexpr std::array<int32_t, 8> kAwqNibble = {0, 4, 1, 5, 2, 6, 3, 7};

template <typename T>
T load(std::span<const std::byte> from, int64_t index) {
  T value;
  std::memcpy(&value, from.data() + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// Scales and zeros in one layout: [row / scale_rows][group].
class Scales {
 public:
  static Result<Scales> create(const QuantizedLinear& linear, const QuantizedData& data) {
    Scales scales(linear);
    scales.read_scales(data);
    RETURN_IF_ERROR(scales.read_zeros(data));
    return scales;
  }
  float scale(int64_t row, int64_t group) const { return scales_[index(row, group)]; }
  int32_t zero(int64_t row, int64_t group) const {
    return zeros_.empty() ? middle_ : zeros_[index(row, group)];
  }
  int64_t num_groups() const { return num_groups_; }

 private:
  explicit Scales(const QuantizedLinear& linear)
      : linear_(linear),
        num_rows_((linear.out + linear.scale_rows - 1) / linear.scale_rows),
        num_groups_((linear.in + linear.scale_columns - 1) / linear.scale_columns),
        // Codes of kBytes are signed already, all others count from 0.
        middle_(linear.layout == CodeLayout::kBytes ? 0 : 1 << (linear.bits - 1)) {}

  size_t index(int64_t row, int64_t group) const {
    return static_cast<size_t>(row / linear_.scale_rows * num_groups_ + group);
  }
  bool groups_first() const {
    return linear_.layout == CodeLayout::kGptq || linear_.layout == CodeLayout::kAwq;
  }

  void read_scales(const QuantizedData& data) {
    const auto count = static_cast<size_t>(num_rows_ * num_groups_);
    std::vector<float> stored(count);
    format_traits(data.scale_dtype)
        .decode(data.scales.data(), stored.data(), static_cast<int64_t>(count));
    if (!groups_first()) {
      scales_ = std::move(stored);
      return;
    }
    scales_.resize(count);
    for (int64_t group = 0; group < num_groups_; ++group) {
      for (int64_t row = 0; row < num_rows_; ++row) {
        scales_[index(row, group)] = stored[static_cast<size_t>(group * num_rows_ + row)];
      }
    }
  }

  int32_t stored_zero(const QuantizedData& data, int64_t row, int64_t group) const {
    const int64_t per_word = 32 / linear_.bits;
    const uint32_t mask = (1U << linear_.bits) - 1U;
    const auto take = [&](int64_t word, int64_t place) {
      const uint32_t bits = load<uint32_t>(data.zeros, word) >> (linear_.bits * place);
      return static_cast<int32_t>((bits + static_cast<uint32_t>(linear_.zero_offset)) & mask);
    };
    const int64_t place = row % per_word;
    switch (linear_.layout) {
      case CodeLayout::kGptq: return take(group * (linear_.out / per_word) + row / per_word, place);
      case CodeLayout::kAwq:
        return take(group * (linear_.out / per_word) + row / per_word,
                    kAwqNibble[static_cast<size_t>(place)]);
      case CodeLayout::kPacked: return take(row / per_word * num_groups_ + group, place);
      case CodeLayout::kBytes: break;
    }
    return load<int8_t>(data.zeros, row * num_groups_ + group);
  }

  Result<void> read_zeros(const QuantizedData& data) {
    if (data.zeros.empty()) return {};
    zeros_.resize(static_cast<size_t>(num_rows_ * num_groups_));
    for (int64_t row = 0; row < num_rows_; ++row) {
      for (int64_t group = 0; group < num_groups_; ++group) {
        const int32_t zero = stored_zero(data, row, group);
        if (linear_.is_symmetric && zero != middle_) {
          return invalid_argument(fmt::format(
              "tensor {}: zero {} of row {}, group {}; config.json says that all are {}",
              linear_.name, zero, row, group, middle_));
        }
        zeros_[static_cast<size_t>(row * num_groups_ + group)] = zero;
      }
    }
    return {};
  }

  const QuantizedLinear& linear_;
  int64_t num_rows_;
  int64_t num_groups_;
  int32_t middle_;
  std::vector<float> scales_;
  std::vector<int32_t> zeros_;  // empty: all in the middle
};

// The group of each column.
Result<std::vector<int64_t>> column_groups(const QuantizedLinear& linear, const QuantizedData& data,
                                           int64_t num_groups) {
  std::vector<int64_t> groups(static_cast<size_t>(linear.in));
  for (int64_t column = 0; column < linear.in; ++column) {
    int64_t group = column / linear.scale_columns;
    if (linear.has_column_order && !data.group_index.empty()) {
      group = load<int32_t>(data.group_index, column);
      if (group < 0 || group >= num_groups) {
        return invalid_argument(fmt::format("tensor {}: column {} is of group {}, there are {}",
                                            linear.name, column, group, num_groups));
      }
    }
    groups[static_cast<size_t>(column)] = group;
  }
  return groups;
}

// The codes of rows [first, first + rows), each `in` long: unsigned, or signed for I8.
void unpack(const QuantizedLinear& linear, std::span<const std::byte> codes, int64_t first,
            int64_t rows, std::vector<int32_t>& to) {
  const int64_t per_word = 32 / linear.bits;
  const uint32_t mask = linear.bits == 32 ? ~0U : (1U << linear.bits) - 1U;
  const auto at = [&](int64_t row, int64_t column) -> int32_t& {
    return to[static_cast<size_t>(row * linear.in + column)];
  };
  const auto code = [&](int64_t word, int64_t place) {
    return static_cast<int32_t>((load<uint32_t>(codes, word) >> (linear.bits * place)) & mask);
  };
  // In each layout the inner loop runs along the words of memory.
  switch (linear.layout) {
    case CodeLayout::kGptq:
      for (int64_t column = 0; column < linear.in; ++column) {
        const int64_t line = column / per_word * linear.out;
        for (int64_t row = 0; row < rows; ++row) {
          at(row, column) = code(line + first + row, column % per_word);
        }
      }
      return;
    case CodeLayout::kAwq:
      for (int64_t column = 0; column < linear.in; ++column) {
        const int64_t line = column * (linear.out / per_word);
        for (int64_t row = 0; row < rows; ++row) {
          const int64_t output = first + row;
          at(row, column) =
              code(line + output / per_word, kAwqNibble[static_cast<size_t>(output % per_word)]);
        }
      }
      return;
    case CodeLayout::kPacked:
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t line = (first + row) * (linear.in / per_word);
        for (int64_t column = 0; column < linear.in; ++column) {
          at(row, column) = code(line + column / per_word, column % per_word);
        }
      }
      return;
    case CodeLayout::kBytes:
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < linear.in; ++column) {
          at(row, column) = load<int8_t>(codes, (first + row) * linear.in + column);
        }
      }
      return;
  }
}

// One row of codes as blocks that hold them.
void write_blocks(const QuantizedLinear& linear, const Scales& scales, int64_t row,
                  const int32_t* codes, std::byte* to) {
  const FormatTraits& format = format_traits(linear.dtype);
  for (int64_t column = 0; column < linear.in; column += kBlock, to += format.block_bytes) {
    const int64_t group = column / linear.scale_columns;
    const float scale = scales.scale(row, group);
    const uint16_t d = float_to_f16(scale);
    std::memcpy(to, &d, sizeof(d));
    std::byte* quants = to + sizeof(d);
    const int32_t* block = codes + column;
    if (linear.dtype == DType::kQ8_0) {
      const int32_t zero = scales.zero(row, group);
      for (int64_t i = 0; i < kBlock; ++i) quants[i] = static_cast<std::byte>(block[i] - zero);
      continue;
    }
    if (linear.dtype == DType::kQ4_1) {
      const uint16_t m =
          float_to_f16(-f16_to_float(d) * static_cast<float>(scales.zero(row, group)));
      std::memcpy(quants, &m, sizeof(m));
      quants += sizeof(m);
    }
    for (int64_t i = 0; i < kBlock / 2; ++i) {
      quants[i] = static_cast<std::byte>(block[i] | (block[i + kBlock / 2] << 4));
    }
  }
}

void write_values(const QuantizedLinear& linear, const Scales& scales,
                  const std::vector<int64_t>& groups, int64_t row, const int32_t* codes,
                  std::vector<float>& values, std::byte* to) {
  std::array<float, 256> fp8 = {};
  if (linear.is_fp8) {
    std::array<std::byte, 256> all = {};
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::byte>(i);
    format_traits(DType::kF8E4M3).decode(all.data(), fp8.data(), 256);
  }
  for (int64_t column = 0; column < linear.in; ++column) {
    const int64_t group = groups[static_cast<size_t>(column)];
    const int32_t code = codes[column];
    const float value = linear.is_fp8 ? fp8[static_cast<size_t>(code & 0xFF)]
                                      : static_cast<float>(code - scales.zero(row, group));
    values[static_cast<size_t>(column)] = value * scales.scale(row, group);
  }
  format_traits(linear.dtype).encode(values.data(), to, linear.in);
}

}  // namespace

Result<void> read_quantized_linear(const QuantizedLinear& linear, const QuantizedData& data,
                                   std::span<std::byte> out) {
  const int64_t row_bytes = dtype_bytes(linear.dtype, linear.in);
  CHECK(static_cast<int64_t>(out.size()) == row_bytes * linear.out);
  ASSIGN_OR_RETURN(const Scales scales, Scales::create(linear, data));
  ASSIGN_OR_RETURN(const std::vector<int64_t> groups,
                   column_groups(linear, data, scales.num_groups()));
  std::vector<int32_t> codes(static_cast<size_t>(kTileRows * linear.in));
  std::vector<float> values(static_cast<size_t>(linear.in));
  for (int64_t first = 0; first < linear.out; first += kTileRows) {
    const int64_t rows = std::min(kTileRows, linear.out - first);
    unpack(linear, data.codes, first, rows, codes);
    for (int64_t row = 0; row < rows; ++row) {
      const int32_t* row_codes = codes.data() + row * linear.in;
      std::byte* to = out.data() + (first + row) * row_bytes;
      if (linear.is_exact) {
        write_blocks(linear, scales, first + row, row_codes, to);
      } else {
        write_values(linear, scales, groups, first + row, row_codes, values, to);
      }
    }
  }
  return {};
}

}  // namespace pagoda
