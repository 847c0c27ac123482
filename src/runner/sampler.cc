// Penalties, truncation and the seeded choice.
#include "runner/sampler.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace pagoda {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();
// Below this a division by the temperature gains nothing but overflow; vLLM's threshold.
constexpr float kGreedyTemperature = 1e-5F;
// Penalties and biases may drive a logit beyond float; within this bound differences stay finite.
constexpr float kMaxLogit = 1e30F;

bool all_finite(std::span<const float> values) {
  // NaN and infinities are the floats whose exponent bits are all ones.
  constexpr uint32_t kExponent = 0x7F800000U;
  uint32_t any = 0;
  for (const float value : values) {
    any |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
  }
  return any == 0;
}

TokenId argmax(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return static_cast<TokenId>(best);
}

bool has_penalties(const SamplingParams& params) {
  return params.repetition_penalty != 1.0F || params.presence_penalty != 0.0F ||
         params.frequency_penalty != 0.0F;
}

int32_t num_output_tokens(const SamplerInput& input) {
  return static_cast<int32_t>(input.token_ids.size()) - input.num_prompt_tokens;
}

double random_of(const SamplerInput& input) {
  return uniform_random(input.params->seed, static_cast<uint32_t>(input.choice_index),
                        static_cast<uint32_t>(input.token_ids.size()));
}

}  // namespace

PhiloxBlock philox4x32_10(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53U} * counter.words[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57U} * counter.words[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.words[1] ^ key0,
                static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.words[3] ^ key1,
                static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return counter;
}

double uniform_random(uint64_t seed, uint32_t choice_index, uint32_t position) {
  const PhiloxBlock block =
      philox4x32_10({{position, choice_index, 0, 0}}, static_cast<uint32_t>(seed),
                    static_cast<uint32_t>(seed >> 32));
  const uint64_t bits = (uint64_t{block.words[0]} << 32) | block.words[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

Sampler::Sampler(int32_t vocab_size) {
  CHECK(vocab_size >= 1);
  const auto count = static_cast<size_t>(vocab_size);
  logits_.resize(count);
  weights_.resize(count);
  counts_.resize(count);
}

Result<SampledToken> Sampler::sample(const SamplerInput& input) {
  CHECK(input.params != nullptr && input.logits.size() == logits_.size());
  CHECK(input.num_prompt_tokens >= 0 && num_output_tokens(input) >= 0);
  if (!all_finite(input.logits)) {
    return Error{ErrorCode::kInternal, "the model computed logits that are not finite"};
  }
  const std::span<const float> logits = modified_logits(input);
  const TokenId best = argmax(logits);
  if (logits[static_cast<size_t>(best)] == kBanned) {
    return Error{ErrorCode::kInternal, "no token is allowed: every one is banned"};
  }
  SampledToken out;
  const bool greedy = input.params->temperature < kGreedyTemperature;
  out.token = greedy ? best : draw(logits, best, input);
  if (input.params->num_logprobs >= 0) add_logprobs(input, out);
  return out;
}

// Returns the model's own logits when nothing changes them, which saves the copy.
std::span<const float> Sampler::modified_logits(const SamplerInput& input) {
  const SamplingParams& params = *input.params;
  const bool bans_end = num_output_tokens(input) < params.min_tokens;
  if (params.logit_bias.empty() && params.allowed_token_ids.empty() && !bans_end &&
      !has_penalties(params)) {
    return input.logits;
  }
  const auto known = [&](TokenId token) {
    return token >= 0 && static_cast<size_t>(token) < logits_.size();
  };
  if (params.allowed_token_ids.empty()) {
    std::copy(input.logits.begin(), input.logits.end(), logits_.begin());
  } else {
    std::fill(logits_.begin(), logits_.end(), kBanned);
    for (const TokenId token : params.allowed_token_ids) {
      if (known(token)) {
        logits_[static_cast<size_t>(token)] = input.logits[static_cast<size_t>(token)];
      }
    }
  }
  for (const auto& [token, bias] : params.logit_bias) {
    if (known(token)) logits_[static_cast<size_t>(token)] += bias;
  }
  if (bans_end) {
    const auto ban = [&](TokenId token) {
      if (known(token)) logits_[static_cast<size_t>(token)] = kBanned;
    };
    std::for_each(params.stop_token_ids.begin(), params.stop_token_ids.end(), ban);
    if (!params.ignore_eos) {
      std::for_each(params.eos_token_ids.begin(), params.eos_token_ids.end(), ban);
    }
  }
  if (has_penalties(params)) apply_penalties(input);
  for (float& logit : logits_) {
    if (logit != kBanned) logit = std::clamp(logit, -kMaxLogit, kMaxLogit);
  }
  return logits_;
}

// Linear in the number of tokens: each token is counted once and penalised at its first visit.
void Sampler::apply_penalties(const SamplerInput& input) {
  const SamplingParams& params = *input.params;
  const auto num_prompt = static_cast<size_t>(input.num_prompt_tokens);
  const std::span<const TokenId> output = input.token_ids.subspan(num_prompt);
  const auto known = [&](TokenId token) {
    return token >= 0 && static_cast<size_t>(token) < counts_.size();
  };
  if (params.repetition_penalty != 1.0F) {
    for (const TokenId token : input.token_ids) {
      if (!known(token) || counts_[static_cast<size_t>(token)]++ > 0) continue;
      float& logit = logits_[static_cast<size_t>(token)];
      if (logit == kBanned) continue;
      logit = logit > 0.0F ? logit / params.repetition_penalty : logit * params.repetition_penalty;
      logit = std::clamp(logit, -kMaxLogit, kMaxLogit);
    }
    for (const TokenId token : input.token_ids) {
      if (known(token)) counts_[static_cast<size_t>(token)] = 0;
    }
  }
  for (const TokenId token : output) {
    if (known(token)) ++counts_[static_cast<size_t>(token)];
  }
  for (const TokenId token : output) {
    if (!known(token)) continue;
    int32_t& count = counts_[static_cast<size_t>(token)];
    if (count == 0) continue;  // a repeat: done at its first visit
    logits_[static_cast<size_t>(token)] -=
        params.frequency_penalty * static_cast<float>(count) + params.presence_penalty;
    count = 0;
  }
}

TokenId Sampler::draw(std::span<const float> logits, TokenId best, const SamplerInput& input) {
  const SamplingParams& params = *input.params;
  const float max_logit = logits[static_cast<size_t>(best)];
  const bool truncates_k = params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size();
  if (!truncates_k && params.top_p >= 1.0F) return draw_from_all(logits, max_logit, input);

  if (truncates_k) select_top(logits, static_cast<size_t>(params.top_k));
  if (params.top_p < 1.0F) {
    if (!truncates_k) candidates_.clear();
    keep_top_p(logits, max_logit, params);
  }
  double total = 0.0;
  size_t num_kept = 0;
  for (; num_kept < candidates_.size(); ++num_kept) {
    const float weight = std::exp((candidates_[num_kept].logit - max_logit) / params.temperature);
    if (num_kept > 0 && weight < params.min_p) break;  // of the largest weight, which is 1
    weights_[num_kept] = weight;
    total += static_cast<double>(weight);
  }
  double left = random_of(input) * total;
  size_t chosen = 0;
  for (size_t i = 0; i < num_kept; ++i) {
    if (weights_[i] == 0.0F) break;
    chosen = i;
    left -= static_cast<double>(weights_[i]);
    if (left < 0.0) break;
  }
  return candidates_[chosen].token;
}

// Without top_k and top_p nothing needs an order but that of the ids.
TokenId Sampler::draw_from_all(std::span<const float> logits, float max_logit,
                               const SamplerInput& input) {
  const SamplingParams& params = *input.params;
  double total = 0.0;
  for (size_t i = 0; i < logits.size(); ++i) {
    float weight = std::exp((logits[i] - max_logit) / params.temperature);
    if (weight < params.min_p) weight = 0.0F;
    weights_[i] = weight;
    total += static_cast<double>(weight);
  }
  double left = random_of(input) * total;
  size_t chosen = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i] == 0.0F) continue;
    chosen = i;
    left -= static_cast<double>(weights_[i]);
    if (left < 0.0) break;
  }
  return static_cast<TokenId>(chosen);
}

// Fills candidates_ with the `count` largest logits in descending order. Keeps at most twice as
// many while it scans, so the cost is O(V + count log count) and not that of sorting V.
void Sampler::select_top(std::span<const float> logits, size_t count) {
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  count = std::min(count, logits.size());
  candidates_.clear();
  const auto cut = [&] {
    const auto last = candidates_.begin() + static_cast<ptrdiff_t>(count);
    std::nth_element(candidates_.begin(), last - 1, candidates_.end(), before);
    candidates_.erase(last, candidates_.end());
  };
  float threshold = kBanned;  // of the ids to come, those not above it have no place
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > threshold)) continue;
    candidates_.push_back({logits[i], static_cast<TokenId>(i)});
    if (candidates_.size() < 2 * count) continue;
    cut();
    threshold = candidates_.back().logit;
  }
  if (candidates_.size() > count) cut();
  std::sort(candidates_.begin(), candidates_.end(), before);
}

// Cuts candidates_ to the shortest prefix that holds top_p of the probability. When top_k has not
// filled it, the prefix is sought among ever more of the largest logits.
void Sampler::keep_top_p(std::span<const float> logits, float max_logit,
                         const SamplingParams& params) {
  const auto weight_of = [&](float logit) {
    return static_cast<double>(std::exp((logit - max_logit) / params.temperature));
  };
  const bool from_all = candidates_.empty();
  double total = 0.0;
  if (from_all) {
    for (const float logit : logits) total += weight_of(logit);
  } else {
    for (const Candidate& candidate : candidates_) total += weight_of(candidate.logit);
  }
  const double wanted = total * static_cast<double>(params.top_p);
  for (size_t count = 64;; count *= 8) {
    if (from_all) select_top(logits, count);
    double sum = 0.0;
    size_t kept = 0;
    while (kept < candidates_.size() && sum < wanted) sum += weight_of(candidates_[kept++].logit);
    if (sum >= wanted || !from_all || count >= logits.size()) {
      candidates_.resize(std::max<size_t>(kept, 1));
      return;
    }
  }
}

// Of the logits as the model gave them.
void Sampler::add_logprobs(const SamplerInput& input, SampledToken& out) {
  const float max_logit = input.logits[static_cast<size_t>(argmax(input.logits))];
  double total = 0.0;
  for (const float logit : input.logits) total += static_cast<double>(std::exp(logit - max_logit));
  const double log_total = static_cast<double>(max_logit) + std::log(total);
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) - log_total);
  };
  out.logprob = logprob(input.logits[static_cast<size_t>(out.token)]);
  if (input.params->num_logprobs == 0) return;
  select_top(input.logits, static_cast<size_t>(input.params->num_logprobs));
  for (const Candidate& candidate : candidates_) {
    out.top_logprobs.push_back({candidate.token, logprob(candidate.logit)});
  }
}

}  // namespace pagoda
