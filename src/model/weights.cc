// Checking, reading and packing parameters.
#include "model/weights.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "backend/null_ops.h"

namespace pagoda {
namespace {

struct PendingWeight {
  const WeightSpec* spec;
  const CheckpointTensor* tensor;
};

Error missing_tensors(const std::vector<std::string>& names, const std::string& folder) {
  constexpr size_t kMaxShown = 3;
  std::string message = fmt::format("{} lacks {} of the model's tensors: ", folder, names.size());
  for (size_t i = 0; i < std::min(names.size(), kMaxShown); ++i) {
    message += (i > 0 ? ", " : "") + names[i];
  }
  if (names.size() > kMaxShown) message += ", ...";
  return invalid_argument(message);
}

Result<std::vector<PendingWeight>> match(const Checkpoint& checkpoint,
                                         const std::vector<WeightSpec>& specs) {
  std::vector<PendingWeight> pending;
  std::vector<std::string> missing;
  for (const WeightSpec& spec : specs) {
    const CheckpointTensor* tensor = checkpoint.find(spec.name);
    if (tensor == nullptr) {
      missing.push_back(spec.name);
      continue;
    }
    if (tensor->shape != spec.shape) {
      return invalid_argument(fmt::format("tensor {} has shape {}, config.json asks for {}",
                                          spec.name, to_string(tensor->shape),
                                          to_string(spec.shape)));
    }
    if (!tensor->readable) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("tensor {} has dtype {}; supported are F32, BF16 and F16", spec.name,
                               tensor->dtype_name)};
    }
    pending.push_back({&spec, tensor});
  }
  if (!missing.empty()) return missing_tensors(missing, checkpoint.folder());
  return pending;
}

// Buffers that Transformers once saved and now recomputes.
bool is_known_leftover(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq");
}

void report_unused(const Checkpoint& checkpoint, const std::vector<WeightSpec>& specs,
                   const LoadCallbacks& callbacks) {
  if (!callbacks.note) return;
  std::unordered_set<std::string_view> used;
  for (const WeightSpec& spec : specs) used.insert(spec.name);
  int64_t num_unused = 0;
  const CheckpointTensor* first = nullptr;
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    if (used.contains(tensor.name) || is_known_leftover(tensor.name)) continue;
    if (num_unused++ == 0) first = &tensor;
  }
  if (first == nullptr) return;
  callbacks.note(fmt::format("{} tensors of the checkpoint are not used, the first is {}",
                             num_unused, first->name));
}

}  // namespace

DType stored_dtype(const WeightFormat& format, const WeightSpec& spec) {
  if (spec.shape.rank() != 2) return DType::kF32;
  const int64_t block = format_traits(format.matrix).block_elements;
  return spec.shape[1] % block == 0 ? format.matrix : DType::kBF16;
}

Result<WeightFormat> choose_weight_format(std::string_view dtype, std::string_view quantization,
                                          const Checkpoint& checkpoint) {
  if (quantization == "q8_0") return WeightFormat{DType::kQ8_0};
  if (quantization != "none" && !quantization.empty()) {
    return invalid_argument(
        fmt::format("quantization \"{}\"; supported are none and q8_0", quantization));
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
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    if (tensor.readable) bytes[tensor.dtype] += tensor.num_bytes;
  }
  const int64_t other = std::max(bytes[DType::kBF16], bytes[DType::kF16]);
  return WeightFormat{bytes[DType::kF32] > other ? DType::kF32 : DType::kBF16};
}

int64_t planned_weight_bytes(const std::vector<WeightSpec>& specs, const WeightFormat& format,
                             const Backend& backend) {
  int64_t total = 0;
  for (const WeightSpec& spec : specs) {
    total += backend.packed_bytes(spec.shape, stored_dtype(format, spec));
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
  ASSIGN_OR_RETURN(std::vector<PendingWeight> pending, match(checkpoint, specs));
  report_unused(checkpoint, specs, callbacks);
  std::stable_sort(pending.begin(), pending.end(), [](const auto& a, const auto& b) {
    return a.tensor->num_bytes > b.tensor->num_bytes;
  });
  int64_t total_bytes = 0;
  for (const PendingWeight& next : pending) total_bytes += next.tensor->num_bytes;

  LoadedWeights loaded;
  Buffer scratch;
  int64_t done_bytes = 0;
  for (size_t i = 0; i < pending.size(); ++i) {
    const auto& [spec, tensor] = pending[i];
    // The disk works on the next tensor while this one is packed.
    if (i + 1 < pending.size()) checkpoint.prefetch(*pending[i + 1].tensor);
    ASSIGN_OR_RETURN(const TensorView view, checkpoint.read(*tensor, scratch));
    auto packed = backend.pack(view, stored_dtype(format, *spec));
    if (!packed) {
      return Error{packed.error().code, "tensor " + spec->name + ": " + packed.error().message};
    }
    loaded.num_bytes_ += (*packed)->num_bytes();
    loaded.weights_.emplace(spec->name, std::move(packed).value());
    done_bytes += tensor->num_bytes;
    if (callbacks.progress && !callbacks.progress(done_bytes, total_bytes)) {
      return Error{ErrorCode::kCancelled, "loading was stopped"};
    }
  }
  return loaded;
}

LoadedWeights null_weights(const std::vector<WeightSpec>& specs) {
  LoadedWeights weights;
  for (const WeightSpec& spec : specs) {
    weights.weights_.emplace(spec.name, null_weight(spec.shape, DType::kF32));
  }
  return weights;
}

}  // namespace pagoda
