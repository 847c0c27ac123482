// Finding a parameter's tensors and arranging what they hold.
#include "model/weight_source.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace pagoda {
namespace {

constexpr std::string_view kNumber = "{}";

bool is_numbered(const WeightSource& source) {
  return source.name.find(kNumber) != std::string::npos;
}

std::string tensor_name(const WeightSource& source, int64_t index) {
  std::string name = source.name;
  const size_t at = name.find(kNumber);
  if (at != std::string::npos) name.replace(at, kNumber.size(), std::to_string(index));
  return name;
}

// "language_model.model.norm.weight" of Transformers 4, "model.language_model.norm.weight" of 5.
const CheckpointTensor* find_tensor(const Checkpoint& checkpoint, const std::string& name) {
  const CheckpointTensor* tensor = checkpoint.find(name);
  if (tensor == nullptr) tensor = checkpoint.find("language_model." + name);
  constexpr std::string_view kModel = "model.";
  if (tensor == nullptr && name.starts_with(kModel)) {
    tensor = checkpoint.find("model.language_model." + name.substr(kModel.size()));
  }
  return tensor;
}

// A parameter as a stack of matrices; a vector is one of a single column.
struct Geometry {
  explicit Geometry(const Shape& shape)
      : num_matrices(shape.rank() == 3 ? shape[0] : 1),
        rows(shape.rank() == 1 ? shape[0] : shape[shape.rank() - 2]),
        columns(shape.rank() == 1 ? 1 : shape[shape.rank() - 1]) {}
  int64_t num_matrices;
  int64_t rows;
  int64_t columns;
};

// gpt-oss's blocks and DType::kMXFP4's have the same 32 elements and exponent.
constexpr int64_t kMxfp4Elements = 32;
constexpr int64_t kMxfp4Codes = 16;  // bytes

bool is_mxfp4(const WeightSource& source) {
  return !source.scales.empty();
}

// Rows of one matrix in the source.
int64_t source_rows(const WeightSource& source, const Geometry& g) {
  if (is_mxfp4(source)) return source.shape[1];
  const int64_t elements = source.shape.num_elements();
  return elements / g.columns / (is_numbered(source) ? 1 : g.num_matrices);
}

// The elements of `in` [columns, rows] that make `out` [wanted, columns]. In tiles, so that neither
// side is walked by whole columns.
template <typename Element>
void transpose(const std::byte* in, int64_t rows, std::byte* out, int64_t wanted, int64_t columns,
               int64_t first, int64_t step) {
  constexpr int64_t kTile = 32;
  for (int64_t r0 = 0; r0 < wanted; r0 += kTile) {
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      for (int64_t r = r0; r < std::min(r0 + kTile, wanted); ++r) {
        const int64_t from = first + r * step;
        for (int64_t c = c0; c < std::min(c0 + kTile, columns); ++c) {
          std::memcpy(out + (r * columns + c) * static_cast<int64_t>(sizeof(Element)),
                      in + (c * rows + from) * static_cast<int64_t>(sizeof(Element)),
                      sizeof(Element));
        }
      }
    }
  }
}

// Codes in pairs of neighbours (Transformers, integrations/mxfp4.py) as pairs 16 apart (GGML).
void rearrange_mxfp4(const std::byte* pairs, std::byte exponent, std::byte* block) {
  constexpr std::byte kLow{0x0F};
  constexpr std::byte kHigh{0xF0};
  *block++ = exponent;
  for (int64_t i = 0; i < kMxfp4Codes / 2; ++i, block += 2) {
    const std::byte first = pairs[i];
    const std::byte second = pairs[i + kMxfp4Codes / 2];
    block[0] = (first & kLow) | (second & kLow) << 4;
    block[1] = first >> 4 | (second & kHigh);
  }
}

Result<void> reserve(Buffer& buffer, int64_t num_bytes) {
  const auto size = static_cast<size_t>(num_bytes);
  if (buffer.num_bytes() >= size && buffer.num_bytes() / 2 <= size) return {};
  buffer = Buffer();  // first give back, then take
  ASSIGN_OR_RETURN(buffer, Buffer::allocate(size));
  return {};
}

Error wrong_shape(const CheckpointTensor& tensor, const Shape& wanted) {
  return invalid_argument(fmt::format("tensor {} has shape {}, config.json asks for {}",
                                      tensor.name, to_string(tensor.shape), to_string(wanted)));
}

// Blocks and scales of a source in MXFP4 whose blocks are there.
Result<std::vector<const CheckpointTensor*>> collect_mxfp4(const Checkpoint& checkpoint,
                                                           const WeightSource& source) {
  const Shape& blocks = source.shape;
  const Shape scales = {blocks[0], blocks[1], blocks[2]};
  std::vector<const CheckpointTensor*> tensors;
  for (const auto& [name, shape] : {std::pair(&source.name, &blocks), {&source.scales, &scales}}) {
    const CheckpointTensor* tensor = find_tensor(checkpoint, *name);
    if (tensor == nullptr) {
      return invalid_argument(
          fmt::format("{} has tensor {}, but lacks {}", checkpoint.path(), source.name, *name));
    }
    if (tensor->shape != *shape) return wrong_shape(*tensor, *shape);
    if (tensor->dtype_name != "U8") {
      return invalid_argument(
          fmt::format("tensor {} has dtype {}, wanted U8", *name, tensor->dtype_name));
    }
    tensors.push_back(tensor);
  }
  return tensors;
}

// All tensors of a source whose first one is there.
Result<std::vector<const CheckpointTensor*>> collect(const Checkpoint& checkpoint,
                                                     const WeightSource& source,
                                                     int64_t num_matrices) {
  if (is_mxfp4(source)) return collect_mxfp4(checkpoint, source);
  std::vector<const CheckpointTensor*> tensors;
  const int64_t count = is_numbered(source) ? num_matrices : 1;
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = tensor_name(source, i);
    const CheckpointTensor* tensor = find_tensor(checkpoint, name);
    if (tensor == nullptr) {
      return invalid_argument(fmt::format("{} lacks tensor {}, one of {} alike", checkpoint.path(),
                                          name, num_matrices));
    }
    if (tensor->shape != source.shape) return wrong_shape(*tensor, source.shape);
    if (!tensor->readable) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("tensor {} has dtype {}; supported are F32, BF16 and F16", name,
                               tensor->dtype_name)};
    }
    if (tensor->dtype != (i == 0 ? tensor : tensors[0])->dtype) {
      return invalid_argument(fmt::format("tensor {} has dtype {}, but {} has {}", name,
                                          tensor->dtype_name, tensors[0]->name,
                                          tensors[0]->dtype_name));
    }
    tensors.push_back(tensor);
  }
  return tensors;
}

}  // namespace

Result<std::optional<FoundWeight>> find_weight(const Checkpoint& checkpoint,
                                               const WeightSpec& spec) {
  const Geometry g(spec.shape);
  std::vector<WeightSource> sources = {{.name = spec.name, .shape = spec.shape}};
  sources.insert(sources.end(), spec.alternatives.begin(), spec.alternatives.end());
  std::optional<Error> mismatch;
  for (const WeightSource& source : sources) {
    const CheckpointTensor* first = find_tensor(checkpoint, tensor_name(source, 0));
    if (first == nullptr) continue;
    if (first->shape != source.shape) {
      if (!mismatch) mismatch = wrong_shape(*first, source.shape);
      continue;
    }
    FoundWeight found;
    found.spec_ = &spec;
    found.source_ = source;
    ASSIGN_OR_RETURN(found.tensors_, collect(checkpoint, source, g.num_matrices));
    found.dtype_ = is_mxfp4(source) ? DType::kMXFP4 : first->dtype;
    const int64_t rows = source_rows(source, g);
    // Parts of rows are taken, or rows apart, only of whole blocks.
    if ((rows != g.rows || is_mxfp4(source)) &&
        g.columns % format_traits(found.dtype_).block_elements != 0) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("tensor {} has dtype {}, of which rows of {} cannot be taken apart",
                               first->name, first->dtype_name, g.columns)};
    }
    const FormatTraits& traits = format_traits(found.dtype_);
    if (source.transposed && (traits.block_elements > 1 || traits.block_bytes == 1)) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("tensor {} has dtype {}, which cannot be transposed", first->name,
                               first->dtype_name)};
    }
    int64_t all_bytes = 0;
    for (const CheckpointTensor* tensor : found.tensors_) all_bytes += tensor->num_bytes;
    found.scratch_bytes_ = all_bytes / g.num_matrices;
    found.num_bytes_ = all_bytes / rows * g.rows;
    return std::optional<FoundWeight>(std::move(found));
  }
  if (mismatch) return *mismatch;
  return std::optional<FoundWeight>();
}

Result<TensorView> FoundWeight::read(const Checkpoint& checkpoint, int64_t index,
                                     Scratch& scratch) const {
  ASSIGN_OR_RETURN(const TensorView view, read_stored(checkpoint, index, scratch));
  if (spec_->offset == 0.0F) return view;
  const int64_t count = view.shape.num_elements();
  scratch.floats.resize(static_cast<size_t>(count));
  format_traits(view.dtype).decode(view.data, scratch.floats.data(), count);
  for (float& value : scratch.floats) value += spec_->offset;
  return TensorView{reinterpret_cast<const std::byte*>(scratch.floats.data()), DType::kF32,
                    view.shape};
}

std::optional<FileRows> FoundWeight::rows(const Checkpoint& checkpoint, int64_t index) const {
  if (spec_->shape.rank() < 2 || is_mxfp4(source_) || source_.transposed) return std::nullopt;
  const Geometry g(spec_->shape);
  const bool numbered = is_numbered(source_);
  const CheckpointTensor& tensor = *tensors_[numbered ? static_cast<size_t>(index) : 0];
  if (!Checkpoint::can_read_rows(tensor) || tensor.shape[tensor.shape.rank() - 1] != g.columns ||
      g.columns % format_traits(dtype_).block_elements != 0) {
    return std::nullopt;
  }
  const int64_t before = numbered ? 0 : index * source_rows(source_, g);
  return FileRows(checkpoint, tensor, {g.rows, g.columns}, before + source_.first_row,
                  source_.row_step);
}

Result<TensorView> FoundWeight::read_stored(const Checkpoint& checkpoint, int64_t index,
                                            Scratch& scratch) const {
  if (is_mxfp4(source_)) return read_mxfp4(checkpoint, index, scratch);
  const Geometry g(spec_->shape);
  const int64_t rows = source_rows(source_, g);
  TensorView view;
  if (is_numbered(source_) || g.num_matrices == 1) {
    const CheckpointTensor& tensor = *tensors_[static_cast<size_t>(index)];
    ASSIGN_OR_RETURN(view, checkpoint.read(tensor, scratch.raw));
  } else {
    const int64_t bytes = tensors_[0]->num_bytes / g.num_matrices;
    ASSIGN_OR_RETURN(view.data,
                     checkpoint.read_bytes(*tensors_[0], index * bytes, bytes, scratch.raw));
    view.dtype = dtype_;
  }
  view.shape = spec_->shape.rank() == 1 ? spec_->shape : Shape{g.rows, g.columns};
  if (rows == g.rows && !source_.transposed) return view;

  const FormatTraits& traits = format_traits(view.dtype);
  const int64_t row_bytes = g.columns / traits.block_elements * traits.block_bytes;
  const int64_t first = source_.first_row;
  const int64_t step = source_.row_step;
  CHECK(first + (g.rows - 1) * step < rows);
  if (!source_.transposed && step == 1) {
    view.data += first * row_bytes;
    return view;
  }
  RETURN_IF_ERROR(reserve(scratch.arranged, g.rows * row_bytes));
  std::byte* const out = scratch.arranged.data();
  if (!source_.transposed) {
    for (int64_t row = 0; row < g.rows; ++row) {
      std::memcpy(out + row * row_bytes, view.data + (first + row * step) * row_bytes,
                  static_cast<size_t>(row_bytes));
    }
  } else if (traits.block_bytes == 4) {
    transpose<uint32_t>(view.data, rows, out, g.rows, g.columns, first, step);
  } else {
    transpose<uint16_t>(view.data, rows, out, g.rows, g.columns, first, step);
  }
  view.data = out;
  return view;
}

Result<TensorView> FoundWeight::read_mxfp4(const Checkpoint& checkpoint, int64_t index,
                                           Scratch& scratch) const {
  const Geometry g(spec_->shape);
  const int64_t row_blocks = g.columns / kMxfp4Elements;
  const int64_t matrix_blocks = source_.shape[1] * row_blocks;
  const int64_t block_bytes = format_traits(DType::kMXFP4).block_bytes;
  CHECK(source_.first_row + (g.rows - 1) * source_.row_step < source_.shape[1]);
  ASSIGN_OR_RETURN(const std::byte* codes,
                   checkpoint.read_bytes(*tensors_[0], index * matrix_blocks * kMxfp4Codes,
                                         matrix_blocks * kMxfp4Codes, scratch.raw));
  ASSIGN_OR_RETURN(
      const std::byte* scales,
      checkpoint.read_bytes(*tensors_[1], index * matrix_blocks, matrix_blocks, scratch.scales));
  RETURN_IF_ERROR(reserve(scratch.arranged, g.rows * row_blocks * block_bytes));
  std::byte* out = scratch.arranged.data();
  for (int64_t row = 0; row < g.rows; ++row) {
    const int64_t from = (source_.first_row + row * source_.row_step) * row_blocks;
    for (int64_t i = from; i < from + row_blocks; ++i, out += block_bytes) {
      rearrange_mxfp4(codes + i * kMxfp4Codes, scales[i], out);
    }
  }
  return TensorView{scratch.arranged.data(), DType::kMXFP4, {g.rows, g.columns}};
}

}  // namespace pagoda
