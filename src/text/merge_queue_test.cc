// MergeQueue: the order of std::priority_queue, whatever comes when.
#include "text/merge_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <random>
#include <vector>

namespace pagoda {
namespace {

TEST(MergeQueue, GivesCandidatesInTheOrderOfAPriorityQueue) {
  std::mt19937 random(3);
  for (const uint32_t num_ranks : {1U, 3U, 1000U}) {
    MergeQueue queue(num_ranks);
    std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> expected;
    for (int step = 0; step < 20'000; ++step) {
      if (step < 500 || random() % 2 == 0) {
        // Equal candidates, ranks before the one that is being taken out, places in any order.
        const auto rank = static_cast<uint32_t>(random() % num_ranks);
        const auto place = static_cast<uint32_t>(random() % 200);
        queue.push(static_cast<int32_t>(rank), place);
        expected.push((uint64_t{rank} << 32) | place);
      }
      if (step < 500) continue;
      int32_t rank = -1;
      uint32_t place = 0;
      ASSERT_EQ(queue.pop(rank, place), !expected.empty());
      if (expected.empty()) continue;
      ASSERT_EQ((uint64_t{static_cast<uint32_t>(rank)} << 32) | place, expected.top());
      expected.pop();
    }
  }
}

TEST(MergeQueue, SortsManyPlacesOfOneRank) {
  std::mt19937 random(4);
  MergeQueue queue(2);
  std::vector<uint32_t> expected;
  for (const uint32_t bits : {5U, 16U, 32U}) {
    for (int i = 0; i < 5000; ++i) {
      expected.push_back(static_cast<uint32_t>(random()) >> (32 - bits));
      queue.push(1, expected.back());
    }
  }
  std::sort(expected.begin(), expected.end());
  for (const uint32_t place : expected) {
    int32_t rank = 0;
    uint32_t given = 0;
    ASSERT_TRUE(queue.pop(rank, given));
    ASSERT_EQ(given, place);
  }
}

TEST(MergeQueue, IsEmptyAtFirst) {
  MergeQueue queue(0);
  int32_t rank = 0;
  uint32_t place = 0;
  EXPECT_FALSE(queue.pop(rank, place));
}

}  // namespace
}  // namespace pagoda
