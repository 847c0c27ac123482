// Checking, reading and packing parameters.
#include "model/weights.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_set>
#include <utility>

#include "backend/null_ops.h"
#include "tensor/quantize.h"

namespace pagoda {
namespace {

Error missing_tensors(const std::vector<std::string>& names, const std::string& folder) {
  constexpr size_t kMaxShown = 3;
  std::string message = fmt::format("{} lacks {} of the model's tensors: ", folder, names.size());
  for (size_t i = 0; i < std::min(names.size(), kMaxShown); ++i) {
    message += (i > 0 ? ", " : "") + names[i];
  }
  if (names.size() > kMaxShown) message += ", ...";
  return invalid_argument(message);
}

// The layer that a tensor of the language model is of; nothing for others.
std::optional<int64_t> layer_of(std::string_view name) {
  for (const std::string_view prefix :
       {"model.layers.", "language_model.model.layers.", "model.language_model.layers."}) {
    if (!name.starts_with(prefix)) continue;
    int64_t layer = -1;
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, layer);
    if (error == std::errc() && rest != end && *rest == '.' && layer >= 0) return layer;
  }
  return std::nullopt;
}

// Buffers that Transformers once saved and now recomputes.
bool is_known_leftover(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq");
}

// None of the families here keeps layers behind its own, as those with layers for speculation do.
Result<void> check_no_more_layers(const Checkpoint& checkpoint,
                                  const std::vector<WeightSpec>& specs) {
  int64_t num_layers = 0;
  for (const WeightSpec& spec : specs) {
    num_layers = std::max(num_layers, layer_of(spec.name).value_or(-1) + 1);
  }
  if (num_layers == 0) return {};
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    const int64_t layer = layer_of(tensor.name).value_or(0);
    if (layer < num_layers || is_known_leftover(tensor.name)) continue;
    return invalid_argument(fmt::format("{} has tensor {}, but \"num_hidden_layers\" of {} is {}",
                                        checkpoint.path(), tensor.name, checkpoint.config_path(),
                                        num_layers));
  }
  return {};
}

void report_unused(const Checkpoint& checkpoint, const std::vector<FoundWeight>& found,
                   const LoadCallbacks& callbacks) {
  if (!callbacks.note) return;
  const std::vector<const CheckpointTensor*> unused = unused_tensors(checkpoint, found);
  if (unused.empty()) return;
  callbacks.note(fmt::format("{} tensors of the checkpoint are not used, the first is {}",
                             unused.size(), unused.front()->name));
}

bool is_quantized(DType dtype) {
  return format_traits(dtype).block_elements > 1;
}

bool is_below_six_bits(DType dtype) {
  const FormatTraits& format = format_traits(dtype);
  return is_quantized(dtype) && format.block_bytes * 8 < format.block_elements * 6;
}

bool is_embedding_or_output(const WeightSpec& spec) {
  return spec.name == "model.embed_tokens.weight" || spec.name == "lm_head.weight";
}

// gpt-oss's experts, whose format is no dtype of the file (model/weight_source.h).
bool is_mxfp4_blocks(const CheckpointTensor& tensor) {
  return tensor.dtype_name == "U8" && tensor.name.ends_with("_blocks");
}

// Counts what has been read, and asks whether to go on.
struct Progress {
  explicit Progress(const LoadCallbacks& to) : callbacks(to) {}
  Result<void> add(int64_t num_bytes) {
    done_bytes += num_bytes;
    if (callbacks.progress && !callbacks.progress(done_bytes, total_bytes)) {
      return Error{ErrorCode::kCancelled, "loading was stopped"};
    }
    return {};
  }
  const LoadCallbacks& callbacks;
  int64_t done_bytes = 0;
  int64_t total_bytes = 0;
};

// Reads a parameter's matrices, by way of the cache those that are to be converted to blocks.
class MatrixReader {
 public:
  MatrixReader(const Checkpoint& checkpoint, Backend& backend, QuantizedCache* cache)
      : checkpoint_(checkpoint), backend_(backend), cache_(cache) {}

  // Matrix `index` of `found`, or a vector: valid until the next call.
  Result<const RowSource*> read(const FoundWeight& found, int64_t index, DType dtype) {
    file_rows_.reset();
    if (!uses_cache(found, dtype)) file_rows_ = found.rows(checkpoint_, index);
    if (file_rows_) return &*file_rows_;
    ASSIGN_OR_RETURN(const TensorView view, read_whole(found, index, dtype));
    view_rows_.emplace(view);
    return &*view_rows_;
  }

  void prefetch(const CheckpointTensor& tensor) const {
    if (cache_ == nullptr || !cache_->has_file()) checkpoint_.prefetch(tensor);
  }

 private:
  Result<TensorView> read_whole(const FoundWeight& found, int64_t index, DType dtype) {
    if (!uses_cache(found, dtype)) return found.read(checkpoint_, index, scratch_);
    const Shape& shape = found.spec().shape;
    const int32_t rank = shape.rank();
    const std::string name = fmt::format("{} {}", found.spec().name, index);
    ASSIGN_OR_RETURN(const auto cached,
                     cache_->find(name, dtype, {shape[rank - 2], shape[rank - 1]}, blocks_));
    if (cached) return *cached;
    ASSIGN_OR_RETURN(const TensorView floats, found.read(checkpoint_, index, scratch_));
    ASSIGN_OR_RETURN(const TensorView view,
                     quantize(floats, dtype, backend_.thread_pool(), blocks_));
    cache_->add(name, view);
    return view;
  }

  bool uses_cache(const FoundWeight& found, DType dtype) const {
    return cache_ != nullptr && is_quantized(dtype) && found.dtype() != dtype &&
           found.spec().shape.rank() > 1;
  }

  const Checkpoint& checkpoint_;
  Backend& backend_;
  QuantizedCache* cache_;
  FoundWeight::Scratch scratch_;
  Buffer blocks_;
  std::optional<FileRows> file_rows_;
  std::optional<ViewRows> view_rows_;
};

Result<WeightPtr> pack(MatrixReader& reader, const FoundWeight& found, DType dtype,
                       Backend& backend, Progress& progress) {
  const Shape& shape = found.spec().shape;
  if (shape.rank() != 3) {
    ASSIGN_OR_RETURN(const RowSource* source, reader.read(found, 0, dtype));
    ASSIGN_OR_RETURN(WeightPtr weight, backend.pack_rows(*source, dtype));
    RETURN_IF_ERROR(progress.add(found.num_bytes()));
    return weight;
  }
  const auto& tensors = found.tensors();
  const int64_t matrix_bytes = found.num_bytes() / shape[0];
  auto packed = backend.pack_stack(shape, dtype, [&](int64_t i) -> Result<const RowSource*> {
    // Asked for matrix i, so the one before is packed.
    if (i > 0) RETURN_IF_ERROR(progress.add(matrix_bytes));
    const auto next = static_cast<size_t>(i) + 1;
    if (next < tensors.size()) reader.prefetch(*tensors[next]);
    return reader.read(found, i, dtype);
  });
  if (packed) RETURN_IF_ERROR(progress.add(found.num_bytes() - (shape[0] - 1) * matrix_bytes));
  return packed;
}

}  // namespace

std::string_view format_name(const WeightFormat& format) {
  return format.keep_quantized ? "as stored" : format_traits(format.matrix).name;
}

DType quantized_dtype(DType wanted, bool is_embedding_or_output, int64_t row_elements) {
  const bool finer = is_below_six_bits(wanted) && is_embedding_or_output;
  for (const DType dtype : {finer ? DType::kQ6_K : wanted, DType::kQ8_0}) {
    if (row_elements % format_traits(dtype).block_elements == 0) return dtype;
  }
  return DType::kBF16;
}

DType stored_dtype(const WeightFormat& format, const WeightSpec& spec, DType source) {
  if (spec.keep_as) return *spec.keep_as;
  const int32_t rank = spec.shape.rank();
  if (rank == 1) return DType::kF32;
  if (format.keep_quantized && is_quantized(source)) return source;
  if (!is_quantized(format.matrix)) return format.matrix;
  return quantized_dtype(format.matrix, is_embedding_or_output(spec), spec.shape[rank - 1]);
}

DType usual_kv_dtype(const WeightFormat& format) {
  return format.matrix == DType::kF32 && !format.keep_quantized ? DType::kF32 : DType::kBF16;
}

std::vector<DType> quantizations() {
  std::vector<DType> known;
  for (const FormatTraits& format : all_formats()) {
    if (is_quantized(format.dtype) && format.encode != nullptr) known.push_back(format.dtype);
  }
  return known;
}

std::string quantization_names() {
  std::string names = "none";
  for (const DType dtype : quantizations()) names += fmt::format(", {}", format_traits(dtype).name);
  return names;
}

Result<WeightFormat> choose_weight_format(std::string_view dtype, std::string_view quantization,
                                          const Checkpoint& checkpoint) {
  for (const DType known : quantizations()) {
    if (quantization == format_traits(known).name) return WeightFormat{known};
  }
  if (quantization != "none" && !quantization.empty()) {
    return invalid_argument(
        fmt::format("quantization \"{}\"; supported are {}", quantization, quantization_names()));
  }
  if (dtype != "auto") {
    const auto wanted = parse_dtype(dtype);
    if (!wanted || (*wanted != DType::kF32 && *wanted != DType::kBF16)) {
      return invalid_argument(
          fmt::format("dtype \"{}\"; supported are auto, float32 and bfloat16", dtype));
    }
    return WeightFormat{*wanted};
  }
  std::map<DType, int64_t> bytes;
  bool keep_quantized = false;
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    keep_quantized = keep_quantized || is_mxfp4_blocks(tensor);
    if (!tensor.readable) continue;
    bytes[tensor.dtype] += tensor.num_bytes;
    keep_quantized = keep_quantized || is_quantized(tensor.dtype);
  }
  const int64_t other = std::max(bytes[DType::kBF16], bytes[DType::kF16]);
  return WeightFormat{.matrix = bytes[DType::kF32] > other ? DType::kF32 : DType::kBF16,
                      .keep_quantized = keep_quantized};
}

int64_t planned_weight_bytes(const std::vector<WeightSpec>& specs, const WeightFormat& format,
                             const Backend& backend, const Checkpoint& checkpoint) {
  int64_t total = 0;
  for (const WeightSpec& spec : specs) {
    const auto found = find_weight(checkpoint, spec);
    const DType source = found.ok() && *found ? (*found)->dtype() : DType::kF32;
    total += backend.packed_bytes(spec.shape, stored_dtype(format, spec, source));
  }
  return total;
}

WeightPtr LoadedWeights::get(const std::string& name) const {
  const auto found = weights_.find(name);
  CHECK(found != weights_.end());
  return found->second;
}

Result<LoadedWeights> load_weights(const Checkpoint& checkpoint,
                                   const std::vector<WeightSpec>& specs, const WeightFormat& format,
                                   Backend& backend, const LoadCallbacks& callbacks) {
  ASSIGN_OR_RETURN(std::vector<FoundWeight> pending, find_weights(checkpoint, specs));
  report_unused(checkpoint, pending, callbacks);
  std::stable_sort(pending.begin(), pending.end(), [](const auto& a, const auto& b) {
    return a.scratch_bytes() > b.scratch_bytes();
  });
  Progress progress(callbacks);
  for (const FoundWeight& next : pending) progress.total_bytes += next.num_bytes();
  LoadedWeights loaded;
  MatrixReader reader(checkpoint, backend, callbacks.quantized);
  for (size_t i = 0; i < pending.size(); ++i) {
    const WeightSpec& spec = pending[i].spec();
    // The disk works on the next tensor while this one is packed.
    if (i + 1 < pending.size()) reader.prefetch(*pending[i + 1].tensors().front());
    auto packed =
        pack(reader, pending[i], stored_dtype(format, spec, pending[i].dtype()), backend, progress);
    if (!packed) {
      if (packed.error().code == ErrorCode::kCancelled) return packed.error();
      return Error{packed.error().code, "tensor " + spec.name + ": " + packed.error().message};
    }
    loaded.num_bytes_ += (*packed)->num_bytes();
    loaded.weights_.emplace(spec.name, std::move(packed).value());
  }
  return loaded;
}

Result<std::vector<FoundWeight>> find_weights(const Checkpoint& checkpoint,
                                              const std::vector<WeightSpec>& specs) {
  std::vector<FoundWeight> found;
  std::vector<std::string> missing;
  for (const WeightSpec& spec : specs) {
    ASSIGN_OR_RETURN(std::optional<FoundWeight> weight, find_weight(checkpoint, spec));
    if (weight) {
      found.push_back(*std::move(weight));
    } else {
      missing.push_back(spec.name +
                        (spec.alternatives.empty() ? "" : " or " + spec.alternatives[0].name));
    }
  }
  if (!missing.empty()) return missing_tensors(missing, checkpoint.path());
  RETURN_IF_ERROR(check_no_more_layers(checkpoint, specs));
  return found;
}

std::vector<const CheckpointTensor*> unused_tensors(const Checkpoint& checkpoint,
                                                    const std::vector<FoundWeight>& found) {
  std::unordered_set<std::string_view> used;
  for (const FoundWeight& weight : found) {
    for (const CheckpointTensor* tensor : weight.tensors()) used.insert(tensor->name);
  }
  std::vector<const CheckpointTensor*> unused;
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    if (!used.contains(tensor.name) && !is_known_leftover(tensor.name)) unused.push_back(&tensor);
  }
  return unused;
}

LoadedWeights null_weights(const std::vector<WeightSpec>& specs) {
  LoadedWeights weights;
  for (const WeightSpec& spec : specs) {
    weights.weights_.emplace(spec.name, null_weight(spec.shape, DType::kF32));
  }
  return weights;
}

}  // namespace pagoda
