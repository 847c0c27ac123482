// The architectures, as an explicit list: objects that register themselves are dropped when static
// libraries are linked.
#include "model/registry.h"

#include <array>

#include "model/decoder.h"
#include "model/moe.h"

namespace pagoda {
namespace {

constexpr auto kArchitectures = std::to_array<Architecture>({
    {"LlamaForCausalLM", dense_weight_specs, make_dense},
    {"MistralForCausalLM", dense_weight_specs, make_dense},
    {"Qwen2ForCausalLM", dense_weight_specs, make_dense},
    {"Qwen3ForCausalLM", dense_weight_specs, make_dense},
    {"Phi3ForCausalLM", dense_weight_specs, make_dense},
    {"Gemma2ForCausalLM", dense_weight_specs, make_dense},
    {"Gemma3ForCausalLM", dense_weight_specs, make_dense},
    {"Gemma3ForConditionalGeneration", dense_weight_specs, make_dense},
    {"SmolLM3ForCausalLM", dense_weight_specs, make_dense},
    {"GraniteForCausalLM", dense_weight_specs, make_dense},
    {"MixtralForCausalLM", moe_weight_specs, make_moe},
    {"Qwen3MoeForCausalLM", moe_weight_specs, make_moe},
    {"GptOssForCausalLM", moe_weight_specs, make_moe},
});

}  // namespace

Result<const Architecture*> find_architecture(const std::string& name) {
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == name) return &architecture;
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  return Error{ErrorCode::kUnsupported,
               "architecture \"" + name.substr(0, 80) + "\" is not known; known are: " + known};
}

Result<int64_t> planned_weight_bytes(const ModelConfig& config, const WeightFormat& format,
                                     const Backend& backend, const Checkpoint& checkpoint) {
  ASSIGN_OR_RETURN(const Architecture* architecture, find_architecture(config.architecture));
  return planned_weight_bytes(architecture->weight_specs(config), format, backend, checkpoint);
}

Result<std::unique_ptr<Model>> make_null_model(const ModelConfig& config) {
  ASSIGN_OR_RETURN(const Architecture* architecture, find_architecture(config.architecture));
  return architecture->make(config, null_weights(architecture->weight_specs(config)));
}

Result<std::unique_ptr<Model>> load_model(const Checkpoint& checkpoint, const ModelConfig& config,
                                          const WeightFormat& format, Backend& backend,
                                          const LoadCallbacks& callbacks) {
  ASSIGN_OR_RETURN(const Architecture* architecture, find_architecture(config.architecture));
  ASSIGN_OR_RETURN(
      const LoadedWeights weights,
      load_weights(checkpoint, architecture->weight_specs(config), format, backend, callbacks));
  return architecture->make(config, weights);
}

}  // namespace pagoda
