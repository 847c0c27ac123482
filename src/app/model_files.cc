// Tokenizer, template and defaults out of GGUF metadata. All of it is untrusted.
#include "app/model_files.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "checkpoint/gguf_parts.h"
#include "text/tokenizer_gguf.h"

namespace pagoda {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 22;
constexpr int64_t kMaxMerges = int64_t{1} << 23;

Error in_file(const GgufFile& file, const Error& error) {
  return {error.code, file.path() + ": " + error.message};
}

Result<int32_t> token_id(const GgufFile& file, const std::string& key) {
  // Some writers spell "none" as the largest number.
  ASSIGN_OR_RETURN(const auto id, file.integer("tokenizer.ggml." + key, -1, UINT32_MAX));
  return id && *id < kMaxTokens ? static_cast<int32_t>(*id) : -1;
}

Result<GgufVocabulary> read_vocabulary(const GgufFile& file) {
  GgufVocabulary vocabulary;
  ASSIGN_OR_RETURN(const auto model, file.text("tokenizer.ggml.model"));
  if (!model) return invalid_argument(file.path() + ": no metadata \"tokenizer.ggml.model\"");
  vocabulary.model = *model;
  ASSIGN_OR_RETURN(const auto pre, file.text("tokenizer.ggml.pre"));
  vocabulary.pre = pre.value_or("");
  ASSIGN_OR_RETURN(vocabulary.tokens, file.strings("tokenizer.ggml.tokens", kMaxTokens));
  ASSIGN_OR_RETURN(vocabulary.scores, file.floats("tokenizer.ggml.scores", kMaxTokens));
  ASSIGN_OR_RETURN(vocabulary.merges, file.strings("tokenizer.ggml.merges", kMaxMerges));
  ASSIGN_OR_RETURN(const std::vector<int64_t> types,
                   file.integers("tokenizer.ggml.token_type", kMaxTokens));
  for (const int64_t type : types) {
    vocabulary.token_types.push_back(
        static_cast<int32_t>(std::clamp<int64_t>(type, INT32_MIN, INT32_MAX)));
  }
  ASSIGN_OR_RETURN(vocabulary.bos_id, token_id(file, "bos_token_id"));
  ASSIGN_OR_RETURN(vocabulary.eos_id, token_id(file, "eos_token_id"));
  ASSIGN_OR_RETURN(vocabulary.unk_id, token_id(file, "unknown_token_id"));
  ASSIGN_OR_RETURN(vocabulary.add_bos, file.boolean("tokenizer.ggml.add_bos_token"));
  ASSIGN_OR_RETURN(vocabulary.add_eos, file.boolean("tokenizer.ggml.add_eos_token"));
  ASSIGN_OR_RETURN(vocabulary.add_space_prefix, file.boolean("tokenizer.ggml.add_space_prefix"));
  return vocabulary;
}

Result<std::shared_ptr<const Tokenizer>> read_gguf_tokenizer(const GgufFile& file) {
  ASSIGN_OR_RETURN(const auto json, file.text("tokenizer.huggingface.json"));
  TokenizerData data;
  if (json) {
    auto parsed = parse_tokenizer_json(*json);
    if (!parsed.ok()) return in_file(file, parsed.error());
    data = std::move(parsed).value();
  } else {
    ASSIGN_OR_RETURN(const GgufVocabulary vocabulary, read_vocabulary(file));
    auto made = tokenizer_from_gguf(vocabulary);
    if (!made.ok()) return in_file(file, made.error());
    data = std::move(made).value();
  }
  auto tokenizer = Tokenizer::create(std::move(data));
  if (!tokenizer.ok()) return in_file(file, tokenizer.error());
  return tokenizer;
}

// Spellings of control tokens that end a turn or a text, in the models whose architectures are
// known here.
constexpr std::array<std::string_view, 9> kEndSpellings = {
    "<|eot_id|>",    "<|eom_id|>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>",
    "<end_of_turn>", "<|return|>", "<|call|>",        "<|end|>"};

void add_end_tokens(const Tokenizer& tokenizer, std::vector<TokenId>& ends) {
  for (const std::string_view spelling : kEndSpellings) {
    // In gpt-oss "<|end|>" ends a message of several in an answer.
    if (spelling == "<|end|>" && tokenizer.token_id("<|return|>") >= 0) continue;
    const int32_t id = tokenizer.token_id(spelling);
    if (id < 0 || !tokenizer.is_special(id)) continue;
    if (std::ranges::find(ends, id) == ends.end()) ends.push_back(id);
  }
}

Result<SamplingParams> read_sampling(const GgufFile& file) {
  SamplingParams sampling;
  const auto take = [&](const char* key, double low, double high, float& to) -> Result<void> {
    ASSIGN_OR_RETURN(const auto value, file.real(key, low, high));
    if (value) to = static_cast<float>(*value);
    return {};
  };
  RETURN_IF_ERROR(take("general.sampling.temp", 0, 100, sampling.temperature));
  RETURN_IF_ERROR(take("general.sampling.top_p", 1e-6, 1, sampling.top_p));
  RETURN_IF_ERROR(take("general.sampling.min_p", 0, 1, sampling.min_p));
  RETURN_IF_ERROR(take("general.sampling.penalty_repeat", 0.01, 100, sampling.repetition_penalty));
  ASSIGN_OR_RETURN(const auto top_k, file.integer("general.sampling.top_k", 0, 1'000'000'000));
  if (top_k) sampling.top_k = static_cast<int32_t>(*top_k);
  return sampling;
}

std::string spelling(const Tokenizer& tokenizer, int32_t id) {
  return id >= 0 && id < tokenizer.vocab_size() ? std::string(tokenizer.token_bytes(id)) : "";
}

Result<ModelFolder> read_gguf_model(const GgufFile& file,
                                    const std::vector<int32_t>& config_eos_ids,
                                    const std::string& template_file) {
  ModelFolder result;
  ASSIGN_OR_RETURN(result.tokenizer, read_gguf_tokenizer(file));
  ASSIGN_OR_RETURN(const int32_t bos, token_id(file, "bos_token_id"));
  ASSIGN_OR_RETURN(const int32_t eos, token_id(file, "eos_token_id"));
  result.bos_token = spelling(*result.tokenizer, bos);
  result.eos_token = spelling(*result.tokenizer, eos);
  ASSIGN_OR_RETURN(const auto source, file.text("tokenizer.chat_template"));
  if (!template_file.empty()) {
    ASSIGN_OR_RETURN(result.chat_template, read_template_file(template_file));
  } else if (source) {
    ASSIGN_OR_RETURN(result.chat_template, make_template(file.path(), *source));
  }
  ASSIGN_OR_RETURN(result.default_sampling, read_sampling(file));
  std::vector<TokenId>& ends = result.default_sampling.eos_token_ids;
  for (const int32_t id : config_eos_ids) {
    if (id >= 0 && id < result.tokenizer->vocab_size()) ends.push_back(id);
  }
  add_end_tokens(*result.tokenizer, ends);
  return result;
}

}  // namespace

Result<ModelFolder> read_model_files(const Checkpoint& checkpoint,
                                     const std::vector<int32_t>& config_eos_ids,
                                     const std::string& template_file) {
  if (checkpoint.gguf() != nullptr) {
    return read_gguf_model(*checkpoint.gguf(), config_eos_ids, template_file);
  }
  return read_model_folder(checkpoint.path(), config_eos_ids, template_file);
}

Result<ModelFolder> read_model_texts(const std::string& path, const std::string& template_file) {
  if (!path.ends_with(".gguf")) return read_model_folder(path, {}, template_file);
  ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  return read_gguf_model(file, {}, template_file);
}

Result<std::shared_ptr<const Tokenizer>> read_model_tokenizer(const std::string& path) {
  if (!path.ends_with(".gguf")) return read_tokenizer(path);
  ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  return read_gguf_tokenizer(file);
}

std::string gguf_model_name(std::string_view file_name) {
  if (const auto part = gguf_part(file_name)) return std::string(part->base);
  if (file_name.ends_with(".gguf")) file_name.remove_suffix(5);
  return std::string(file_name);
}

}  // namespace pagoda
