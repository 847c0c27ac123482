// Sampler: from the logits of one position to the next token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "core/sampling_params.h"
#include "core/step.h"

namespace pagoda {

// What one choice depends on, and all it depends on. Spans are borrowed for the call.
struct SamplerInput {
  std::span<const float> logits;       // [V]
  std::span<const TokenId> token_ids;  // prompt and output so far
  int32_t num_prompt_tokens = 0;
  int32_t choice_index = 0;  // which of the request's n choices
  const SamplingParams* params = nullptr;
};

// Chooses tokens. The steps, in order:
//   1. logit_bias is added; tokens outside allowed_token_ids are banned; before min_tokens output
//      tokens, stop_token_ids and (without ignore_eos) eos_token_ids are banned
//   2. repetition_penalty r over prompt and output: a logit is divided by r when positive, else
//      multiplied (Keskar et al., CTRL, 2019); then frequency_penalty times the count and
//      presence_penalty once, over output tokens (OpenAI's API reference)
//   3. temperature below 1e-5: the largest logit, the lowest id among equals. Otherwise logits are
//      divided by it
//   4. top_k most likely are kept; of these the fewest whose probabilities reach top_p (Holtzman et
//      al., 2020); of these the ones of at least min_p times the largest probability (Nguyen et
//      al., 2024). Equal logits rank by lower id
//   5. one draw with the random number of (seed, choice_index, number of tokens so far)
// Ids outside [0, V) in the parameters have no effect.
//
// The result depends on the input alone, never on the batch around it. Work is O(V + tokens) but
// for the sorting of what top_k keeps, or of the few around the edge of top_p. Owns scratch memory
// of about 24 bytes for each vocabulary entry, so one Sampler serves one thread at a time.
class Sampler {
 public:
  // REQUIRES: vocab_size >= 1.
  explicit Sampler(int32_t vocab_size);

  // SampledToken without its sequence_id. kInternal when a logit is not finite or nothing is left
  // to choose from. REQUIRES: V logits, params set and within their documented ranges.
  Result<SampledToken> sample(const SamplerInput& input);

 private:
  struct Candidate {
    float logit;
    TokenId token;
  };
  static bool is_before(const Candidate& a, const Candidate& b);  // by rank

  std::span<const float> modified_logits(const SamplerInput& input);
  void apply_penalties(const SamplerInput& input);
  TokenId draw(std::span<const float> logits, TokenId best, const SamplerInput& input);
  TokenId draw_from_top_k(std::span<const float> logits, float max_logit,
                          const SamplerInput& input);
  void cut_top_p(std::span<const float> logits, float max_logit, const SamplingParams& params);
  size_t draw_weighted(std::span<const float> weights, double random);
  void select_top(std::span<const float> logits, size_t count);
  void add_logprobs(const SamplerInput& input, SampledToken& out);

  std::vector<float> logits_;          // [V], modified
  std::vector<float> weights_;         // [V], unnormalised probabilities
  std::vector<int32_t> counts_;        // [V], all zero between calls
  std::vector<Candidate> candidates_;  // most likely first once selected
  std::vector<double> block_sums_;     // of weights_
};

// A number in [0, 1) with 53 random bits that depends on the three arguments alone: Philox4x32-10
// of Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011), key = seed, counter =
// (position, choice_index, 0, 0).
double uniform_random(uint64_t seed, uint32_t choice_index, uint32_t position);

// The generator itself: four words from a four-word counter and a two-word key.
struct PhiloxBlock {
  uint32_t words[4];
};
PhiloxBlock philox4x32_10(PhiloxBlock counter, uint32_t key0, uint32_t key1);

}  // namespace pagoda
