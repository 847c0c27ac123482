// Encoders of Q4_K and Q6_K: a search for the scales with the least weighted squared error.
//
// The idea is that of ggml's k-quants: for some steps near the plain one, round, solve the least
// squares problem of scale and min for those quants, and keep the best. Large elements weigh more,
// as errors of theirs move products more.
#include <algorithm>
#include <cmath>

#include "tensor/dtype.h"
#include "tensor/formats/blocks.h"
#include "tensor/formats/codecs.h"

namespace pagoda {
namespace {

constexpr int kElements = 256;
constexpr float kLargest = 1e30F;  // so that squares and sums stay finite

// The block with what is no number, or too large to be squared, made harmless; and the weights.
struct Input {
  float x[kElements];
  float weight[kElements];
};

void prepare(const float* in, int group, Input& input) {
  for (int j = 0; j < kElements; ++j) {
    const float value = in[j];
    input.x[j] = std::isnan(value) ? 0.0F : std::clamp(value, -kLargest, kLargest);
  }
  for (int first = 0; first < kElements; first += group) {
    double squares = 0;
    for (int j = first; j < first + group; ++j) {
      squares += static_cast<double>(input.x[j]) * static_cast<double>(input.x[j]);
    }
    const double rms = std::sqrt(squares / group);
    // Only ratios matter: weights are between 1 and about 1 + sqrt(group).
    const auto inverse = static_cast<float>(rms > 1e-30 ? 1.0 / rms : 0.0);
    for (int j = first; j < first + group; ++j) {
      input.weight[j] = 1.0F + std::fabs(input.x[j]) * inverse;
    }
  }
}

// The whole number nearest to value, within [0, limit].
inline float nearest(float value, float limit) {
  return static_cast<float>(static_cast<int>(std::min(std::max(value, 0.0F), limit) + 0.5F));
}

// Q4_K: x ~ scale * q - min, scale and min not negative.

constexpr int kGroup = 32;
constexpr float kMaxQuant = 15.0F;
constexpr float kMaxScale = 63.0F;  // 6 bits

struct Affine {
  float scale = 0;
  float min = 0;
};

double affine_error(const float* x, const float* weight, Affine a) {
  const float inverse = a.scale > 0.0F ? 1.0F / a.scale : 0.0F;
  double error = 0;
  for (int j = 0; j < kGroup; ++j) {
    const float q = nearest((x[j] + a.min) * inverse, kMaxQuant);
    const float difference = a.scale * q - a.min - x[j];
    error += static_cast<double>(weight[j] * difference) * static_cast<double>(difference);
  }
  return error;
}

// Scale and min that suit the quants to which `a` rounds x.
Affine solve_affine(const float* x, const float* weight, Affine a) {
  const float inverse = 1.0F / a.scale;
  double w = 0;
  double wq = 0;
  double wqq = 0;
  double wx = 0;
  double wqx = 0;
  for (int j = 0; j < kGroup; ++j) {
    const auto q = static_cast<double>(nearest((x[j] + a.min) * inverse, kMaxQuant));
    const auto weight_j = static_cast<double>(weight[j]);
    const auto x_j = static_cast<double>(x[j]);
    w += weight_j;
    wq += weight_j * q;
    wqq += weight_j * q * q;
    wx += weight_j * x_j;
    wqx += weight_j * q * x_j;
  }
  const double determinant = w * wqq - wq * wq;
  if (!(determinant > 0)) return a;
  double scale = (w * wqx - wq * wx) / determinant;
  double min = (wq * wqx - wqq * wx) / determinant;
  if (min < 0) {
    min = 0;
    scale = wqq > 0 ? wqx / wqq : 0;
  }
  if (!(scale > 0)) return a;
  return {static_cast<float>(scale), static_cast<float>(min)};
}

Affine find_affine(const float* x, const float* weight) {
  float low = 0.0F;  // a min below zero cannot be kept
  float high = x[0];
  for (int j = 0; j < kGroup; ++j) {
    low = std::min(low, x[j]);
    high = std::max(high, x[j]);
  }
  const Affine plain = {(high - low) / kMaxQuant, -low};
  if (!(plain.scale > 0.0F) || !std::isfinite(1.0F / plain.scale)) return {0.0F, -low};
  Affine best = plain;
  double least = affine_error(x, weight, plain);
  for (const float steps : {13.4F, 14.0F, 14.5F, 15.0F, 15.5F, 16.2F, 17.0F}) {
    const Affine found = solve_affine(x, weight, {(high - low) / steps, -low});
    const double error = affine_error(x, weight, found);
    if (error < least) {
      least = error;
      best = found;
    }
  }
  return best;
}

// The scales and mins of the 8 groups in 6 bits each, and the factors of all.
void choose_affine_scales(const Input& input, BlockQ4_K& block, uint8_t* scales, uint8_t* mins) {
  Affine groups[8];
  Affine largest;
  for (int g = 0; g < 8; ++g) {
    groups[g] = find_affine(input.x + g * kGroup, input.weight + g * kGroup);
    largest.scale = std::max(largest.scale, groups[g].scale);
    largest.min = std::max(largest.min, groups[g].min);
  }
  block.scale = float_to_f16(std::min(largest.scale / kMaxScale, 65504.0F));
  block.min = float_to_f16(std::min(largest.min / kMaxScale, 65504.0F));
  const float d = f16_to_float(block.scale);
  const float dmin = f16_to_float(block.min);
  for (int g = 0; g < 8; ++g) {
    const float scale = nearest(d > 0.0F ? groups[g].scale / d : 0.0F, kMaxScale);
    const float min = nearest(dmin > 0.0F ? groups[g].min / dmin : 0.0F, kMaxScale);
    // Rounding both to 6 bits may leave neighbours better than the nearest.
    double least = INFINITY;
    for (float s = std::max(scale - 1, 0.0F); s <= std::min(scale + 1, kMaxScale); ++s) {
      for (float m = std::max(min - 1, 0.0F); m <= std::min(min + 1, kMaxScale); ++m) {
        const double error =
            affine_error(input.x + g * kGroup, input.weight + g * kGroup, {d * s, dmin * m});
        if (error < least) {
          least = error;
          scales[g] = static_cast<uint8_t>(s);
          mins[g] = static_cast<uint8_t>(m);
        }
      }
    }
  }
}

void encode_q4_k_block(const float* in, BlockQ4_K& block) {
  Input input;
  prepare(in, kGroup, input);
  uint8_t scales[8] = {};
  uint8_t mins[8] = {};
  choose_affine_scales(input, block, scales, mins);
  pack_scales(scales, mins, block.scales);
  const float d = f16_to_float(block.scale);
  const float dmin = f16_to_float(block.min);
  for (int g = 0; g < 8; ++g) {
    const float scale = d * static_cast<float>(scales[g]);
    const float min = dmin * static_cast<float>(mins[g]);
    const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
    for (int j = 0; j < kGroup; ++j) {
      const auto q =
          static_cast<uint32_t>(nearest((input.x[g * kGroup + j] + min) * inverse, kMaxQuant));
      uint8_t& byte = block.low[g / 2 * kGroup + j];
      byte = static_cast<uint8_t>(byte | q << (g % 2 * 4));
    }
  }
}

// Q6_K: x ~ scale * (q - 32), scale of either sign.

constexpr int kSmallGroup = 16;
constexpr float kZero = 32.0F;
constexpr float kMaxQuant6 = 63.0F;

double symmetric_error(const float* x, const float* weight, float scale) {
  const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
  double error = 0;
  for (int j = 0; j < kSmallGroup; ++j) {
    const float q = nearest(x[j] * inverse + kZero, kMaxQuant6) - kZero;
    const float difference = scale * q - x[j];
    error += static_cast<double>(weight[j] * difference) * static_cast<double>(difference);
  }
  return error;
}

float solve_symmetric(const float* x, const float* weight, float scale) {
  const float inverse = 1.0F / scale;
  double wqq = 0;
  double wqx = 0;
  for (int j = 0; j < kSmallGroup; ++j) {
    const auto q = static_cast<double>(nearest(x[j] * inverse + kZero, kMaxQuant6) - kZero);
    wqq += static_cast<double>(weight[j]) * q * q;
    wqx += static_cast<double>(weight[j]) * q * static_cast<double>(x[j]);
  }
  return wqq > 0 ? static_cast<float>(wqx / wqq) : scale;
}

float find_symmetric(const float* x, const float* weight) {
  float extreme = x[0];
  for (int j = 1; j < kSmallGroup; ++j) {
    if (std::fabs(x[j]) > std::fabs(extreme)) extreme = x[j];
  }
  const float plain = -extreme / kZero;
  if (plain == 0.0F || !std::isfinite(1.0F / plain)) return 0.0F;
  float best = plain;
  double least = symmetric_error(x, weight, plain);
  // The extreme element at either end, or a little beyond.
  for (const float steps : {-30.5F, -31.5F, -32.0F, -33.0F, 31.0F, 32.0F}) {
    const float found = solve_symmetric(x, weight, extreme / steps);
    const double error = symmetric_error(x, weight, found);
    if (error < least) {
      least = error;
      best = found;
    }
  }
  return best;
}

void encode_q6_k_block(const float* in, BlockQ6_K& block) {
  Input input;
  prepare(in, kSmallGroup, input);
  float scales[16];
  float extreme = 0.0F;
  for (int g = 0; g < 16; ++g) {
    scales[g] = find_symmetric(input.x + g * kSmallGroup, input.weight + g * kSmallGroup);
    if (std::fabs(scales[g]) > std::fabs(extreme)) extreme = scales[g];
  }
  block.scale = float_to_f16(std::clamp(extreme / -128.0F, -65504.0F, 65504.0F));
  const float d = f16_to_float(block.scale);
  for (int g = 0; g < 16; ++g) {
    const float rounded = std::round(d != 0.0F ? scales[g] / d : 0.0F);
    block.scales[g] = static_cast<int8_t>(std::clamp(rounded, -128.0F, 127.0F));
    const float scale = d * static_cast<float>(block.scales[g]);
    const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
    for (int j = g * kSmallGroup; j < (g + 1) * kSmallGroup; ++j) {
      const auto q = static_cast<uint32_t>(nearest(input.x[j] * inverse + kZero, kMaxQuant6));
      // Where element 128 h + 32 i + k lies: blocks.h.
      const int h = j / 128;
      const int i = j % 128 / 32;
      uint8_t& low = block.low[64 * h + 32 * (i % 2) + j % 32];
      uint8_t& high = block.high[32 * h + j % 32];
      low = static_cast<uint8_t>(low | (q & 0x0fU) << (i / 2 * 4));
      high = static_cast<uint8_t>(high | (q >> 4) << (2 * i));
    }
  }
}

}  // namespace

void encode_q4_k(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ4_K)) {
    BlockQ4_K block = {};
    encode_q4_k_block(in + i, block);
    std::memcpy(blocks, &block, sizeof(block));
  }
}

void encode_q6_k(const float* in, std::byte* blocks, int64_t num_elements) {
  for (int64_t i = 0; i < num_elements; i += kElements, blocks += sizeof(BlockQ6_K)) {
    BlockQ6_K block = {};
    encode_q6_k_block(in + i, block);
    std::memcpy(blocks, &block, sizeof(block));
  }
}

}  // namespace pagoda
