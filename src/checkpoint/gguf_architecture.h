// GgufArchitecture: how a GGUF file spells a model whose Hugging Face spelling we know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda {

// What a GGUF file keeps differently from the Hugging Face checkpoint it was converted from.
enum class GgufFix : uint8_t {
  kNone,
  // The rows of each head come in the order of interleaved rotary pairs: row 2i + p holds the
  // original row p * D / 2 + i. Of the matrices and biases that make queries and keys in the
  // families of Llama (llama.cpp, convert_hf_to_gguf.py, LlamaModel.permute).
  kInterleavedQueryRows,
  kInterleavedKeyRows,
  // Norm weights with the 1 added that Gemma's code adds (there, Gemma2Model.modify_tensors).
  kUnitAdded,
};

// One known value of "general.architecture". Static data.
struct GgufArchitecture {
  std::string_view name;          // in GGUF, also the prefix of its keys
  std::string_view architecture;  // of config.json: "LlamaForCausalLM"
  std::string_view model_type;    // of config.json: "llama"
  bool interleaved_heads = false;
  bool unit_added_norms = false;
  bool sandwich_norms = false;  // norms behind attention and feed-forward, too
};

// kUnsupported, listing what is known. `has_experts` tells Mixtral from Llama.
Result<const GgufArchitecture*> find_gguf_architecture(std::string_view name, bool has_experts);
// The entry for a model of this config.json spelling, whose weights and keys may be another's:
// Mistral's are Llama's, and the text of a multimodal Gemma 3 is Gemma 3. Null when there is none.
const GgufArchitecture* gguf_architecture_of(std::string_view architecture);

// A tensor in Hugging Face's spelling, and what has to be undone.
struct GgufTensorName {
  std::string name;
  GgufFix fix = GgufFix::kNone;
};
// Empty for names that this architecture does not have.
std::optional<GgufTensorName> from_gguf_name(const GgufArchitecture& architecture,
                                             std::string_view name);
// The tensor that holds the parameter `name` of a model (model/weights.h); the fix is what has to
// be done. Of some architectures several parameters are the rows of one tensor, one after another:
// q, k and v of Phi-3, and its gate and up.
std::optional<GgufTensorName> to_gguf_name(const GgufArchitecture& architecture,
                                           std::string_view name);

// Whether the tensor is part of the config: factors of the rotary frequencies.
bool is_gguf_rope_tensor(std::string_view name);

}  // namespace pagoda
