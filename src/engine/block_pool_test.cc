// Tests of BlockPool.
#include "engine/block_pool.h"

#include <gtest/gtest.h>

#include <random>

namespace pagoda {
namespace {

TEST(BlockPool, TheBlockReleasedLongestAgoIsTakenFirst) {
  BlockPool pool(3, 4);
  const BlockId a = *pool.allocate();
  const BlockId b = *pool.allocate();
  const BlockId c = *pool.allocate();
  pool.release(b);
  pool.release(c);
  pool.release(a);
  EXPECT_EQ(pool.allocate(), b);
  EXPECT_EQ(pool.allocate(), c);
  EXPECT_EQ(pool.allocate(), a);
}

TEST(BlockPool, AnEmptyPoolIsAnOrdinaryAnswer) {
  BlockPool pool(1, 4);
  ASSERT_TRUE(pool.allocate().has_value());
  EXPECT_FALSE(pool.allocate().has_value());
  EXPECT_EQ(pool.num_free_blocks(), 0);
}

TEST(BlockPool, ASharedBlockIsFreeOnlyAfterItsLastRelease) {
  BlockPool pool(2, 4);
  const BlockId id = *pool.allocate();
  pool.acquire(id);
  EXPECT_EQ(pool.ref_count(id), 2);
  pool.release(id);
  EXPECT_EQ(pool.num_free_blocks(), 1);
  pool.release(id);
  EXPECT_EQ(pool.num_free_blocks(), 2);
}

TEST(BlockPool, BlocksForRoundsUpAndDoesNotOverflow) {
  const BlockPool pool(1, 4);
  EXPECT_EQ(pool.blocks_for(0), 0);
  EXPECT_EQ(pool.blocks_for(1), 1);
  EXPECT_EQ(pool.blocks_for(4), 1);
  EXPECT_EQ(pool.blocks_for(5), 2);
  EXPECT_EQ(pool.blocks_for(2147483647), 536870912);
}

TEST(BlockPool, StaysConsistentUnderRandomUse) {
  constexpr uint32_t kSeed = 7;
  std::mt19937 random(kSeed);
  BlockPool pool(20, 4);
  std::vector<BlockId> references;
  for (int i = 0; i < 3000; ++i) {
    const auto action = random() % 3;
    if (action == 0) {
      if (const auto id = pool.allocate()) references.push_back(*id);
    } else if (!references.empty()) {
      const size_t which = random() % references.size();
      if (action == 1) {
        pool.acquire(references[which]);
        references.push_back(references[which]);
      } else {
        pool.release(references[which]);
        references.erase(references.begin() + static_cast<std::ptrdiff_t>(which));
      }
    }
    const Result<void> checked = pool.check_invariants();
    ASSERT_TRUE(checked.ok()) << "seed " << kSeed << ": " << checked.error().message;
  }
  for (const BlockId id : references) pool.release(id);
  EXPECT_EQ(pool.num_free_blocks(), 20);
}

}  // namespace
}  // namespace pagoda
