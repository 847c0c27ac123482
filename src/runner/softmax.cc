// Loops over blocks of kLanes values, a constant count that compilers turn into vector code.
#include "runner/softmax.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace pagoda {
namespace {

constexpr size_t kLanes = 16;

// Four lanes in the compiler's own vector type: compilers do not find them in this by themselves.
constexpr size_t kVectorLanes = 4;
using FloatVector = float __attribute__((vector_size(kVectorLanes * sizeof(float))));
using IntVector = int32_t __attribute__((vector_size(kVectorLanes * sizeof(int32_t))));

// exp(x) for x <= 0. Range reduction and polynomial of Cephes' expf (Moshier, 1989): x = n ln 2 + r
// with |r| <= ln 2 / 2, exp(r) by a polynomial of degree 7, and 2^n put together from bits.
FloatVector exp_nonpositive(FloatVector x) {
  const FloatVector lowest = FloatVector{} - 87.0F;  // exp of it is still a normal number
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  constexpr int32_t kRoundBits = 0x4B400000;
  const FloatVector bounded = x < lowest ? lowest : x;
  const FloatVector shifted = bounded * 1.44269504F + kRound;
  const FloatVector n = shifted - kRound;
  const FloatVector r = (bounded - n * 0.693359375F) + n * 2.12194440e-4F;
  FloatVector p = FloatVector{} + 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const auto exponent = reinterpret_cast<IntVector>(shifted) - kRoundBits;
  const auto power = reinterpret_cast<FloatVector>((exponent + 127) << 23);
  return x < lowest ? FloatVector{} : p * power;
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

void softmax_weights(std::span<const float> logits, float max_logit, float temperature,
                     std::span<float> out) {
  const float inverse = 1.0F / temperature;
  FloatVector vector = {};
  size_t i = 0;
  for (; i + kVectorLanes <= logits.size(); i += kVectorLanes) {
    std::memcpy(&vector, &logits[i], sizeof(vector));
    vector = exp_nonpositive((vector - max_logit) * inverse);
    std::memcpy(&out[i], &vector, sizeof(vector));
  }
  const size_t num_bytes = (logits.size() - i) * sizeof(float);
  if (num_bytes == 0) return;
  vector = FloatVector{} + max_logit;  // lanes without a logit
  std::memcpy(&vector, &logits[i], num_bytes);
  vector = exp_nonpositive((vector - max_logit) * inverse);
  std::memcpy(&out[i], &vector, num_bytes);
}

float softmax_weight(float logit, float max_logit, float temperature) {
  float weight = 0.0F;
  softmax_weights({&logit, 1}, max_logit, temperature, {&weight, 1});
  return weight;
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
