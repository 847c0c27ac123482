// Loops over blocks of kLanes values, a constant count that compilers turn into vector code.
#include "runner/softmax.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace pagoda {
namespace {

constexpr size_t kLanes = 16;

// exp(x) for x <= 0. Range reduction and polynomial of Cephes' expf (Moshier, 1989): x = n ln 2 + r
// with |r| <= ln 2 / 2, exp(r) by a polynomial of degree 7, and 2^n put together from bits.
inline float exp_nonpositive(float x) {
  constexpr float kLowest = -87.0F;      // exp of it is still a normal number
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  constexpr int32_t kRoundBits = 0x4B400000;
  const float bounded = x < kLowest ? kLowest : x;
  const float shifted = bounded * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (bounded - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - kRoundBits;
  const float power = std::bit_cast<float>((exponent + 127) << 23);
  return x < kLowest ? 0.0F : p * power;
}

}  // namespace

bool all_finite(std::span<const float> values) {
  // NaN and infinities are the floats whose exponent bits are all ones. Adding one to the exponent
  // field carries into the sign bit just for those.
  constexpr uint32_t kMagnitude = 0x7FFFFFFFU;
  constexpr uint32_t kOneExponent = 0x00800000U;
  std::array<uint32_t, kLanes> carried = {};
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      carried[lane] |= (std::bit_cast<uint32_t>(values[i + lane]) & kMagnitude) + kOneExponent;
    }
  }
  for (; i < values.size(); ++i) {
    carried[0] |= (std::bit_cast<uint32_t>(values[i]) & kMagnitude) + kOneExponent;
  }
  return std::all_of(carried.begin(), carried.end(), [](uint32_t c) { return c <= kMagnitude; });
}

size_t index_of_max(std::span<const float> values) {
  std::array<float, kLanes> largest;
  largest.fill(values[0]);
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane];
      largest[lane] = value > largest[lane] ? value : largest[lane];
    }
  }
  for (; i < values.size(); ++i) largest[0] = std::max(largest[0], values[i]);
  const float best = *std::max_element(largest.begin(), largest.end());
  return static_cast<size_t>(std::find(values.begin(), values.end(), best) - values.begin());
}

float softmax_weight(float logit, float max_logit, float temperature) {
  return exp_nonpositive((logit - max_logit) * (1.0F / temperature));
}

void softmax_weights(std::span<const float> logits, float max_logit, float temperature,
                     std::span<float> out) {
  const float inverse = 1.0F / temperature;
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    std::array<float, kLanes> block;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      block[lane] = exp_nonpositive((logits[i + lane] - max_logit) * inverse);
    }
    std::copy(block.begin(), block.end(), out.begin() + static_cast<ptrdiff_t>(i));
  }
  for (; i < logits.size(); ++i) out[i] = exp_nonpositive((logits[i] - max_logit) * inverse);
}

double sum_of(std::span<const float> values) {
  std::array<double, kLanes> sums = {};
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(values[i + lane]);
    }
  }
  for (size_t lane = 0; i < values.size(); ++i, ++lane) {
    sums[lane] += static_cast<double>(values[i]);
  }
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace pagoda
