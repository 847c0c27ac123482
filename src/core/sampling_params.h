// SamplingParams: how tokens are chosen and when a sequence ends.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "core/types.h"

namespace pagoda {

enum class FinishReason {
  kStop,    // an end-of-text token, a stop token id or a stop string
  kLength,  // max_tokens or the model's context
  kAbort,   // the client left or the server ended the request
  kError,   // a step failed; RequestOutput::error says how
};

// The OpenAI spelling: "stop", "length", "abort", "error".
std::string_view to_string(FinishReason reason);

// Immutable once the Request is submitted. Defaults are OpenAI's: temperature 1, no truncation.
// Ranges are checked by the server and the command line; the sampler relies on them.
struct SamplingParams {
  int32_t max_tokens = 16;          // output tokens at most, >= 1
  int32_t min_tokens = 0;           // end tokens are not sampled before this many output tokens
  float temperature = 1.0F;         // >= 0; 0 takes the most likely token
  float top_p = 1.0F;               // (0, 1]
  float min_p = 0.0F;               // [0, 1]
  int32_t top_k = 0;                // 0: off
  float presence_penalty = 0.0F;    // [-2, 2], over output tokens
  float frequency_penalty = 0.0F;   // [-2, 2], over output tokens
  float repetition_penalty = 1.0F;  // > 0, over prompt and output tokens
  uint64_t seed = 0;                // always set: drawn by the server when the client gave none
  bool ignore_eos = false;  // eos_token_ids do not end the sequence (stop_token_ids still do)
  std::vector<TokenId> eos_token_ids;                 // the model's
  std::vector<TokenId> stop_token_ids;                // the client's
  std::vector<std::pair<TokenId, float>> logit_bias;  // added to the logits, [-100, 100]
  std::vector<TokenId> allowed_token_ids;             // empty: all
  int32_t num_logprobs = -1;  // -1: none; 0: the chosen token's only; k: and the k most likely
};

}  // namespace pagoda
