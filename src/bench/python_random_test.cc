// Tests of bench/python_random.h.
#include "bench/python_random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace pagoda {
namespace {

// The expected numbers are what CPython 3.11 prints after random.seed(11111).
TEST(PythonRandom, RandomGivesTheNumbersOfCPython) {
  PythonRandom random(11111);
  EXPECT_EQ(random.random(), 0.9479227239554819);
  EXPECT_EQ(random.random(), 0.026355604507073638);
}

TEST(PythonRandom, GaussKeepsTheSecondOfEachPairAsCPythonDoes) {
  PythonRandom random(11111);
  for (const int expected : {167, 144, 98, 212, 154, 111}) {
    EXPECT_EQ(static_cast<int>(random.gauss(150, 80)), expected);
  }
}

TEST(PythonRandom, BelowStaysBelowAndReachesEveryNumber) {
  PythonRandom random(7);
  for (const uint32_t n : {1U, 2U, 3U, 64U, 1000U}) {
    std::vector<bool> seen(n);
    for (uint32_t i = 0; i < 40 * n; ++i) {
      const uint32_t drawn = random.below(n);
      ASSERT_LT(drawn, n);
      seen[drawn] = true;
    }
    EXPECT_TRUE(std::find(seen.begin(), seen.end(), false) == seen.end()) << n;
  }
}

// python3 -c "import random; random.seed(11111); a=list(range(10)); random.shuffle(a); print(a)"
TEST(PythonRandom, ShuffleGivesTheOrderOfCPython) {
  PythonRandom random(11111);
  std::vector<int> values(10);
  std::iota(values.begin(), values.end(), 0);
  random.shuffle(values);
  EXPECT_EQ(values, (std::vector<int>{1, 4, 6, 8, 3, 7, 2, 9, 0, 5}));
}

}  // namespace
}  // namespace pagoda
