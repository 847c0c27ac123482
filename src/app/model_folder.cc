// Reads the small files of a model folder. All of them are untrusted.
#include "app/model_folder.h"

#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/json.h"
#include "checkpoint/read_only_file.h"
#include "text/sentencepiece_model.h"

namespace pagoda {
namespace {

// The largest tokenizer.json in use is some 35 MB.
constexpr int64_t kMaxFileBytes = int64_t{256} << 20;

// nullopt when there is nothing of this name. A folder, a link to nothing and what cannot be read
// are errors: they stand where someone meant a file to be.
Result<std::optional<std::string>> read_text(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto type = std::filesystem::symlink_status(path, ignored).type();
  if (type == std::filesystem::file_type::not_found) return std::optional<std::string>();
  ASSIGN_OR_RETURN(std::string text, read_text_file(path.string(), kMaxFileBytes));
  return std::optional<std::string>(std::move(text));
}

Error in_file(const std::filesystem::path& path, const Error& error) {
  return {error.code, path.string() + ": " + error.message, {}};
}

// An empty object when there is no such file.
Result<Json> read_json_object(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::optional<std::string> text, read_text(path));
  if (!text) return Json::object();
  auto json = parse_json(*text);
  if (!json.ok()) return in_file(path, json.error());
  if (!json->is_object()) return invalid_argument(path.string() + ": is not a JSON object");
  return json;
}

// A token is its spelling, or an object with it under "content"; null is none.
std::string token_spelling(const Json& config, const char* key) {
  const auto at = config.find(key);
  if (at == config.end()) return "";
  if (at->is_string()) return at->get<std::string>();
  if (!at->is_object()) return "";
  const auto content = at->find("content");
  return content != at->end() && content->is_string() ? content->get<std::string>() : "";
}

// tokenizer_config.json's template: a text, or a list of named ones of which "default" is for chat.
std::optional<std::string> template_in(const Json& config) {
  const auto at = config.find("chat_template");
  if (at == config.end()) return std::nullopt;
  if (at->is_string()) return at->get<std::string>();
  if (!at->is_array()) return std::nullopt;
  for (const Json& item : *at) {
    if (item.is_object() && item.value("name", Json()) == "default" &&
        item.value("template", Json()).is_string()) {
      return item["template"].get<std::string>();
    }
  }
  return std::nullopt;
}

Result<std::shared_ptr<const ChatTemplate>> read_template(const std::filesystem::path& folder,
                                                          const Json& tokenizer_config,
                                                          const std::string& template_file) {
  if (!template_file.empty()) return read_template_file(template_file);
  ASSIGN_OR_RETURN(const std::optional<std::string> own, read_text(folder / "chat_template.jinja"));
  if (own) return make_template(folder / "chat_template.jinja", *own);
  const std::optional<std::string> embedded = template_in(tokenizer_config);
  if (embedded) return make_template(folder / "tokenizer_config.json", *embedded);
  return std::shared_ptr<const ChatTemplate>();
}

// Takes a number within [low, high] from a config; anything else is an error.
template <typename Number>
Result<void> take_number(const std::filesystem::path& path, const Json& config, const char* key,
                         double low, double high, Number& target) {
  const auto at = config.find(key);
  if (at == config.end() || at->is_null()) return {};
  const double value = at->is_number() ? at->get<double>() : high + 1;
  if (!(value >= low && value <= high)) {
    return invalid_argument(fmt::format("{}: {} is {}, not a number from {} to {}", path.string(),
                                        key, dump_json(*at).substr(0, 40), low, high));
  }
  target = static_cast<Number>(value);
  return {};
}

Result<std::vector<TokenId>> token_ids(const std::filesystem::path& path, const Json& value,
                                       int32_t vocab_size) {
  std::vector<TokenId> ids;
  for (const Json& item : value.is_array() ? value : Json::array({value})) {
    if (!item.is_number_integer() || item < 0 || item >= vocab_size) {
      return invalid_argument(fmt::format("{}: eos_token_id {} is not in the vocabulary of {}",
                                          path.string(), dump_json(item).substr(0, 40),
                                          vocab_size));
    }
    ids.push_back(item.get<TokenId>());
  }
  return ids;
}

Result<SamplingParams> read_sampling(const std::filesystem::path& path,
                                     const std::vector<int32_t>& config_eos_ids,
                                     const Tokenizer& tokenizer) {
  ASSIGN_OR_RETURN(const Json config, read_json_object(path));
  SamplingParams sampling;
  // Transformers applies these only when it samples at all.
  if (config.value("do_sample", Json(false)) != Json(false)) {
    RETURN_IF_ERROR(take_number(path, config, "temperature", 0, 100, sampling.temperature));
    RETURN_IF_ERROR(take_number(path, config, "top_p", 1e-6, 1, sampling.top_p));
    RETURN_IF_ERROR(take_number(path, config, "top_k", 0, 1e9, sampling.top_k));
    RETURN_IF_ERROR(take_number(path, config, "min_p", 0, 1, sampling.min_p));
  }
  RETURN_IF_ERROR(
      take_number(path, config, "repetition_penalty", 0.01, 100, sampling.repetition_penalty));
  const auto eos = config.find("eos_token_id");
  if (eos != config.end() && !eos->is_null()) {
    ASSIGN_OR_RETURN(sampling.eos_token_ids, token_ids(path, *eos, tokenizer.vocab_size()));
  } else {
    for (const int32_t id : config_eos_ids) {
      if (id >= 0 && id < tokenizer.vocab_size()) sampling.eos_token_ids.push_back(id);
    }
  }
  return sampling;
}

// A SentencePiece model does not say whether BOS and EOS go around a text; tokenizer_config.json
// does. Llama's tokenizers put BOS before it unless told otherwise.
Result<void> apply_ends(const std::filesystem::path& config_path, TokenizerData& data) {
  ASSIGN_OR_RETURN(const Json config, read_json_object(config_path));
  if (config.value("add_bos_token", Json(true)) == Json(false)) data.prefix_ids.clear();
  const std::string eos = token_spelling(config, "eos_token");
  if (config.value("add_eos_token", Json(false)) != Json(true) || eos.empty()) return {};
  for (const TokenizerData::AddedToken& token : data.added_tokens) {
    if (token.content == eos) data.suffix_ids = {token.id};
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const ChatTemplate>> make_template(const std::string& from,
                                                          const std::string& source) {
  auto made = ChatTemplate::create(source);
  if (!made.ok()) return in_file(from, made.error());
  return made;
}

Result<std::shared_ptr<const ChatTemplate>> read_template_file(const std::string& path) {
  ASSIGN_OR_RETURN(const std::optional<std::string> text, read_text(path));
  if (!text) return Error{ErrorCode::kNotFound, path + ": no such chat template file"};
  return make_template(path, *text);
}

Result<std::shared_ptr<const Tokenizer>> read_tokenizer(const std::string& path) {
  std::filesystem::path file(path);
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    const std::filesystem::path folder = file;
    file = folder / "tokenizer.json";
    if (!std::filesystem::exists(file, error) &&
        std::filesystem::exists(folder / "tokenizer.model", error)) {
      file = folder / "tokenizer.model";
    }
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> bytes, read_text(file));
  if (!bytes) return Error{ErrorCode::kNotFound, file.string() + ": no such file"};
  const bool is_sentencepiece = file.extension() == ".model";
  auto data = is_sentencepiece ? parse_sentencepiece_model(*bytes) : parse_tokenizer_json(*bytes);
  if (data.ok() && is_sentencepiece) {
    RETURN_IF_ERROR(apply_ends(file.parent_path() / "tokenizer_config.json", *data));
  }
  if (!data.ok()) return in_file(file, data.error());
  auto tokenizer = Tokenizer::create(std::move(data).value());
  if (!tokenizer.ok()) return in_file(file, tokenizer.error());
  return tokenizer;
}

Result<ModelFolder> read_model_folder(const std::string& folder,
                                      const std::vector<int32_t>& config_eos_ids,
                                      const std::string& template_file) {
  const std::filesystem::path root(folder);
  ASSIGN_OR_RETURN(std::shared_ptr<const Tokenizer> tokenizer, read_tokenizer(folder));
  ASSIGN_OR_RETURN(const Json config, read_json_object(root / "tokenizer_config.json"));
  ModelFolder result;
  result.tokenizer = std::move(tokenizer);
  result.bos_token = token_spelling(config, "bos_token");
  result.eos_token = token_spelling(config, "eos_token");
  ASSIGN_OR_RETURN(result.chat_template, read_template(root, config, template_file));
  ASSIGN_OR_RETURN(result.default_sampling, read_sampling(root / "generation_config.json",
                                                          config_eos_ids, *result.tokenizer));
  return result;
}

}  // namespace pagoda
