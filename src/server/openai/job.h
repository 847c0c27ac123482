// GenerationJob: a checked completion request, ready for the engine.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/sampling_params.h"
#include "engine/output_processor.h"
#include "engine/request.h"
#include "server/monitor/request_board.h"
#include "server/openai/errors.h"
#include "server/openai/schema.h"
#include "server/server.h"

namespace pagoda::openai {

// The model being served with what request handling derives from it. Immutable after construction,
// but for the count of seeds drawn.
struct Deployment {
  Deployment(ServedModel the_model, AsyncEngine& the_engine, const ServerConfig& config);

  // For a request without one. Thread-safe.
  uint64_t draw_seed() const;
  // The name to show in the reply: the one asked for. kNotFound when it is not served.
  Result<std::string> resolve_model(Fields& fields) const;

  ServedModel model;
  AsyncEngine* engine = nullptr;        // not owned
  std::shared_ptr<RequestBoard> board;  // is told of requests; may be null
  bool any_model = false;
  bool trusts_request_templates = false;
  bool ignores_tools = false;
  int32_t max_task_tokens = 0;  // 0: no limit
  int32_t max_choices = 0;
  size_t max_prompt_bytes = 0;  // a longer text cannot fit max_model_len tokens
  std::string system_fingerprint;
  std::optional<uint64_t> seed;  // of the seeds drawn
  mutable std::atomic<uint64_t> num_seeds_drawn = 0;
};

enum class ReplyKind { kChat, kCompletion };

struct PromptJob {
  std::vector<TokenId> token_ids;  // not empty
  std::string echo_text;           // to be put before the output; empty without `echo`
  int32_t max_tokens = 0;          // 0: echo only, nothing for the engine
};

// Value type.
struct GenerationJob {
  ReplyKind kind = ReplyKind::kChat;
  std::string model;
  std::vector<PromptJob> prompts;  // at least one; exactly one for chat
  SamplingParams sampling;         // max_tokens and seed are set per prompt
  std::optional<uint64_t> seed;    // the client's
  int32_t n = 1;                   // choices for each prompt
  TextOptions text;
  Priority priority = Priority::kInteractive;
  std::string cache_salt;         // the client's own
  bool return_token_ids = false;  // of prompts and choices
  bool logprobs_by_id = false;    // logprobs name tokens "token_id:7" in place of their text
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage_stats = false;
};

// Body to job. `overflow` is set when the error is about the context length. Thread-safe; the time
// grows with the body: tokenising and, for chat, rendering the template.
Result<GenerationJob> prepare_chat(std::string_view body, const Deployment& deployment,
                                   std::optional<ContextOverflow>& overflow);
Result<GenerationJob> prepare_completion(std::string_view body, const Deployment& deployment,
                                         std::optional<ContextOverflow>& overflow);

// Messages, tools and template arguments of a chat body to the text of the prompt. kInvalidArgument
// with the template's own words when it raises an exception. `is_background`, which may be null,
// becomes whether the messages are a task that nobody waits for.
Result<std::string> render_prompt(const Json& body, Fields& fields, const Deployment& deployment,
                                  bool* is_background);
// The same to token ids.
Result<std::vector<TokenId>> render_chat(const Json& body, Fields& fields,
                                         const Deployment& deployment, bool* is_background);

// Token ids of a text; refuses at once what is too long to fit.
Result<std::vector<TokenId>> encode_text(std::string_view text,
                                         const Tokenizer::EncodeOptions& options,
                                         const Deployment& deployment, const std::string& path);

// The parts that chat and completions share.
void read_common(Fields& fields, const Deployment& deployment, GenerationJob& job);
// Checks a prompt against the context and sets how many tokens it may get. `asked`: the request's
// own limit, if it has one.
Result<void> fit_context(PromptJob& prompt, std::optional<int32_t> asked, const GenerationJob& job,
                         const Deployment& deployment, std::optional<ContextOverflow>& overflow);

}  // namespace pagoda::openai
