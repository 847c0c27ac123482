// MT19937 and the draws that CPython's random.py makes of it.
#include "bench/python_random.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace pagoda {

// init_by_array() of the reference implementation for a key of one word, which is what CPython
// makes of an integer seed below 2^32.
PythonRandom::PythonRandom(uint32_t seed) {
  seed_word(19650218U);
  size_t i = 1;
  for (size_t k = 0; k < kStateWords; ++k) {
    const uint32_t before = state_[i - 1] ^ (state_[i - 1] >> 30);
    state_[i] = (state_[i] ^ (before * 1664525U)) + seed;
    if (++i == kStateWords) {
      state_[0] = state_[kStateWords - 1];
      i = 1;
    }
  }
  for (size_t k = 0; k < kStateWords - 1; ++k) {
    const uint32_t before = state_[i - 1] ^ (state_[i - 1] >> 30);
    state_[i] = (state_[i] ^ (before * 1566083941U)) - static_cast<uint32_t>(i);
    if (++i == kStateWords) {
      state_[0] = state_[kStateWords - 1];
      i = 1;
    }
  }
  state_[0] = 0x80000000U;
}

void PythonRandom::seed_word(uint32_t seed) {
  state_[0] = seed;
  for (size_t i = 1; i < kStateWords; ++i) {
    const uint32_t before = state_[i - 1] ^ (state_[i - 1] >> 30);
    state_[i] = 1812433253U * before + static_cast<uint32_t>(i);
  }
}

void PythonRandom::refill() {
  constexpr size_t kShift = 397;
  for (size_t i = 0; i < kStateWords; ++i) {
    const uint32_t y = (state_[i] & 0x80000000U) | (state_[(i + 1) % kStateWords] & 0x7fffffffU);
    state_[i] = state_[(i + kShift) % kStateWords] ^ (y >> 1) ^ ((y & 1U) != 0 ? 0x9908b0dfU : 0U);
  }
  next_ = 0;
}

uint32_t PythonRandom::next_u32() {
  if (next_ == kStateWords) refill();
  uint32_t y = state_[next_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680U;
  y ^= (y << 15) & 0xefc60000U;
  return y ^ (y >> 18);
}

double PythonRandom::random() {
  const uint32_t high = next_u32() >> 5;
  const uint32_t low = next_u32() >> 6;
  return (high * 67108864.0 + low) / 9007199254740992.0;
}

double PythonRandom::gauss(double mean, double stddev) {
  double z = 0.0;
  if (kept_gauss_) {
    z = *kept_gauss_;
    kept_gauss_.reset();
  } else {
    const double angle = random() * 2.0 * std::numbers::pi;
    const double radius = std::sqrt(-2.0 * std::log(1.0 - random()));
    z = std::cos(angle) * radius;
    kept_gauss_ = std::sin(angle) * radius;
  }
  return mean + z * stddev;
}

uint32_t PythonRandom::below(uint32_t n) {
  CHECK(n >= 1);
  const int num_bits = std::bit_width(n);
  uint32_t drawn = n;
  while (drawn >= n) drawn = next_u32() >> (32 - num_bits);
  return drawn;
}

}  // namespace pagoda
