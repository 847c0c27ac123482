// What a model says beside its weights, from a Hugging Face folder or from a GGUF file's metadata.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/model_folder.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace pagoda {

// As read_model_folder(); for a GGUF file the same from its keys "tokenizer.*" and
// "general.sampling.*" (a "tokenizer.huggingface.json" among them wins). Then texts end, besides at
// `config_eos_ids`, at the control tokens that end a turn by their spelling, since many files name
// only one.
Result<ModelFolder> read_model_files(const Checkpoint& checkpoint,
                                     const std::vector<int32_t>& config_eos_ids,
                                     const std::string& template_file);

// The same from a path, for commands that need no weights: a GGUF file, or a folder of which only
// the small files must be there.
Result<ModelFolder> read_model_texts(const std::string& path, const std::string& template_file);
// The tokenizer of a GGUF file, of a folder, or of one file as read_tokenizer() takes it.
Result<std::shared_ptr<const Tokenizer>> read_model_tokenizer(const std::string& path);

// The name a model is served under: the file's without its ending and without the number of a part.
std::string gguf_model_name(std::string_view file_name);

}  // namespace pagoda
