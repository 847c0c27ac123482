// Rotary frequencies.
#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pagoda {
namespace {

double llama3_frequency(const RopeConfig& config, double frequency) {
  const double context = config.original_max_position_embeddings;
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  if (wavelength < context / config.high_freq_factor) return frequency;
  if (wavelength > context / config.low_freq_factor) return frequency / config.factor;
  const double smooth = (context / wavelength - config.low_freq_factor) /
                        (config.high_freq_factor - config.low_freq_factor);
  return (1.0 - smooth) * frequency / config.factor + smooth * frequency;
}

// The index, as a real number, of the frequency that makes `turns` turns in the original context.
double yarn_index(const RopeConfig& config, int32_t rotary, double turns) {
  const double context = config.original_max_position_embeddings;
  return rotary * std::log(context / (turns * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(config.theta));
}

double yarn_frequency(const RopeConfig& config, int32_t rotary, int32_t i, double frequency) {
  double low = yarn_index(config, rotary, config.beta_fast);
  double high = yarn_index(config, rotary, config.beta_slow);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, rotary - 1.0);
  if (low == high) high += 0.001;
  const double divided = std::clamp((i - low) / (high - low), 0.0, 1.0);
  return frequency / config.factor * divided + frequency * (1.0 - divided);
}

// The frequency of pair i, from what it is without scaling.
double scaled_frequency(const RopeConfig& config, int32_t rotary, int32_t i, double frequency) {
  switch (config.type) {
    case RopeType::kDefault: return frequency;
    case RopeType::kLinear: return frequency / config.factor;
    case RopeType::kLlama3: return llama3_frequency(config, frequency);
    case RopeType::kYarn: return yarn_frequency(config, rotary, i, frequency);
    case RopeType::kLongRope: {
      const bool is_long = config.longest_sequence > config.original_max_position_embeddings;
      return frequency /
             (is_long ? config.long_factors : config.short_factors)[static_cast<size_t>(i)];
    }
  }
  return frequency;
}

}  // namespace

int32_t rotary_size(const RopeConfig& config, int32_t head_size) {
  return static_cast<int32_t>(head_size * config.rotary_factor);
}

RopeTable make_rope_table(const RopeConfig& config, int32_t head_size) {
  const int32_t rotary = rotary_size(config, head_size);
  CHECK(rotary > 0 && rotary % 2 == 0 && rotary <= head_size);
  RopeTable table;
  if (config.type == RopeType::kYarn || config.type == RopeType::kLongRope) {
    table.attention_factor = static_cast<float>(config.attention_factor);
  }
  for (int32_t i = 0; i < rotary / 2; ++i) {
    const double frequency = std::pow(config.theta, -2.0 * i / rotary);
    table.inv_freq.push_back(static_cast<float>(scaled_frequency(config, rotary, i, frequency)));
  }
  return table;
}

}  // namespace pagoda
