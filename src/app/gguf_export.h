// What a GGUF file says of a model, besides its tensors, made from any checkpoint.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_writer.h"
#include "model/model_config.h"

namespace pagoda {

// Adds the metadata of `checkpoint`. From a GGUF file all entries as they are, but those about the
// file itself (parts, alignment, type). From a folder: the keys of `architecture`; the model's
// config.json less its quantization (kGgufConfigKey); tokenizer.json as
// "tokenizer.huggingface.json", and for byte-level vocabularies whose pre-tokenizer has a name also
// as "tokenizer.ggml.*"; the chat template and the sampling defaults. Errors name the file.
Result<void> add_gguf_metadata(const Checkpoint& checkpoint, const GgufArchitecture& architecture,
                               const ModelConfig& config, GgufWriter& writer);

// Adds the tensors of rotary factors, with their contents behind `contents`: those of the GGUF
// file, or "rope_freqs.weight" where config.json scales as Llama 3 does, or the two lists of
// longrope.
Result<void> add_rope_tensors(const Checkpoint& checkpoint, const ModelConfig& config,
                              GgufWriter& writer, std::vector<std::vector<std::byte>>& contents);

// What a program that knows only GGUF's keys takes otherwise in the file at `path` than `config`
// has it, as words for a user; empty when it takes all as it is. Errors: of reading the file.
Result<std::string> unsaid_in_gguf(const std::string& path, const ModelConfig& config);

}  // namespace pagoda
