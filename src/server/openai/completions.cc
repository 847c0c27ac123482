// Completion requests: the four forms of `prompt`.
#include <fmt/core.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/openai/job.h"

namespace pagoda::openai {
namespace {

constexpr int64_t kMaxLogprobs = 20;

bool is_list_of(const Json& value, bool (*predicate)(const Json&)) {
  for (const Json& entry : value) {
    if (!predicate(entry)) return false;
  }
  return true;
}

struct PromptOptions {
  bool add_special_tokens = true;
  bool echo = false;
};

Result<PromptJob> prompt_of_text(const Json& text, const PromptOptions& options,
                                 const Deployment& deployment, const std::string& path) {
  PromptJob prompt;
  const std::string& value = text.get_ref<const std::string&>();
  ASSIGN_OR_RETURN(prompt.token_ids, encode_text(value,
                                                 {.add_special_tokens = options.add_special_tokens,
                                                  .parse_special_tokens = true},
                                                 deployment, path));
  if (options.echo) prompt.echo_text = value;
  return prompt;
}

Result<PromptJob> prompt_of_ids(const Json& ids, const PromptOptions& options,
                                const Deployment& deployment, const std::string& path) {
  const Tokenizer& tokenizer = *deployment.model.tokenizer;
  PromptJob prompt;
  ASSIGN_OR_RETURN(prompt.token_ids, to_token_ids(ids, tokenizer.vocab_size(), path));
  if (options.echo) prompt.echo_text = tokenizer.decode(prompt.token_ids, true);
  return prompt;
}

Result<std::vector<PromptJob>> read_prompts(const Fields& fields, const PromptOptions& options,
                                            const Deployment& deployment) {
  const Json* prompt = fields.find("prompt");
  if (prompt == nullptr) return invalid_argument("prompt: is missing", "prompt");
  std::vector<PromptJob> prompts;
  if (prompt->is_string()) {
    ASSIGN_OR_RETURN(prompts.emplace_back(),
                     prompt_of_text(*prompt, options, deployment, "prompt"));
    return prompts;
  }
  if (!prompt->is_array() || prompt->empty()) {
    return invalid_argument(
        "prompt: must be a string, an array of strings, of token ids or of arrays of token ids",
        "prompt");
  }
  if (is_list_of(*prompt, [](const Json& entry) { return entry.is_number(); })) {
    ASSIGN_OR_RETURN(prompts.emplace_back(), prompt_of_ids(*prompt, options, deployment, "prompt"));
    return prompts;
  }
  if (prompt->size() > static_cast<size_t>(deployment.max_choices)) {
    return invalid_argument(fmt::format("prompt: has {} entries, the limit is {}", prompt->size(),
                                        deployment.max_choices),
                            "prompt");
  }
  for (const Json& entry : *prompt) {
    const std::string path = fmt::format("prompt.{}", prompts.size());
    if (!entry.is_string() && !entry.is_array()) {
      return invalid_argument(
          path + ": must be a string or an array of token ids, not " + describe(entry), path);
    }
    const auto read = entry.is_string() ? prompt_of_text : prompt_of_ids;
    ASSIGN_OR_RETURN(PromptJob job, read(entry, options, deployment, path));
    prompts.push_back(std::move(job));
  }
  return prompts;
}

}  // namespace

Result<GenerationJob> prepare_completion(std::string_view body, const Deployment& deployment,
                                         std::optional<ContextOverflow>& overflow) {
  ASSIGN_OR_RETURN(const Json json, parse_body(body));
  Fields fields(json);
  GenerationJob job;
  job.kind = ReplyKind::kCompletion;
  job.text.continues_text = true;
  ASSIGN_OR_RETURN(job.model, deployment.resolve_model(fields));
  read_common(fields, deployment, job);
  if (!fields.string("suffix").empty()) {
    fields.refuse("suffix", "insertion is not supported by this build");
  }
  const PromptOptions options = {
      .add_special_tokens = fields.boolean("add_special_tokens", true),
      .echo = fields.boolean("echo", false),
  };
  job.sampling.num_logprobs =
      static_cast<int32_t>(fields.integer("logprobs", {.min = 0, .max = kMaxLogprobs}, -1));
  if (options.echo && job.sampling.num_logprobs >= 0) {
    fields.refuse("echo", "together with logprobs is not supported by this build");
  }
  std::optional<int32_t> asked;
  if (fields.find("max_tokens") != nullptr) {
    // With echo, 0 asks for the prompt alone.
    const IntegerRange range = {.min = options.echo ? 0 : 1,
                                .max = std::numeric_limits<int32_t>::max()};
    asked = static_cast<int32_t>(fields.integer("max_tokens", range, 1));
  }
  RETURN_IF_ERROR(fields.status());

  ASSIGN_OR_RETURN(job.prompts, read_prompts(fields, options, deployment));
  if (static_cast<int64_t>(job.prompts.size()) * job.n > deployment.max_choices) {
    return invalid_argument(fmt::format("n: {} prompts with {} choices each are more than {}",
                                        job.prompts.size(), job.n, deployment.max_choices),
                            "n");
  }
  for (PromptJob& prompt : job.prompts) {
    RETURN_IF_ERROR(fit_context(prompt, asked, job, deployment, overflow));
  }
  return job;
}

}  // namespace pagoda::openai
