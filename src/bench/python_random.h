// PythonRandom: the numbers of CPython's random.Random, bit for bit, as LLMPerf draws them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace pagoda {

// MT19937 (Matsumoto and Nishimura 1998) seeded as CPython's random.seed(int) does, with the draws
// of CPython 3.11's random.py on top. Value type, one thread at a time.
class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed);

  // The next 32 bits of the generator.
  uint32_t next_u32();
  // random.random(): in [0, 1), 53 bits.
  double random();
  // random.gauss(mean, stddev). Every second call uses what the call before it kept, whatever the
  // mean and deviation of that one were.
  double gauss(double mean, double stddev);
  // random._randbelow(n): in [0, n). REQUIRES: n >= 1.
  uint32_t below(uint32_t n);

  // random.shuffle(values).
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i-- > 1;) {
      std::swap(values[i], values[below(static_cast<uint32_t>(i + 1))]);
    }
  }

 private:
  static constexpr size_t kStateWords = 624;

  void seed_word(uint32_t seed);
  void refill();

  std::array<uint32_t, kStateWords> state_{};
  size_t next_ = kStateWords;
  std::optional<double> kept_gauss_;
};

}  // namespace pagoda
