// Tests of BlockTable.
#include "engine/block_table.h"

#include <gtest/gtest.h>

#include <utility>

namespace pagoda {
namespace {

TEST(BlockTable, DestroyingATableReturnsItsBlocks) {
  BlockPool pool(4, 4);
  {
    BlockTable table(pool);
    ASSERT_TRUE(table.reserve(9));
    EXPECT_EQ(table.num_blocks(), 3);
    EXPECT_EQ(pool.num_free_blocks(), 1);
  }
  EXPECT_EQ(pool.num_free_blocks(), 4);
}

TEST(BlockTable, AReserveThatCannotBeMetChangesNothing) {
  BlockPool pool(4, 4);
  BlockTable table(pool);
  ASSERT_TRUE(table.reserve(4));
  EXPECT_FALSE(table.reserve(17));
  EXPECT_EQ(table.num_blocks(), 1);
  EXPECT_EQ(pool.num_free_blocks(), 3);
}

TEST(BlockTable, ReserveKeepsTheBlocksItHasAndNeverShrinks) {
  BlockPool pool(4, 4);
  BlockTable table(pool);
  ASSERT_TRUE(table.reserve(8));
  const std::vector<BlockId> before(table.blocks().begin(), table.blocks().end());
  ASSERT_TRUE(table.reserve(2));
  ASSERT_TRUE(table.reserve(12));
  ASSERT_EQ(table.num_blocks(), 3);
  EXPECT_EQ(std::vector<BlockId>(table.blocks().begin(), table.blocks().begin() + 2), before);
}

TEST(BlockTable, MovingLeavesNothingBehindAndReturnsWhatItReplaces) {
  BlockPool pool(4, 4);
  BlockTable first(pool);
  BlockTable second(pool);
  ASSERT_TRUE(first.reserve(8));
  ASSERT_TRUE(second.reserve(4));
  second = std::move(first);
  EXPECT_EQ(pool.num_free_blocks(), 2);
  const BlockTable third(std::move(second));
  EXPECT_EQ(pool.num_free_blocks(), 2);
  EXPECT_EQ(third.num_blocks(), 2);
}

TEST(BlockTable, ASharedPrefixOutlivesTheTableItCameFrom) {
  BlockPool pool(4, 4);
  BlockTable second(pool);
  {
    BlockTable first(pool);
    ASSERT_TRUE(first.reserve(12));
    second.share(first.blocks().first(2));
    EXPECT_EQ(second.blocks()[1], first.blocks()[1]);
    EXPECT_EQ(pool.num_free_blocks(), 1);
  }
  EXPECT_EQ(pool.num_free_blocks(), 2);
  second.clear();
  EXPECT_EQ(pool.num_free_blocks(), 4);
}

TEST(BlockTable, TheStartOfASequenceIsTakenAnewAfterItsEnd) {
  BlockPool pool(2, 4);
  BlockTable table(pool);
  ASSERT_TRUE(table.reserve(8));
  const BlockId last = table.blocks()[1];
  table.clear();
  EXPECT_EQ(pool.allocate(), last);
}

}  // namespace
}  // namespace pagoda
