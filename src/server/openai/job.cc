// The parts of a completion request that chat and completions share.
#include "server/openai/job.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

namespace pagoda::openai {
namespace {

constexpr size_t kMaxStopStrings = 16;
constexpr size_t kMaxStopBytes = 1024;
constexpr size_t kMaxStopTokenIds = 256;
constexpr size_t kMaxLogitBiases = 4096;
constexpr size_t kMaxCacheSaltBytes = 128;

// Documented fields that this build does not have. Used with effect they are refused by name.
constexpr std::array kUnsupportedFields = {"structured_outputs",
                                           "guided_json",
                                           "guided_regex",
                                           "guided_choice",
                                           "guided_grammar",
                                           "guided_decoding",
                                           "grammar",
                                           "json_schema",
                                           "use_beam_search",
                                           "bad_words",
                                           "logprob_token_ids",
                                           "truncate_prompt_tokens",
                                           "prompt_embeds",
                                           "logits_processors",
                                           "return_prompt_text",
                                           "mm_processor_kwargs",
                                           "audio",
                                           "web_search_options",
                                           "repetition_detection",
                                           "functions",
                                           "thinking_token_budget"};

bool is_without_effect(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return true;
    case Json::value_t::boolean: return !value.get<bool>();
    case Json::value_t::string:
    case Json::value_t::array:
    case Json::value_t::object: return value.empty() || value == Json("");
    default: return value == Json(0);
  }
}

void refuse_unsupported(Fields& fields) {
  for (const char* key : kUnsupportedFields) {
    const Json* value = fields.find(key);
    if (value != nullptr && !is_without_effect(*value)) {
      fields.refuse(key, "is not supported by this build");
    }
  }
  if (fields.find("prompt_logprobs") != nullptr) {
    fields.refuse("prompt_logprobs", "is not supported by this build");
  }
  if (fields.integer("best_of", {.min = 0, .max = 1 << 20}, 1) > 1) {
    fields.refuse("best_of", "more than 1 is not supported; ask for n choices");
  }
  if (fields.number("length_penalty", {.min = -100, .max = 100}, 1.0) != 1.0) {
    fields.refuse("length_penalty", "is for beam search, which is not supported");
  }
  if (const Json* format = fields.find("response_format")) {
    const auto type = format->is_object() ? format->find("type") : format->end();
    const bool has_type = format->is_object() && type != format->end();
    if (!has_type || *type != "text") {
      fields.refuse("response_format", R"(only {"type": "text"} is supported by this build, not )" +
                                           (has_type ? "type " + quote(*type) : describe(*format)));
    }
  }
  if (const Json* modalities = fields.find("modalities")) {
    if (*modalities != Json::array({"text"}) && !is_without_effect(*modalities)) {
      fields.refuse("modalities", R"(only ["text"] is supported)");
    }
  }
}

void read_logit_bias(Fields& fields, int32_t vocab_size, SamplingParams& sampling) {
  const Json* biases = fields.find("logit_bias");
  if (biases == nullptr) return;
  if (!biases->is_object() || biases->size() > kMaxLogitBiases) {
    fields.refuse("logit_bias", fmt::format("must be an object of at most {} token ids to numbers",
                                            kMaxLogitBiases));
    return;
  }
  for (const auto& [key, value] : biases->items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= vocab_size) {
      fields.refuse("logit_bias", fmt::format("every key must be a token id in [0, {}), not '{}'",
                                              vocab_size, key.substr(0, 40)));
      return;
    }
    const double bias = value.is_number() ? value.get<double>() : 1e9;
    if (!(bias >= -100 && bias <= 100)) {
      fields.refuse(fmt::format("logit_bias.{}", id),
                    "must be a number in [-100, 100], not " + describe(value));
      return;
    }
    sampling.logit_bias.emplace_back(id, static_cast<float>(bias));
  }
}

// Allowed tokens that all end the text leave nothing to choose before min_tokens.
void check_something_is_allowed(Fields& fields, const SamplingParams& sampling) {
  if (sampling.allowed_token_ids.empty() || sampling.min_tokens == 0) return;
  const auto ends = [&](TokenId id) {
    const auto is_in = [id](const std::vector<TokenId>& ids) {
      return std::ranges::find(ids, id) != ids.end();
    };
    return is_in(sampling.stop_token_ids) ||
           (!sampling.ignore_eos && is_in(sampling.eos_token_ids));
  };
  if (!std::ranges::all_of(sampling.allowed_token_ids, ends)) return;
  fields.refuse(
      "allowed_token_ids",
      fmt::format("all of them end the text, which min_tokens {} forbids", sampling.min_tokens));
}

void read_sampling(Fields& fields, const ServedModel& model, SamplingParams& sampling) {
  sampling = model.default_sampling;
  const auto number = [&fields](const char* key, NumberRange range, float& value) {
    value = static_cast<float>(fields.number(key, range, value));
  };
  constexpr IntegerRange kCount = {.min = 0, .max = std::numeric_limits<int32_t>::max()};
  const int32_t vocab_size = model.tokenizer->vocab_size();
  number("temperature", {.min = 0, .max = 100}, sampling.temperature);
  number("top_p", {.min = 0, .max = 1, .above_min_only = true}, sampling.top_p);
  number("min_p", {.min = 0, .max = 1}, sampling.min_p);
  number("presence_penalty", {.min = -2, .max = 2}, sampling.presence_penalty);
  number("frequency_penalty", {.min = -2, .max = 2}, sampling.frequency_penalty);
  // float rounds the smallest doubles to 0, which is outside.
  number("repetition_penalty", {.min = 1e-6, .max = 100}, sampling.repetition_penalty);
  // A top_p as small as a float cannot hold still means the most likely token.
  sampling.top_p = std::max(sampling.top_p, std::numeric_limits<float>::min());
  const int64_t top_k = fields.integer("top_k", {.min = -1, .max = kCount.max}, sampling.top_k);
  sampling.top_k = static_cast<int32_t>(std::clamp<int64_t>(top_k, 0, vocab_size));
  sampling.min_tokens = static_cast<int32_t>(fields.integer("min_tokens", kCount, 0));
  sampling.ignore_eos = fields.boolean("ignore_eos", false);
  const auto stop_ids = fields.token_ids("stop_token_ids", vocab_size, kMaxStopTokenIds);
  sampling.stop_token_ids.insert(sampling.stop_token_ids.end(), stop_ids.begin(), stop_ids.end());
  if (const Json* allowed = fields.find("allowed_token_ids")) {
    sampling.allowed_token_ids =
        fields.token_ids("allowed_token_ids", vocab_size, static_cast<size_t>(vocab_size));
    if (allowed->is_array() && allowed->empty()) {
      fields.refuse("allowed_token_ids", "must not be empty");
    }
  }
  read_logit_bias(fields, vocab_size, sampling);
  check_something_is_allowed(fields, sampling);
}

void read_text_options(Fields& fields, TextOptions& text) {
  text.stop = fields.strings("stop", kMaxStopStrings);
  for (const std::string& stop : text.stop) {
    if (stop.empty()) fields.refuse("stop", "must not contain an empty string");
    if (stop.size() > kMaxStopBytes) {
      fields.refuse("stop", fmt::format("a stop string has {} bytes, the limit is {}", stop.size(),
                                        kMaxStopBytes));
    }
  }
  text.include_stop_str_in_output = fields.boolean("include_stop_str_in_output", false);
  text.skip_special_tokens = fields.boolean("skip_special_tokens", true);
}

void read_stream_options(Fields& fields, GenerationJob& job) {
  job.stream = fields.boolean("stream", false);
  const Json* options = fields.find("stream_options");
  if (options == nullptr) return;
  if (!options->is_object()) {
    fields.refuse("stream_options", "must be an object, not " + describe(*options));
    return;
  }
  if (!job.stream) {
    fields.refuse("stream_options", "is for requests with stream: true only");
    return;
  }
  Fields inner(*options, fields.path("stream_options"));
  job.include_usage = inner.boolean("include_usage", false);
  job.continuous_usage_stats = inner.boolean("continuous_usage_stats", false);
  if (!inner.ok()) fields.refuse(inner.status().error());
}

// vLLM's field (an integer, larger is later), or this server's words for it.
void read_priority(Fields& fields, GenerationJob& job) {
  const Json* priority = fields.find("priority");
  if (priority == nullptr) return;
  constexpr IntegerRange kRange = {.min = -1'000'000'000, .max = 1'000'000'000};
  if (*priority == Json("background") || *priority == Json("interactive")) {
    job.priority = *priority == Json("background") ? Priority::kBackground : Priority::kInteractive;
  } else if (const auto number = as_integer(*priority, kRange)) {
    job.priority = *number > 0 ? Priority::kBackground : Priority::kInteractive;
  } else {
    fields.refuse(
        "priority",
        R"(must be "interactive", "background" or an integer (above 0: background), not )" +
            describe(*priority));
  }
}

void read_cache_salt(Fields& fields, GenerationJob& job) {
  job.cache_salt = fields.string("cache_salt");
  if (job.cache_salt.size() <= kMaxCacheSaltBytes) return;
  fields.refuse("cache_salt", fmt::format("has {} bytes, the limit is {}", job.cache_salt.size(),
                                          kMaxCacheSaltBytes));
}

void read_seed(Fields& fields, GenerationJob& job) {
  const Json* seed = fields.find("seed");
  if (seed == nullptr) return;
  if (seed->is_number_unsigned()) {
    job.seed = seed->get<uint64_t>();
  } else {
    job.seed = static_cast<uint64_t>(fields.integer(
        "seed",
        {.min = std::numeric_limits<int64_t>::min(), .max = std::numeric_limits<int64_t>::max()},
        0));
    // llama-server's and many clients' word for "none".
    if (*job.seed == static_cast<uint64_t>(-1)) job.seed.reset();
  }
}

}  // namespace

Deployment::Deployment(ServedModel the_model, AsyncEngine& the_engine, const ServerConfig& config)
    : model(std::move(the_model)),
      engine(&the_engine),
      any_model(config.any_model),
      trusts_request_templates(config.trusts_request_templates),
      ignores_tools(config.ignores_tools),
      max_task_tokens(config.max_task_tokens),
      max_choices(config.max_choices),
      system_fingerprint(fmt::format("b{}-{}", config.version, config.build)),
      seed(config.seed) {
  size_t longest_token = 1;
  for (int32_t id = 0; id < model.tokenizer->vocab_size(); ++id) {
    longest_token = std::max(longest_token, model.tokenizer->token_bytes(id).size());
  }
  // Twice: normalisation to composed characters shortens a text.
  max_prompt_bytes = 2 * longest_token * static_cast<size_t>(std::max(model.max_model_len, 1));
}

uint64_t Deployment::draw_seed() const {
  if (seed.has_value()) {
    // SplitMix64 (Steele, Lea, Flood 2014): the n-th number of the sequence that `seed` begins.
    uint64_t z = *seed + 0x9e3779b97f4a7c15 * (num_seeds_drawn.fetch_add(1) + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t drawn = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&drawn), sizeof(drawn)) != 1) {
    std::random_device device;
    drawn = (uint64_t{device()} << 32) | device();
  }
  return drawn;
}

Result<std::string> Deployment::resolve_model(Fields& fields) const {
  const std::string name = fields.string("model");
  RETURN_IF_ERROR(fields.status());
  if (name.empty()) return model.names.front();
  if (std::ranges::find(model.names, name) != model.names.end()) return name;
  if (any_model && name.size() <= 256) return name;
  return Error{ErrorCode::kNotFound,
               fmt::format("The model `{}` does not exist; this server has `{}`.",
                           name.substr(0, 100), fmt::join(model.names, "`, `")),
               "model"};
}

void read_common(Fields& fields, const Deployment& deployment, GenerationJob& job) {
  refuse_unsupported(fields);
  read_sampling(fields, deployment.model, job.sampling);
  read_text_options(fields, job.text);
  read_stream_options(fields, job);
  read_seed(fields, job);
  read_priority(fields, job);
  read_cache_salt(fields, job);
  job.return_token_ids = fields.boolean("return_token_ids", false);
  job.logprobs_by_id = fields.boolean("return_tokens_as_token_ids", false);
  job.n = static_cast<int32_t>(fields.integer("n", {.min = 1, .max = deployment.max_choices}, 1));
}

Result<std::vector<TokenId>> encode_text(std::string_view text,
                                         const Tokenizer::EncodeOptions& options,
                                         const Deployment& deployment, const std::string& path) {
  if (text.size() > deployment.max_prompt_bytes) {
    return invalid_argument(
        fmt::format("{}: a text of {} bytes cannot fit the model's context of {} tokens", path,
                    text.size(), deployment.model.max_model_len),
        path);
  }
  auto ids = deployment.model.tokenizer->encode(text, options);
  if (!ids.ok() && ids.error().param.empty()) {
    return Error{ids.error().code, ids.error().message, path};
  }
  return ids;
}

Result<void> fit_context(PromptJob& prompt, std::optional<int32_t> asked, const GenerationJob& job,
                         const Deployment& deployment, std::optional<ContextOverflow>& overflow) {
  const bool chat = job.kind == ReplyKind::kChat;
  const std::string param = chat ? "messages" : "prompt";
  const int64_t num_prompt_tokens = static_cast<int64_t>(prompt.token_ids.size());
  const int32_t context = deployment.model.max_model_len;
  if (num_prompt_tokens == 0) {
    return invalid_argument(param + ": the prompt is empty", param);
  }
  // Echo alone generates nothing and so may fill the context.
  const int64_t room = context - num_prompt_tokens;
  if (room < (asked == 0 ? 0 : 1)) {
    overflow = ContextOverflow{num_prompt_tokens, context};
    return invalid_argument(
        fmt::format("This model's maximum context length is {} tokens, and the prompt has {}.",
                    context, num_prompt_tokens),
        param);
  }
  if (asked.has_value() && *asked > room) {
    overflow = ContextOverflow{num_prompt_tokens, context};
    return invalid_argument(
        fmt::format("This model's maximum context length is {} tokens. However, {} were requested: "
                    "{} in the prompt and {} for the completion.",
                    context, num_prompt_tokens + *asked, num_prompt_tokens, *asked),
        chat ? "max_completion_tokens" : "max_tokens");
  }
  constexpr int32_t kCompletionDefault = 16;
  const int64_t fallback =
      deployment.model.default_max_tokens.value_or(chat ? context : kCompletionDefault);
  prompt.max_tokens = static_cast<int32_t>(std::min<int64_t>(asked.value_or(fallback), room));
  if (job.sampling.min_tokens > prompt.max_tokens) {
    return invalid_argument(fmt::format("min_tokens: {} is more than the {} tokens to be generated",
                                        job.sampling.min_tokens, prompt.max_tokens),
                            "min_tokens");
  }
  return {};
}

}  // namespace pagoda::openai
