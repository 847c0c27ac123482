// Penalties, truncation and the seeded choice.
#include "runner/sampler.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "runner/softmax.h"

namespace pagoda {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();
// Below this a division by the temperature gains nothing but overflow; vLLM's threshold.
constexpr float kGreedyTemperature = 1e-5F;
// Penalties and biases may drive a logit beyond float; within this bound differences stay finite.
constexpr float kMaxLogit = 1e30F;

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

bool Sampler::is_before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
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
  const auto best = static_cast<TokenId>(index_of_max(logits));
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
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size()) {
    return draw_from_top_k(logits, max_logit, input);
  }
  // Nothing needs an order but that of the ids: what is cut off gets the weight 0.
  softmax_weights(logits, max_logit, params.temperature, weights_);
  if (params.top_p < 1.0F) cut_top_p(logits, max_logit, params);
  if (params.min_p > 0.0F) {
    for (float& weight : weights_) weight = weight < params.min_p ? 0.0F : weight;
  }
  return static_cast<TokenId>(draw_weighted(weights_, random_of(input)));
}

TokenId Sampler::draw_from_top_k(std::span<const float> logits, float max_logit,
                                 const SamplerInput& input) {
  const SamplingParams& params = *input.params;
  select_top(logits, static_cast<size_t>(params.top_k));
  const std::span<float> weights = std::span(weights_).first(candidates_.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = softmax_weight(candidates_[i].logit, max_logit, params.temperature);
  }
  const double wanted = params.top_p < 1.0F ? sum_of(weights) * static_cast<double>(params.top_p)
                                            : std::numeric_limits<double>::infinity();
  double sum = 0.0;
  size_t num_kept = 0;
  while (num_kept < weights.size() && (num_kept == 0 || sum < wanted)) {
    if (weights[num_kept] < params.min_p) break;  // of the largest weight, which is 1
    sum += static_cast<double>(weights[num_kept++]);
  }
  return candidates_[draw_weighted(weights.first(num_kept), random_of(input))].token;
}

// Sets to 0 the weights beyond the fewest that reach top_p. Sorting all V logits would cost more
// than all else, so they are dealt into buckets by their distance from the largest, and only the
// bucket in which the sum is reached is sorted.
void Sampler::cut_top_p(std::span<const float> logits, float max_logit,
                        const SamplingParams& params) {
  constexpr int32_t kNumBuckets = 1024;
  constexpr float kBucketsPerNat = 32.0F;  // the last one takes all below e^-32 of the largest
  const float scale = kBucketsPerNat / params.temperature;
  const auto bucket_of = [&](float logit) {
    return static_cast<size_t>(
        std::min((max_logit - logit) * scale, static_cast<float>(kNumBuckets - 1)));
  };
  std::array<double, kNumBuckets> sums = {};
  for (size_t i = 0; i < logits.size(); ++i) {
    sums[bucket_of(logits[i])] += static_cast<double>(weights_[i]);
  }
  const double wanted =
      std::accumulate(sums.begin(), sums.end(), 0.0) * static_cast<double>(params.top_p);
  double sum = 0.0;
  size_t edge = 0;
  while (edge + 1 < sums.size() && sum + sums[edge] < wanted) sum += sums[edge++];

  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    const size_t bucket = bucket_of(logits[i]);
    if (bucket > edge) weights_[i] = 0.0F;
    if (bucket == edge) candidates_.push_back({logits[i], static_cast<TokenId>(i)});
  }
  std::sort(candidates_.begin(), candidates_.end(), is_before);
  size_t num_kept = 0;
  // The largest is always kept; it is the first of bucket 0.
  while (num_kept < candidates_.size() && (sum < wanted || (edge == 0 && num_kept == 0))) {
    sum += static_cast<double>(weights_[static_cast<size_t>(candidates_[num_kept++].token)]);
  }
  for (size_t i = num_kept; i < candidates_.size(); ++i) {
    weights_[static_cast<size_t>(candidates_[i].token)] = 0.0F;
  }
}

// The index that `random` in [0, 1) falls on when each takes a share of its weight. Whole blocks
// are passed over by their sums. REQUIRES: a weight above 0.
size_t Sampler::draw_weighted(std::span<const float> weights, double random) {
  constexpr size_t kBlock = 256;
  const auto block_at = [&](size_t begin) {
    return weights.subspan(begin, std::min(kBlock, weights.size() - begin));
  };
  block_sums_.clear();
  double total = 0.0;
  for (size_t begin = 0; begin < weights.size(); begin += kBlock) {
    total += block_sums_.emplace_back(sum_of(block_at(begin)));
  }
  double left = random * total;
  size_t chosen_block = 0;
  for (size_t b = 0; b < block_sums_.size(); ++b) {
    if (block_sums_[b] == 0.0) continue;
    chosen_block = b;  // the last one stands when rounding leaves a rest
    if (left < block_sums_[b]) break;
    left -= block_sums_[b];
  }
  size_t chosen = chosen_block * kBlock;
  const std::span<const float> block = block_at(chosen);
  for (size_t i = 0; i < block.size(); ++i) {
    if (block[i] == 0.0F) continue;
    chosen = chosen_block * kBlock + i;
    left -= static_cast<double>(block[i]);
    if (left < 0.0) break;
  }
  return chosen;
}

// Fills candidates_ with the `count` largest logits in descending order. Keeps at most twice as
// many while it scans, so the cost is O(V + count log count) and not that of sorting V.
void Sampler::select_top(std::span<const float> logits, size_t count) {
  count = std::min(count, logits.size());
  candidates_.clear();
  const auto cut = [&] {
    const auto last = candidates_.begin() + static_cast<ptrdiff_t>(count);
    std::nth_element(candidates_.begin(), last - 1, candidates_.end(), is_before);
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
  std::sort(candidates_.begin(), candidates_.end(), is_before);
}

// Of the logits as the model gave them.
void Sampler::add_logprobs(const SamplerInput& input, SampledToken& out) {
  const float max_logit = input.logits[index_of_max(input.logits)];
  softmax_weights(input.logits, max_logit, 1.0F, weights_);
  const double log_total = static_cast<double>(max_logit) + std::log(sum_of(weights_));
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
