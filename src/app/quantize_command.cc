// `pagoda quantize`: any checkpoint as a GGUF file in one of the formats.
#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "app/cache_plan.h"
#include "app/commands.h"
#include "app/gguf_export.h"
#include "app/model_source.h"
#include "base/check.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_fix.h"
#include "model/model_config.h"
#include "model/registry.h"
#include "model/weights.h"

namespace pagoda {
namespace {

// A tensor of the new file: the parameters whose rows follow each other in it, mostly one.
struct Output {
  GgufTensorName name;
  std::vector<FoundWeight> parts;
  Shape shape;
  DType dtype = DType::kF32;
};

// Biases of experts are vectors to the model and have a row for each expert in the file.
Shape file_shape(const WeightSpec& spec, const ModelConfig& config) {
  const bool of_experts = spec.name.find(".experts.") != std::string::npos;
  if (spec.shape.rank() != 1 || !of_experts) return spec.shape;
  return {config.moe.num_experts, spec.shape[0] / config.moe.num_experts};
}

// Makes the tensors of the new file out of the parameters that the model is loaded from, wherever
// the checkpoint has them, and in the formats they would be loaded in.
class Quantizer {
 public:
  // Borrows all three.
  Quantizer(const Checkpoint& checkpoint, const GgufArchitecture& architecture,
            const ModelConfig& config)
      : checkpoint_(checkpoint), architecture_(architecture), config_(config) {}

  // Decides on the tensors of the new file. kUnsupported for what GGUF has no tensor for.
  Result<void> plan(const WeightFormat& format) {
    ASSIGN_OR_RETURN(const Architecture* model, find_architecture(config_.architecture));
    specs_ = model->weight_specs(config_);
    ASSIGN_OR_RETURN(const std::vector<FoundWeight> found, find_weights(checkpoint_, specs_));
    num_left_out_ = unused_tensors(checkpoint_, found).size();
    std::map<std::string, size_t> places;
    for (const FoundWeight& weight : found) {
      const WeightSpec& spec = weight.spec();
      auto named = to_gguf_name(architecture_, spec.name);
      if (!named) {
        return Error{ErrorCode::kUnsupported,
                     fmt::format("tensor {}: no GGUF tensor is made of this one", spec.name)};
      }
      const DType dtype = stored_dtype(format, spec, weight.dtype());
      const auto [place, is_new] = places.emplace(named->name, outputs_.size());
      if (is_new) {
        outputs_.push_back({std::move(*named), {weight}, file_shape(spec, config_), dtype});
      } else {
        RETURN_IF_ERROR(append(outputs_[place->second], weight, dtype));
      }
    }
    return {};
  }

  const std::vector<Output>& outputs() const { return outputs_; }
  size_t num_left_out() const { return num_left_out_; }

  // The contents of one output, valid until the next call.
  Result<std::span<const std::byte>> contents(const Output& output) {
    data_.resize(static_cast<size_t>(dtype_bytes(output.dtype, output.shape.num_elements())));
    std::byte* to = data_.data();
    for (const FoundWeight& part : output.parts) {
      const Shape& shape = part.spec().shape;
      const int64_t num_matrices = shape.rank() == 3 ? shape[0] : 1;
      for (int64_t i = 0; i < num_matrices; ++i) {
        ASSIGN_OR_RETURN(const TensorView view, part.read(checkpoint_, i, scratch_));
        convert(view, output.dtype, to);
        to += dtype_bytes(output.dtype, view.shape.num_elements());
      }
    }
    const GgufFix fix = output.name.fix;
    // The 1 is added when a norm is read.
    if (fix == GgufFix::kNone || fix == GgufFix::kUnitAdded) return std::span(std::as_const(data_));
    const int64_t heads =
        fix == GgufFix::kInterleavedKeyRows ? config_.num_kv_heads : config_.num_heads;
    const auto fixable = check_gguf_fix(fix, heads, output.shape, output.dtype);
    if (!fixable.ok()) {
      return invalid_argument(
          fmt::format("tensor {}: {}", output.name.name, fixable.error().message));
    }
    apply_gguf_fix(fix, heads, output.shape, data_);
    return std::span(std::as_const(data_));
  }

 private:
  static Result<void> append(Output& output, const FoundWeight& part, DType dtype) {
    const Shape& shape = part.spec().shape;
    CHECK(shape.rank() == 2 && output.shape.rank() == 2 && shape[1] == output.shape[1]);
    if (dtype != output.dtype) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("tensor {} in {}: the rows before it in {} are in {}",
                               part.spec().name, format_traits(dtype).name, output.name.name,
                               format_traits(output.dtype).name)};
    }
    output.shape = {output.shape[0] + shape[0], shape[1]};
    output.parts.push_back(part);
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
  std::vector<WeightSpec> specs_;  // those of the outputs' parts
  std::vector<Output> outputs_;
  size_t num_left_out_ = 0;
  FoundWeight::Scratch scratch_;
  std::vector<std::byte> data_;
  ThreadPool pool_{usable_cores()};
  std::vector<std::vector<float>> values_ =
      std::vector<std::vector<float>>(static_cast<size_t>(pool_.num_threads()));  // by worker
};

// "auto", as when a model is loaded, keeps what is quantized.
Result<WeightFormat> wanted_format(const std::string& name, const Checkpoint& checkpoint) {
  if (name == "auto") return choose_weight_format("auto", "none", checkpoint);
  const auto dtype = parse_dtype(name);
  if (dtype.ok() && format_traits(*dtype).encode != nullptr &&
      format_traits(*dtype).gguf_type >= 0) {
    return WeightFormat{.matrix = *dtype};
  }
  return invalid_argument(
      fmt::format("type: '{}' is not one of auto, f32, bf16, f16, q8_0, q4_0, q4_1, "
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

// The file is written and right for Pagoda; whoever wants it for another program should know.
void print_note(const Result<std::string>& unsaid) {
  std::string note;
  if (!unsaid.ok()) {
    note = "other programs may not read this file: " + unsaid.error().message;
  } else if (!unsaid->empty()) {
    note = fmt::format(
        "Pagoda runs this file as the model it was made of; GGUF has no keys for its {}, so other "
        "programs compute something else",
        *unsaid);
  }
  if (!note.empty()) std::fprintf(stderr, "note: %s\n", note.c_str());
}

}  // namespace

Result<void> quantize(const QuantizeOptions& options) {
  if (options.input.empty()) return invalid_argument("quantize: IN is empty");
  ASSIGN_OR_RETURN(const ModelSource source, resolve_model(options.input));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(source.path));
  ASSIGN_OR_RETURN(const WeightFormat format, wanted_format(options.type, checkpoint));
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
  RETURN_IF_ERROR(quantizer.plan(format));
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
  std::fprintf(
      stderr, "%s\n",
      fmt::format("{}: {} tensors, {}{}", options.output, outputs.size() + rope.size(),
                  format_bytes(static_cast<int64_t>(size)),
                  quantizer.num_left_out() == 0
                      ? ""
                      : fmt::format("; {} tensors that the model does not use are left out",
                                    quantizer.num_left_out()))
          .c_str());
  print_note(unsaid_in_gguf(options.output, *config));
  return {};
}

}  // namespace pagoda
