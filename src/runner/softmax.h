// Softmax pieces: the passes over all V logits that the sampler makes, fast and in fixed order.
#pragma once

#include <cstddef>
#include <span>

namespace pagoda {

// Everything here gives the same bits on every CPU and for every alignment: only additions,
// multiplications and comparisons, in an order that depends on the number of elements alone.

bool all_finite(std::span<const float> values);

// Index of the largest value, the lowest among equals. REQUIRES: not empty, no NaN.
size_t index_of_max(std::span<const float> values);

// out[i] = exp((logits[i] - max_logit) / temperature) with a relative error below 2^-21, and 0
// where that is less than e^-87. Minus infinity gives 0. REQUIRES: equal sizes, no NaN, no logit
// above max_logit, temperature >= 1e-5.
void softmax_weights(std::span<const float> logits, float max_logit, float temperature,
                     std::span<float> out);
float softmax_weight(float logit, float max_logit, float temperature);

// Sum in double.
double sum_of(std::span<const float> values);

}  // namespace pagoda
