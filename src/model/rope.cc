// Rotary frequencies.
#include "model/rope.h"

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

double scaled_frequency(const RopeConfig& config, double frequency) {
  switch (config.type) {
    case RopeType::kDefault: return frequency;
    case RopeType::kLinear: return frequency / config.factor;
    case RopeType::kLlama3: return llama3_frequency(config, frequency);
  }
  return frequency;
}

}  // namespace

RopeTable make_rope_table(const RopeConfig& config, int32_t head_size) {
  CHECK(head_size > 0 && head_size % 2 == 0);
  RopeTable table;
  for (int32_t i = 0; i < head_size; i += 2) {
    const double frequency = std::pow(config.theta, -static_cast<double>(i) / head_size);
    table.inv_freq.push_back(static_cast<float>(scaled_frequency(config, frequency)));
  }
  return table;
}

}  // namespace pagoda
