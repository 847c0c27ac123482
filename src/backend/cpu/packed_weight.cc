// Packing: rows of any storage format into panels.
#include "backend/cpu/packed_weight.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include "backend/cpu/quant_pack.h"
#include "base/check.h"
#include "tensor/formats/blocks.h"

namespace pagoda::cpu {
namespace {

// k handled at a time. Long enough that each visit of a row is a stream the memory system sees
// coming; short enough that the packed block, 32 KiB of bf16, stays in the second-level cache.
constexpr int64_t kBlockElements = 512;

// Bytes of one panel of rows of `num_inputs`; 0 when the format does not hold them.
int64_t panel_bytes_of(DType dtype, int64_t num_inputs) {
  switch (dtype) {
    case DType::kF32: return num_inputs * kPanelRows * 4;
    case DType::kBF16: return (num_inputs + 1) / 2 * kPanelRows * 4;
    case DType::kQ8_0:
      return num_inputs % kQ8GroupElements == 0 ? num_inputs / kQ8GroupElements * kQ8GroupBytes : 0;
    default: break;
  }
  const QuantLayout* layout = quant_layout(dtype);
  if (layout == nullptr || num_inputs % layout->unit_elements() != 0) return 0;
  return num_inputs / layout->unit_elements() * layout->unit_bytes();
}

// What one panel is made from and into.
struct PanelJob {
  DType source_dtype;
  DType dtype;
  const CpuKernels& kernels;
  std::span<const std::byte* const> rows;  // 1 .. 32
  int64_t num_inputs;
  std::byte* out;
};

// Part of a row in the format it is packed in. No format takes more than 4 bytes an element.
using Chunk = std::byte[kBlockElements * 4];

// Elements of a row to floats.
void read_floats(const PanelJob& job, const std::byte* from, int64_t count, float* out) {
  uint16_t halves[kBlockElements];
  const auto num_bytes = static_cast<size_t>(count) * sizeof(uint16_t);
  switch (job.source_dtype) {
    case DType::kBF16:
      std::memcpy(halves, from, num_bytes);
      job.kernels.from_bf16(halves, out, count);
      break;
    case DType::kF16:
      std::memcpy(halves, from, num_bytes);
      job.kernels.from_f16(halves, out, count);
      break;
    default: format_traits(job.source_dtype).decode(from, out, count);
  }
}

void to_q8_blocks(const PanelJob& job, const float* values, int64_t count, std::byte* out) {
  uint8_t quants[kBlockElements];
  float scales[kBlockElements / kQ8GroupElements];
  job.kernels.quantize_q8(values, count, quants, scales);
  for (int64_t group = 0; group < count / kQ8GroupElements; ++group) {
    BlockQ8_0 block;
    block.scale = float_to_f16(scales[group]);
    for (int64_t i = 0; i < kQ8GroupElements; ++i) {
      block.quants[i] = static_cast<int8_t>(quants[group * kQ8GroupElements + i] - 128);
    }
    std::memcpy(out + group * static_cast<int64_t>(sizeof(block)), &block, sizeof(block));
  }
}

// Elements [k, k + count) of a row in the format they are packed in: the source's own bits, or
// converted into `buffer`.
const std::byte* chunk_of(const PanelJob& job, const std::byte* row, int64_t k, int64_t count,
                          Chunk& buffer) {
  const std::byte* from = row + dtype_bytes(job.source_dtype, k);
  if (job.source_dtype == job.dtype) return from;
  float values[kBlockElements];
  read_floats(job, from, count, values);
  switch (job.dtype) {
    case DType::kF32: std::memcpy(buffer, values, static_cast<size_t>(count) * 4); break;
    case DType::kBF16: {
      uint16_t halves[kBlockElements];
      job.kernels.to_bf16(values, halves, count);
      std::memcpy(buffer, halves, static_cast<size_t>(count) * sizeof(uint16_t));
      break;
    }
    case DType::kQ8_0: to_q8_blocks(job, values, count, buffer); break;
    default: format_traits(job.dtype).encode(values, buffer, count);
  }
  return buffer;
}

// Whole words of up to four rows, each word of 32 rows behind the one before.
void place_words(std::span<const std::byte* const> rows, int64_t num_words, std::byte* out) {
  constexpr int64_t kWordBytes = 4;
  constexpr int64_t kStride = kPanelRows * kWordBytes;
  int64_t word = 0;
  if (rows.size() == kTileRows) {
    for (; word + kTileRows <= num_words; word += kTileRows) {
      WordVector tile[kTileRows];
      for (size_t row = 0; row < rows.size(); ++row) {
        tile[row] = load_words(rows[row] + word * kWordBytes);
      }
      transpose_words(tile);
      for (int64_t i = 0; i < kTileRows; ++i) store_words(out + (word + i) * kStride, tile[i]);
    }
  }
  for (; word < num_words; ++word) {
    for (size_t row = 0; row < rows.size(); ++row) {
      std::memcpy(out + word * kStride + static_cast<int64_t>(row) * kWordBytes,
                  rows[row] + word * kWordBytes, kWordBytes);
    }
  }
}

void place_bf16(std::span<const std::byte* const> rows, int64_t count, std::byte* out) {
  place_words(rows, count / 2, out);
  if (count % 2 == 0) return;
  for (size_t row = 0; row < rows.size(); ++row) {
    std::memcpy(out + count / 2 * kPanelRows * 4 + row * 4, rows[row] + (count - 1) * 2, 2);
  }
}

// Rows that are not there hold zeros: the quant 0 is stored as 128.
void place_q8(std::span<const std::byte* const> rows, int64_t num_blocks, int64_t lane,
              std::byte* groups) {
  constexpr auto kBlockBytes = static_cast<int64_t>(sizeof(BlockQ8_0));
  constexpr int64_t kVectorBytes = sizeof(WordVector);
  for (int64_t i = 0; i < num_blocks; ++i, groups += kQ8GroupBytes) {
    for (int64_t part = 0; part < kQ8GroupElements / kVectorBytes; ++part) {
      WordVector tile[kTileRows] = {};
      for (size_t row = 0; row < rows.size(); ++row) {
        tile[row] = load_words(rows[row] + i * kBlockBytes + 2 + part * kVectorBytes);
      }
      transpose_words(tile);
      for (int64_t j = 0; j < kTileRows; ++j) {
        store_words(groups + ((part * kTileRows + j) * kPanelRows + lane) * 4,
                    tile[j] ^ 0x80808080U);
      }
    }
    for (size_t row = 0; row < rows.size(); ++row) {
      std::memcpy(groups + kQ8GroupElements * kPanelRows + lane * 2 + row * 2,
                  rows[row] + i * kBlockBytes, 2);
    }
  }
}

// Elements [k, k + count) of up to four rows, in their format, from lane `lane` on.
void place_chunks(const PanelJob& job, std::span<const std::byte* const> chunks, int64_t lane,
                  int64_t k, int64_t count) {
  const int32_t block = format_traits(job.dtype).block_elements;
  switch (job.dtype) {
    case DType::kF32: place_words(chunks, count, job.out + (k * kPanelRows + lane) * 4); break;
    case DType::kBF16: place_bf16(chunks, count, job.out + (k / 2 * kPanelRows + lane) * 4); break;
    case DType::kQ8_0:
      place_q8(chunks, count / block, lane, job.out + k / kQ8GroupElements * kQ8GroupBytes);
      break;
    default: {
      const QuantLayout& layout = *quant_layout(job.dtype);
      place_blocks(job.dtype, chunks, count / block, lane,
                   job.out + k / layout.unit_elements() * layout.unit_bytes());
    }
  }
}

void pack_panel(const PanelJob& job) {
  const auto num_rows = static_cast<int64_t>(job.rows.size());
  const int64_t lanes = job.dtype == DType::kQ8_0 ? kPanelRows : num_rows;
  Chunk buffers[kTileRows];
  for (int64_t k = 0; k < job.num_inputs; k += kBlockElements) {
    const int64_t count = std::min(kBlockElements, job.num_inputs - k);
    for (int64_t lane = 0; lane < lanes; lane += kTileRows) {
      const std::byte* chunks[kTileRows];
      const auto present = static_cast<size_t>(std::clamp<int64_t>(num_rows - lane, 0, kTileRows));
      for (size_t i = 0; i < present; ++i) {
        chunks[i] = chunk_of(job, job.rows[static_cast<size_t>(lane) + i], k, count, buffers[i]);
      }
      place_chunks(job, {chunks, present}, lane, k, count);
    }
  }
}

// The first error of several workers; when there is one the others need not go on.
class FirstError {
 public:
  void set(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    is_set_.store(true, std::memory_order_relaxed);
  }
  bool is_set() const { return is_set_.load(std::memory_order_relaxed); }
  // Once all workers are done.
  Result<void> take() {
    const std::lock_guard lock(mutex_);
    if (error_) return *std::move(error_);
    return {};
  }

 private:
  std::atomic<bool> is_set_ = false;
  std::mutex mutex_;
  std::optional<Error> error_;  // under mutex_
};

Result<void> check_packable(const RowSource& source, DType dtype) {
  const Shape& shape = source.shape();
  const DType from = source.dtype();
  const bool plain = dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kQ8_0;
  if (!plain && quant_layout(dtype) == nullptr) {
    return invalid_argument(
        fmt::format("weights cannot be kept as {}; f32, bf16 and the block formats can",
                    format_traits(dtype).name));
  }
  if (!plain && shape.rank() != 1 && from != dtype && format_traits(dtype).encode == nullptr) {
    return invalid_argument(fmt::format("{} is only read from files, {} cannot be converted to it",
                                        format_traits(dtype).name, format_traits(from).name));
  }
  if (format_traits(from).decode == nullptr) {
    return invalid_argument(fmt::format("a weight of shape {} holds {}, not floats",
                                        to_string(shape), format_traits(from).name));
  }
  if (PackedWeight::packed_bytes(shape, dtype) == 0) {
    const int32_t block = format_traits(dtype).block_elements;
    return invalid_argument(fmt::format(
        "{} cannot hold a weight of shape {}: {}", format_traits(dtype).name, to_string(shape),
        block > 1 ? fmt::format("rows must be a multiple of {} long", block)
                  : "it must be a vector or a matrix, and not empty"));
  }
  const int64_t columns = shape[shape.rank() - 1];
  if (columns % format_traits(from).block_elements != 0) {
    return invalid_argument(fmt::format("a weight of shape {} is not whole blocks of {}",
                                        to_string(shape), format_traits(from).name));
  }
  return {};
}

}  // namespace

int64_t PackedWeight::packed_bytes(const Shape& shape, DType dtype) {
  // Far above any weight, and small enough that no product below overflows.
  constexpr int64_t kMaxDim = int64_t{1} << 28;
  for (int32_t axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] <= 0 || shape[axis] > kMaxDim) return 0;
  }
  if (shape.rank() == 1) {
    return (shape[0] + kLanes - 1) / kLanes * kLanes * static_cast<int64_t>(sizeof(float));
  }
  if (shape.rank() != 2) return 0;
  int64_t bytes = 0;
  const int64_t panels = (shape[0] + kPanelRows - 1) / kPanelRows;
  return __builtin_mul_overflow(panels, panel_bytes_of(dtype, shape[1]), &bytes) ? 0 : bytes;
}

Result<std::shared_ptr<const PackedWeight>> PackedWeight::pack(const RowSource& source, DType dtype,
                                                               const Packer& packer,
                                                               std::byte* place) {
  RETURN_IF_ERROR(check_packable(source, dtype));
  const Shape& shape = source.shape();
  auto weight = std::make_shared<PackedWeight>();
  weight->shape_ = shape;
  weight->dtype_ = shape.rank() == 1 ? DType::kF32 : dtype;
  weight->num_bytes_ = packed_bytes(shape, dtype);
  if (place == nullptr) {
    ASSIGN_OR_RETURN(weight->buffer_, Buffer::allocate(static_cast<size_t>(weight->num_bytes_)));
    place = weight->buffer_.data();
  }
  weight->data_ = place;
  if (shape.rank() == 1) {
    const std::byte* values = nullptr;
    RETURN_IF_ERROR(source.fetch(0, {&values, 1}, packer.scratch[0]));
    format_traits(source.dtype()).decode(values, reinterpret_cast<float*>(place), shape[0]);
    return std::shared_ptr<const PackedWeight>(std::move(weight));
  }
  weight->panel_bytes_ = panel_bytes_of(dtype, shape[1]);
  FirstError error;
  packer.pool.parallel_for(
      weight->num_panels(), 1, [&](int64_t begin, int64_t end, int32_t worker) {
        const std::byte* rows[kPanelRows];
        for (int64_t panel = begin; panel < end && !error.is_set(); ++panel) {
          const int64_t first_row = panel * kPanelRows;
          const auto num_rows = static_cast<size_t>(std::min(kPanelRows, shape[0] - first_row));
          const auto fetched = source.fetch(first_row, {rows, num_rows},
                                            packer.scratch[static_cast<size_t>(worker)]);
          if (!fetched.ok()) return error.set(fetched.error());
          pack_panel({.source_dtype = source.dtype(),
                      .dtype = dtype,
                      .kernels = packer.kernels,
                      .rows = {rows, num_rows},
                      .num_inputs = shape[1],
                      .out = place + panel * weight->panel_bytes_});
        }
      });
  RETURN_IF_ERROR(error.take());
  return std::shared_ptr<const PackedWeight>(std::move(weight));
}

void PackedWeight::decode_row(int64_t row, float* out) const {
  DCHECK(shape_.rank() == 2 && row >= 0 && row < shape_[0]);
  const std::byte* from = panel(row / kPanelRows);
  const int64_t lane = row % kPanelRows;
  const int64_t num_inputs = shape_[1];
  if (dtype_ == DType::kF32) {
    const auto* values = reinterpret_cast<const float*>(from);
    for (int64_t k = 0; k < num_inputs; ++k) out[k] = values[k * kPanelRows + lane];
  } else if (dtype_ == DType::kBF16) {
    const auto* halves = reinterpret_cast<const uint16_t*>(from);
    for (int64_t k = 0; k < num_inputs; ++k) {
      out[k] = bf16_to_float(halves[(k / 2 * kPanelRows + lane) * 2 + k % 2]);
    }
  } else if (dtype_ != DType::kQ8_0) {
    decode_lane(dtype_, from, num_inputs / format_traits(dtype_).block_elements, lane, out);
  } else {
    for (int64_t k = 0; k < num_inputs; k += kQ8GroupElements, from += kQ8GroupBytes) {
      uint16_t bits = 0;
      std::memcpy(&bits, from + kQ8GroupElements * kPanelRows + lane * 2, sizeof(bits));
      const float scale = f16_to_float(bits);
      for (int64_t i = 0; i < kQ8GroupElements; ++i) {
        const auto quant = static_cast<uint8_t>(from[(i / 4 * kPanelRows + lane) * 4 + i % 4]);
        out[k + i] = scale * static_cast<float>(quant - 128);
      }
    }
  }
}

}  // namespace pagoda::cpu
