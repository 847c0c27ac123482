// ReplyWriter: the JSON of chat and text completions, whole and streamed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "core/sampling_params.h"
#include "core/step.h"
#include "server/openai/job.h"

namespace pagoda::openai {

struct Usage {
  int64_t num_prompt_tokens = 0;
  int64_t num_cached_tokens = 0;
  int64_t num_completion_tokens = 0;
};

// Where the time went, in seconds; shown under llama-server's names.
struct Timings {
  double prompt_s = 0;     // until the first token
  double predicted_s = 0;  // from the first token to the last
};

// How a choice ended.
struct ChoiceEnd {
  FinishReason reason = FinishReason::kStop;
  std::optional<std::string> stop_string = {};
  std::optional<TokenId> stop_token_id = {};  // the client's own ids only
};

// A finished choice of a whole reply.
struct WholeChoice {
  int32_t index = 0;
  std::string text = {};
  std::vector<SampledToken> tokens = {};  // of the logprobs
  std::vector<TokenId> token_ids = {};    // with return_token_ids
  int64_t text_offset = 0;                // characters of echo before the first token
  ChoiceEnd end = {};
};

// Immutable after construction; borrows nothing but the tokenizer, which it shares.
class ReplyWriter {
 public:
  ReplyWriter(const GenerationJob& job, const std::string& request_id, const Deployment& deployment,
              int64_t created);

  // Each appends one event, "data: {...}\n\n".
  void append_role(std::string& out, int32_t index) const;  // chat's first chunk of a choice
  // `token_ids` are shown with return_token_ids. `end` with a completion's last text; chat ends by
  // append_finish. `text_offset` moves on over `tokens`. `usage` is for continuous_usage_stats,
  // else null.
  void append_text(std::string& out, int32_t index, std::string_view text,
                   std::span<const SampledToken> tokens, std::span<const TokenId> token_ids,
                   int64_t& text_offset, const ChoiceEnd* end, const Usage* usage) const;
  void append_finish(std::string& out, int32_t index, const ChoiceEnd& end,
                     const Usage* usage) const;
  void append_usage(std::string& out, const Usage& usage, const Timings& timings) const;

  // Choices stand by (prompt, choice). With return_token_ids the ids of `prompts` are shown too.
  std::string whole(std::span<const WholeChoice> choices, std::span<const PromptJob> prompts,
                    const Usage& usage, const Timings& timings) const;

 private:
  Json logprobs_json(std::span<const SampledToken> tokens, int64_t& text_offset) const;
  Json chat_logprobs(std::span<const SampledToken> tokens) const;
  Json completion_logprobs(std::span<const SampledToken> tokens, int64_t& text_offset) const;
  Json token_json(const TokenLogprob& token) const;
  std::string token_text(TokenId id) const;
  std::string token_name(TokenId id) const;  // its text, or with logprobs_by_id its number
  void append_end(std::string& out, const ChoiceEnd* end) const;
  void close_chunk(std::string& out, const Usage* usage) const;

  bool chat_;
  bool wants_logprobs_;
  bool wants_ids_;
  bool logprobs_by_id_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string chunk_head_;  // `data: {"id":...,` up to the choices
  std::string id_, model_, fingerprint_;
  int64_t created_;
};

// The last event of every stream.
inline constexpr std::string_view kStreamDone = "data: [DONE]\n\n";

}  // namespace pagoda::openai
