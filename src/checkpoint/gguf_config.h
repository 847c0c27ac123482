// The config.json that a GGUF file's metadata amounts to, so that models know one spelling.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_architecture.h"

namespace pagoda {

// The key under which `pagoda quantize` keeps a model's own config.json. It is taken as it is: the
// keys of GGUF cannot express all of it. Those beside it that can must say the same.
inline constexpr std::string_view kGgufConfigKey = "pagoda.config_json";

// What a reading program multiplies queries and keys with for yarn before it looks at
// "rope.scaling.attn_factor", as llama.cpp and Transformers do where nothing else is said.
double gguf_yarn_attention_factor(double factor);

struct GgufConfig {
  std::string json;
  const GgufArchitecture* architecture = nullptr;  // static data
  // For undoing GgufFix: how many heads a matrix of queries and of keys has.
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
};

// From the metadata in the first of a model's files; tensors may be in any of them. The keys are
// those of gguf-py's constants.py, class Keys; what GGUF leaves to the reading program (the scale
// of Gemma's queries, normalised experts) is what llama.cpp takes. Rotary factors of a tensor
// become "llama3" where they are those of Llama 3.1 and later, and else "longrope". kUnsupported
// for an architecture that is not known or layers that differ; kInvalidArgument naming file, key or
// tensor for what is missing, of another type or out of range, or both values where a key and
// kGgufConfigKey contradict each other. With `take_own` false, kGgufConfigKey is not looked at:
// what other programs know. REQUIRES: files is not empty.
Result<GgufConfig> read_gguf_config(std::span<const GgufFile> files, bool take_own = true);

}  // namespace pagoda
