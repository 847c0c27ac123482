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

TEST(BlockPool, TheLeastValuableFreeBlockIsTakenFirst) {
  BlockPool pool(4, 4);
  std::vector<BlockId> reused;
  pool.on_reuse([&](BlockId id) { reused.push_back(id); });
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pool.allocate());
  pool.set_worth(0, BlockWorth::kInteractive);
  pool.set_worth(1, BlockWorth::kBackground);
  pool.set_worth(2, BlockWorth::kBackground);
  for (const BlockId id : {0, 2, 1, 3}) pool.release(id);
  pool.set_worth(1, BlockWorth::kInteractive);  // while free
  for (const BlockId id : {3, 2, 0, 1}) EXPECT_EQ(pool.allocate(), id);
  EXPECT_EQ(reused, (std::vector<BlockId>{2, 0, 1}));
  EXPECT_EQ(pool.worth(0), BlockWorth::kNothing);
}

TEST(BlockPool, AFreeBlockOfWorthCanBeTakenBack) {
  BlockPool pool(2, 4);
  ASSERT_EQ(pool.allocate(), 0);
  pool.set_worth(0, BlockWorth::kBackground);
  pool.release(0);
  pool.acquire(0);
  EXPECT_EQ(pool.ref_count(0), 1);
  EXPECT_EQ(pool.num_free_blocks(), 1);
  EXPECT_EQ(pool.worth(0), BlockWorth::kBackground);
  EXPECT_TRUE(pool.check_invariants().ok());
}

TEST(BlockPool, StaysConsistentUnderRandomUse) {
  constexpr uint32_t kSeed = 7;
  std::mt19937 random(kSeed);
  BlockPool pool(20, 4);
  std::vector<BlockId> references;
  for (int i = 0; i < 3000; ++i) {
    const auto action = random() % 4;
    if (action == 0) {
      if (const auto id = pool.allocate()) references.push_back(*id);
    } else if (action == 3) {
      const auto id = static_cast<BlockId>(random() % 20);
      pool.set_worth(id, static_cast<BlockWorth>(random() % 3));
      if (pool.ref_count(id) == 0 && pool.worth(id) != BlockWorth::kNothing) {
        pool.acquire(id);
        references.push_back(id);
      }
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
