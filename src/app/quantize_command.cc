// `pagoda quantize`: any checkpoint as a GGUF file in one of the formats.
#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "app/cache_plan.h"
#include "app/commands.h"
#include "app/gguf_export.h"
#include "app/model_source.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_fix.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace pagoda {
namespace {

// A tensor of the new file: the tensors of the checkpoint whose rows follow each other in it (the
// experts of a layer, else one).
struct Output {
  GgufTensorName name;
  std::vector<const CheckpointTensor*> sources;
  Shape shape;
  DType dtype = DType::kF32;
};

// "a.experts.3.b" -> "a.experts.b" and 3.
std::optional<std::pair<std::string, size_t>> split_expert(const std::string& name) {
  constexpr std::string_view kExperts = ".experts.";
  const size_t at = name.find(kExperts);
  if (at == std::string::npos) return std::nullopt;
  const size_t begin = at + kExperts.size();
  size_t expert = 0, end = begin;
  for (; end < name.size() && name[end] >= '0' && name[end] <= '9' && end < begin + 5; ++end) {
    expert = 10 * expert + static_cast<size_t>(name[end] - '0');
  }
  if (end == begin || end >= name.size() || name[end] != '.') return std::nullopt;
  std::string rest = name.substr(end + 1);
  // Mixtral's names for gate, down and up.
  if (rest == "w1.weight") rest = "gate_proj.weight";
  if (rest == "w2.weight") rest = "down_proj.weight";
  if (rest == "w3.weight") rest = "up_proj.weight";
  const std::string prefix = name.substr(0, name.rfind('.', at - 1) + 1);
  return std::pair(prefix + "mlp.experts." + rest, expert);
}

// Vectors and routers are small and decide much; matrices become what they become when a model is
// converted while it loads.
DType dtype_for(const GgufTensorName& name, const Shape& shape, DType wanted) {
  if (shape.rank() < 2 || name.name.find("ffn_gate_inp") != std::string::npos) return DType::kF32;
  const bool finer = name.name == "token_embd.weight" || name.name == "output.weight";
  return quantized_dtype(wanted, finer, shape[shape.rank() - 1]);
}

class Quantizer {
 public:
  Quantizer(const Checkpoint& checkpoint, const GgufArchitecture& architecture,
            const ModelConfig& config)
      : checkpoint_(checkpoint), architecture_(architecture), config_(config) {}

  // Decides on the tensors of the new file; those without a name in GGUF are left out.
  Result<void> plan(DType wanted) {
    std::map<std::string, size_t> stacks;
    for (const CheckpointTensor& tensor : checkpoint_.tensors()) {
      const auto expert = split_expert(tensor.name);
      const std::string& name = expert ? expert->first : tensor.name;
      auto named = to_gguf_name(architecture_, name);
      const bool tied_head = config_.tie_word_embeddings && name == "lm_head.weight";
      if (!named || tied_head) {
        // A tensor of a layer is needed, but for frequencies that Transformers once saved: the file
        // would not load.
        if (!tied_head && name.find("model.layers.") == 0 && !name.ends_with(".inv_freq")) {
          return Error{ErrorCode::kUnsupported,
                       fmt::format("tensor {}: no GGUF tensor is made of this one", tensor.name)};
        }
        ++num_left_out_;
        continue;
      }
      if (!tensor.readable) {
        return Error{ErrorCode::kUnsupported,
                     fmt::format("tensor {} has dtype {}", tensor.name, tensor.dtype_name)};
      }
      const auto [stack, is_new] = stacks.emplace(named->name, outputs_.size());
      if (is_new) outputs_.push_back({std::move(*named), {}, tensor.shape, DType::kF32});
      RETURN_IF_ERROR(add_source(outputs_[stack->second], tensor, expert ? expert->second : 0));
    }
    for (Output& output : outputs_) {
      if (output.sources.size() > 1) {
        if (output.shape.rank() != 2) {
          return invalid_argument(fmt::format("tensor {}: experts of shape {}", output.name.name,
                                              to_string(output.shape)));
        }
        output.shape = {static_cast<int64_t>(output.sources.size()), output.shape[0],
                        output.shape[1]};
      }
      output.dtype = dtype_for(output.name, output.shape, wanted);
    }
    return {};
  }

  const std::vector<Output>& outputs() const { return outputs_; }
  int64_t num_left_out() const { return num_left_out_; }

  // The contents of one output, valid until the next call.
  Result<std::span<const std::byte>> contents(const Output& output) {
    const int64_t num_bytes = dtype_bytes(output.dtype, output.shape.num_elements());
    data_.resize(static_cast<size_t>(num_bytes));
    const int64_t part_bytes = num_bytes / static_cast<int64_t>(output.sources.size());
    for (size_t i = 0; i < output.sources.size(); ++i) {
      const CheckpointTensor* source = output.sources[i];
      if (source == nullptr) {
        return invalid_argument(
            fmt::format("{} lacks expert {} of {}", checkpoint_.path(), i, output.name.name));
      }
      ASSIGN_OR_RETURN(const TensorView view, checkpoint_.read(*source, scratch_));
      convert(view, output.dtype, data_.data() + static_cast<int64_t>(i) * part_bytes);
    }
    const bool keys = output.name.fix == GgufFix::kInterleavedKeyRows;
    const int64_t heads = keys ? config_.num_kv_heads : config_.num_heads;
    const auto fixable = check_gguf_fix(output.name.fix, heads, output.shape, output.dtype);
    if (!fixable.ok()) {
      return invalid_argument(
          fmt::format("tensor {}: {}", output.name.name, fixable.error().message));
    }
    apply_gguf_fix(output.name.fix, heads, output.shape, data_);
    return std::span<const std::byte>(data_);
  }

 private:
  static Result<void> add_source(Output& output, const CheckpointTensor& tensor, size_t place) {
    constexpr size_t kMaxExperts = 4096;
    if (place >= kMaxExperts) {
      return invalid_argument(
          fmt::format("tensor {}: an expert beyond the limit of {}", tensor.name, kMaxExperts));
    }
    if (output.sources.size() <= place) output.sources.resize(place + 1);
    if (output.sources[place] != nullptr || tensor.shape != output.shape) {
      return invalid_argument(fmt::format("tensor {}: a second one for {}, or of another shape",
                                          tensor.name, output.name.name));
    }
    output.sources[place] = &tensor;
    return {};
  }

  void convert(const TensorView& view, DType dtype, std::byte* to) {
    const int64_t count = view.shape.num_elements();
    if (view.dtype == dtype) {
      std::memcpy(to, view.data, static_cast<size_t>(dtype_bytes(dtype, count)));
      return;
    }
    // By rows, so that little is held as floats.
    const int64_t row = view.shape.rank() > 0 ? view.shape[view.shape.rank() - 1] : 1;
    pool_.parallel_for(count / row, 1, [&](int64_t begin, int64_t end, int32_t worker) {
      std::vector<float>& values = values_[static_cast<size_t>(worker)];
      values.resize(static_cast<size_t>(row));
      for (int64_t at = begin * row; at < end * row; at += row) {
        format_traits(view.dtype)
            .decode(view.data + dtype_bytes(view.dtype, at), values.data(), row);
        format_traits(dtype).encode(values.data(), to + dtype_bytes(dtype, at), row);
      }
    });
  }

  const Checkpoint& checkpoint_;
  const GgufArchitecture& architecture_;
  const ModelConfig& config_;
  std::vector<Output> outputs_;
  int64_t num_left_out_ = 0;
  Buffer scratch_;
  std::vector<std::byte> data_;
  ThreadPool pool_{usable_cores()};
  std::vector<std::vector<float>> values_ =
      std::vector<std::vector<float>>(static_cast<size_t>(pool_.num_threads()));  // by worker
};

Result<DType> wanted_dtype(const std::string& name) {
  auto dtype = parse_dtype(name);
  if (dtype.ok() && format_traits(*dtype).encode != nullptr &&
      format_traits(*dtype).gguf_type >= 0) {
    return dtype;
  }
  return invalid_argument(
      fmt::format("type: '{}' is not one of f32, bf16, f16, q8_0, q4_0, q4_1, "
                  "q5_0, q5_1, q4_k, q6_k, mxfp4",
                  name));
}

// Another quantized file may be replaced; nothing else that is there, and no part of the model.
Result<void> check_output(const Checkpoint& checkpoint, const std::string& output) {
  std::error_code error;
  if (!std::filesystem::exists(output, error)) return {};
  if (!std::filesystem::is_regular_file(output, error)) {
    return invalid_argument(output + ": is there and is no regular file");
  }
  for (const GgufFile& file : checkpoint.gguf_files()) {
    if (std::filesystem::equivalent(file.path(), output, error)) {
      return invalid_argument(output + ": is a file of the model that is read");
    }
  }
  std::array<char, 4> magic = {};
  std::ifstream(output, std::ios::binary).read(magic.data(), magic.size());
  if (std::string_view(magic.data(), magic.size()) != "GGUF") {
    return invalid_argument(output + ": is there and is no GGUF file; remove it first");
  }
  return {};
}

}  // namespace

Result<void> quantize(const QuantizeOptions& options) {
  if (options.input.empty()) return invalid_argument("quantize: IN is empty");
  ASSIGN_OR_RETURN(const DType dtype, wanted_dtype(options.type));
  ASSIGN_OR_RETURN(const ModelSource source, resolve_model(options.input));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(source.path));
  RETURN_IF_ERROR(check_output(checkpoint, options.output));
  auto config = parse_model_config(checkpoint.config_json());
  if (!config.ok()) {
    return Error{config.error().code, checkpoint.config_path() + ": " + config.error().message};
  }
  const GgufArchitecture* architecture = gguf_architecture_of(config->architecture);
  if (architecture == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: GGUF has no name here for {}", options.input,
                             config->architecture.substr(0, 80))};
  }
  GgufWriter writer;
  RETURN_IF_ERROR(add_gguf_metadata(checkpoint, *architecture, *config, writer));
  Quantizer quantizer(checkpoint, *architecture, *config);
  RETURN_IF_ERROR(quantizer.plan(dtype));
  const std::vector<Output>& outputs = quantizer.outputs();
  for (const Output& output : outputs) {
    writer.add_tensor(output.name.name, output.shape, output.dtype);
  }
  // Rotary factors: as they were, or as another program needs them.
  std::vector<std::vector<std::byte>> rope;
  RETURN_IF_ERROR(add_rope_tensors(checkpoint, *config, writer, rope));
  RETURN_IF_ERROR(writer.write(options.output, [&](size_t i) -> Result<std::span<const std::byte>> {
    if (i >= outputs.size()) return std::span<const std::byte>(rope[i - outputs.size()]);
    return quantizer.contents(outputs[i]);
  }));
  std::error_code ignored;
  const auto size = std::filesystem::file_size(options.output, ignored);
  std::fprintf(stderr, "%s\n",
               fmt::format("{}: {} tensors, {}{}", options.output, outputs.size() + rope.size(),
                           format_bytes(static_cast<int64_t>(size)),
                           quantizer.num_left_out() == 0
                               ? ""
                               : fmt::format("; {} tensors that GGUF has no name for are left out",
                                             quantizer.num_left_out()))
                   .c_str());
  return {};
}

}  // namespace pagoda
