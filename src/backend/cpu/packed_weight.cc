// Packing: rows of any storage format into panels.
#include "backend/cpu/packed_weight.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cpu/quant_pack.h"
#include "base/check.h"

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

// Reads rows of the source as floats.
class RowReader {
 public:
  RowReader(const TensorView& source, int64_t num_inputs, const CpuKernels& kernels)
      : source_(source),
        traits_(format_traits(source.dtype)),
        row_bytes_(dtype_bytes(source.dtype, num_inputs)),
        kernels_(kernels) {}

  // Address of element k of a row; k is the first of a block.
  const std::byte* at(int64_t row, int64_t k) const {
    return source_.data + row * row_bytes_ + k / traits_.block_elements * traits_.block_bytes;
  }

  // Elements [k, k + count) to out; whole blocks.
  void read(int64_t row, int64_t k, int64_t count, float* out) const {
    uint16_t halves[kBlockElements];
    switch (source_.dtype) {
      case DType::kBF16:
        std::memcpy(halves, at(row, k), static_cast<size_t>(count) * sizeof(uint16_t));
        kernels_.from_bf16(halves, out, count);
        break;
      case DType::kF16:
        std::memcpy(halves, at(row, k), static_cast<size_t>(count) * sizeof(uint16_t));
        kernels_.from_f16(halves, out, count);
        break;
      default: traits_.decode(at(row, k), out, count);
    }
  }

 private:
  const TensorView& source_;
  const FormatTraits& traits_;
  int64_t row_bytes_;
  const CpuKernels& kernels_;
};

// What one panel is made from and into.
struct PanelJob {
  const RowReader& reader;
  DType source_dtype;
  const CpuKernels& kernels;
  int64_t first_row;
  int64_t num_rows;  // 1 .. 32
  int64_t num_inputs;
  std::byte* out;
};

void pack_f32(const PanelJob& job) {
  auto* out = reinterpret_cast<float*>(job.out);
  float block[kBlockElements];
  for (int64_t k = 0; k < job.num_inputs; k += kBlockElements) {
    const int64_t count = std::min(kBlockElements, job.num_inputs - k);
    for (int64_t row = 0; row < job.num_rows; ++row) {
      job.reader.read(job.first_row + row, k, count, block);
      for (int64_t i = 0; i < count; ++i) out[(k + i) * kPanelRows + row] = block[i];
    }
  }
}

void pack_bf16(const PanelJob& job) {
  float block[kBlockElements];
  uint16_t halves[kBlockElements];
  for (int64_t k = 0; k < job.num_inputs; k += kBlockElements) {
    const int64_t count = std::min(kBlockElements, job.num_inputs - k);
    for (int64_t row = 0; row < job.num_rows; ++row) {
      if (job.source_dtype == DType::kBF16) {
        // The same bits: no rounding, and a NaN stays what it was.
        std::memcpy(halves, job.reader.at(job.first_row + row, k), static_cast<size_t>(count) * 2);
      } else {
        job.reader.read(job.first_row + row, k, count, block);
        job.kernels.to_bf16(block, halves, count);
      }
      if (count % 2 != 0) halves[count] = 0;
      std::byte* to = job.out + (k / 2 * kPanelRows + row) * 4;
      for (int64_t i = 0; i < count; i += 2, to += kPanelRows * 4) std::memcpy(to, halves + i, 4);
    }
  }
}

// Groups of one row from k on: from the file's own blocks, bit for bit, or quantised.
void read_q8(const PanelJob& job, int64_t row, int64_t k, int64_t count, uint8_t* quants,
             uint16_t* scales) {
  if (job.source_dtype == DType::kQ8_0) {
    const std::byte* block = job.reader.at(job.first_row + row, k);
    for (int64_t group = 0; group < count / kQ8GroupElements; ++group, block += 34) {
      std::memcpy(scales + group, block, sizeof(*scales));
      for (int64_t i = 0; i < kQ8GroupElements; ++i) {
        quants[group * kQ8GroupElements + i] =
            static_cast<uint8_t>(static_cast<uint8_t>(block[2 + i]) ^ 0x80U);
      }
    }
    return;
  }
  float values[kBlockElements];
  float float_scales[kBlockElements / kQ8GroupElements];
  job.reader.read(job.first_row + row, k, count, values);
  job.kernels.quantize_q8(values, count, quants, float_scales);
  for (int64_t group = 0; group < count / kQ8GroupElements; ++group) {
    scales[group] = float_to_f16(float_scales[group]);
  }
}

void pack_q8(const PanelJob& job) {
  uint8_t quants[kBlockElements];
  uint16_t scales[kBlockElements / kQ8GroupElements];
  for (int64_t k = 0; k < job.num_inputs; k += kBlockElements) {
    const int64_t count = std::min(kBlockElements, job.num_inputs - k);
    for (int64_t row = 0; row < kPanelRows; ++row) {
      // Rows that pad the panel are zero: the quant 0 is stored as 128.
      if (row < job.num_rows) {
        read_q8(job, row, k, count, quants, scales);
      } else {
        std::memset(quants, 128, sizeof(quants));
        std::memset(scales, 0, sizeof(scales));
      }
      std::byte* group = job.out + k / kQ8GroupElements * kQ8GroupBytes;
      for (int64_t i = 0; i < count; i += kQ8GroupElements, group += kQ8GroupBytes) {
        for (int64_t j = 0; j < kQ8GroupElements; j += 4) {
          std::memcpy(group + (j / 4 * kPanelRows + row) * 4, quants + i + j, 4);
        }
        std::memcpy(group + kQ8GroupElements * kPanelRows + row * 2, scales + i / kQ8GroupElements,
                    2);
      }
    }
  }
}

// Blocks of one row from the file, bit for bit, or made from floats.
void pack_blocks(DType dtype, const PanelJob& job) {
  const QuantLayout& layout = *quant_layout(dtype);
  const FormatTraits& format = format_traits(dtype);
  float values[kBlockElements];
  std::byte encoded[kBlockElements];  // no block takes a byte an element
  for (int64_t k = 0; k < job.num_inputs; k += kBlockElements) {
    const int64_t count = std::min(kBlockElements, job.num_inputs - k);
    for (int64_t row = 0; row < job.num_rows; ++row) {
      const std::byte* blocks = encoded;
      if (job.source_dtype == dtype) {
        blocks = job.reader.at(job.first_row + row, k);
      } else {
        job.reader.read(job.first_row + row, k, count, values);
        format.encode(values, encoded, count);
      }
      place_blocks(dtype, blocks, count / format.block_elements, row,
                   job.out + k / layout.unit_elements() * layout.unit_bytes());
    }
  }
}

void pack_panel(DType dtype, const PanelJob& job) {
  switch (dtype) {
    case DType::kF32: pack_f32(job); break;
    case DType::kBF16: pack_bf16(job); break;
    case DType::kQ8_0: pack_q8(job); break;
    default: pack_blocks(dtype, job);
  }
}

Result<void> check_packable(const TensorView& source, DType dtype) {
  const Shape& shape = source.shape;
  const bool plain = dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kQ8_0;
  if (!plain && quant_layout(dtype) == nullptr) {
    return invalid_argument(
        fmt::format("weights cannot be kept as {}; f32, bf16 and the block formats can",
                    format_traits(dtype).name));
  }
  if (!plain && shape.rank() != 1 && source.dtype != dtype &&
      format_traits(dtype).encode == nullptr) {
    return invalid_argument(fmt::format("{} is only read from files, {} cannot be converted to it",
                                        format_traits(dtype).name,
                                        format_traits(source.dtype).name));
  }
  if (format_traits(source.dtype).decode == nullptr) {
    return invalid_argument(fmt::format("a weight of shape {} holds {}, not floats",
                                        to_string(shape), format_traits(source.dtype).name));
  }
  if (PackedWeight::packed_bytes(shape, dtype) == 0) {
    const int32_t block = format_traits(dtype).block_elements;
    return invalid_argument(fmt::format(
        "{} cannot hold a weight of shape {}: {}", format_traits(dtype).name, to_string(shape),
        block > 1 ? fmt::format("rows must be a multiple of {} long", block)
                  : "it must be a vector or a matrix, and not empty"));
  }
  const int64_t columns = shape[shape.rank() - 1];
  if (columns % format_traits(source.dtype).block_elements != 0) {
    return invalid_argument(fmt::format("a weight of shape {} is not whole blocks of {}",
                                        to_string(shape), format_traits(source.dtype).name));
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

Result<std::shared_ptr<const PackedWeight>> PackedWeight::pack(const TensorView& source,
                                                               DType dtype,
                                                               const CpuKernels& kernels,
                                                               ThreadPool& pool, std::byte* place) {
  RETURN_IF_ERROR(check_packable(source, dtype));
  auto weight = std::make_shared<PackedWeight>();
  weight->shape_ = source.shape;
  weight->dtype_ = source.shape.rank() == 1 ? DType::kF32 : dtype;
  weight->num_bytes_ = packed_bytes(source.shape, dtype);
  if (place == nullptr) {
    ASSIGN_OR_RETURN(weight->buffer_, Buffer::allocate(static_cast<size_t>(weight->num_bytes_)));
    place = weight->buffer_.data();
  }
  weight->data_ = place;
  if (source.shape.rank() == 1) {
    format_traits(source.dtype)
        .decode(source.data, reinterpret_cast<float*>(place), source.shape[0]);
    return std::shared_ptr<const PackedWeight>(std::move(weight));
  }
  const int64_t num_inputs = source.shape[1];
  const RowReader reader(source, num_inputs, kernels);
  weight->panel_bytes_ = panel_bytes_of(dtype, num_inputs);
  pool.parallel_for(weight->num_panels(), 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t first_row = panel * kPanelRows;
      pack_panel(dtype, {.reader = reader,
                         .source_dtype = source.dtype,
                         .kernels = kernels,
                         .first_row = first_row,
                         .num_rows = std::min(kPanelRows, source.shape[0] - first_row),
                         .num_inputs = num_inputs,
                         .out = place + panel * weight->panel_bytes_});
    }
  });
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
