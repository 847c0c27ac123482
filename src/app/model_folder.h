// What a Hugging Face folder says beside the weights: tokenizer, chat template, special tokens,
// sampling defaults.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/sampling_params.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace pagoda {

struct ModelFolder {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const ChatTemplate> chat_template;  // null: the folder has none
  std::string bos_token;                              // spelling; empty: none
  std::string eos_token;
  SamplingParams default_sampling;  // generation_config.json's, with the ids that end a text
};

// The tokenizer of a folder (its tokenizer.json, else its tokenizer.model, a SentencePiece model)
// or of one such file. Errors name the file: kNotFound, kTooLarge, kInvalidArgument, kUnsupported.
Result<std::shared_ptr<const Tokenizer>> read_tokenizer(const std::string& path);

// Reads the tokenizer, tokenizer_config.json, chat_template.jinja and generation_config.json (only
// the first is required). `config_eos_ids` are config.json's, used when generation_config.json has
// none. `template_file`, when not empty, replaces the folder's template. Only what is not there
// counts as absent: a folder of that name or a file that cannot be read is an error. Errors name
// the file: kNotFound, kInvalidArgument, kUnsupported, kTooLarge, kInternal.
Result<ModelFolder> read_model_folder(const std::string& folder,
                                      const std::vector<int32_t>& config_eos_ids,
                                      const std::string& template_file);

// The template in a text, or in a file; errors say where it came from.
Result<std::shared_ptr<const ChatTemplate>> make_template(const std::string& from,
                                                          const std::string& source);
Result<std::shared_ptr<const ChatTemplate>> read_template_file(const std::string& path);

}  // namespace pagoda
