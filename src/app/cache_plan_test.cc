// The cache plan: what it gives, and what it refuses with which numbers.
#include "app/cache_plan.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace pagoda {
namespace {

MemoryDemand small_demand() {
  return {.weight_bytes = 1000,
          .working_bytes = 60,
          .request_bytes = 40,
          .bytes_per_block = 40,
          .block_size = 4,
          .max_num_seqs = 2,
          .model_context = 64};
}

TEST(CachePlan, TheCacheNeverExceedsWhatItsSequencesCanUse) {
  const auto plan = plan_cache(small_demand(), {.available_bytes = 1'000'000});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 2 * 16);
  EXPECT_EQ(plan->max_model_len, 64);
  EXPECT_FALSE(plan->context_limited_by_memory);
}

TEST(CachePlan, EverythingTogetherStaysWithinTheShareOfTheAvailableMemory) {
  for (int64_t available = 1300; available < 6000; available += 37) {
    const auto plan = plan_cache(small_demand(), {.available_bytes = available});
    ASSERT_TRUE(plan.ok()) << available;
    EXPECT_LE(static_cast<double>(1100 + plan->kv_cache_bytes),
              0.9 * static_cast<double>(available));
    EXPECT_GE(plan->num_blocks, 1);
    EXPECT_LE(plan->max_model_len, plan->num_cache_tokens);
  }
}

TEST(CachePlan, TheBudgetIsTheSumOfAllParts) {
  MemoryDemand demand = small_demand();
  demand.process_bytes = 500;
  demand.table_bytes_per_block = 5;
  const auto plan = plan_cache(demand, {.available_bytes = 1500});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 5);  // (1350 - 1100) / 45
  EXPECT_EQ(plan->kv_cache_bytes, 200);
  EXPECT_EQ(plan->request_bytes, 40 + 25);
  EXPECT_EQ(plan->budget_bytes, 500 + 1000 + 60 + 65 + 200);
}

TEST(CachePlan, ADefaultContextShrinksToTheMemoryAndSaysSo) {
  const auto plan = plan_cache(small_demand(), {.available_bytes = 1500});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 6);  // (1350 - 1100) / 40
  EXPECT_EQ(plan->max_model_len, 24);
  EXPECT_TRUE(plan->context_limited_by_memory);
}

TEST(CachePlan, AContextAskedForThatDoesNotFitIsRefusedWithBothNumbers) {
  MemoryDemand demand = small_demand();
  demand.max_model_len = 64;
  auto plan = plan_cache(demand, {.available_bytes = 1500});
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().message.find("64 tokens"), std::string::npos);
  EXPECT_NE(plan.error().message.find("24 tokens"), std::string::npos);
  demand.max_model_len = 65;
  plan = plan_cache(demand, {.available_bytes = 1'000'000});
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().message.find("limit of 64"), std::string::npos);
}

TEST(CachePlan, WeightsThatDoNotFitAreRefused) {
  const auto plan =
      plan_cache(small_demand(), {.available_bytes = 1000, .limited_by_cgroup = true});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kOverloaded);
  EXPECT_NE(plan.error().message.find("cgroup"), std::string::npos);
}

TEST(CachePlan, TheUsersNumberOfBlocksIsTakenUnlessItCannotFit) {
  MemoryDemand demand = small_demand();
  demand.num_blocks = 5;
  auto plan = plan_cache(demand, {.available_bytes = 10'000});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 5);
  EXPECT_EQ(plan->max_model_len, 20);
  for (const int32_t blocks : {1'000'000, std::numeric_limits<int32_t>::max()}) {
    demand.num_blocks = blocks;
    demand.bytes_per_block = std::numeric_limits<int64_t>::max() / 4;
    plan = plan_cache(demand, {.available_bytes = 10'000});
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code, ErrorCode::kOverloaded);
    EXPECT_NE(plan.error().message.find(std::to_string(blocks)), std::string::npos);
  }
}

TEST(CachePlan, TheUsersBytesOfCacheAreTaken) {
  MemoryDemand demand = small_demand();
  demand.kv_cache_memory_bytes = 200;
  const auto plan = plan_cache(demand, {.available_bytes = 10'000});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 5);
  demand.kv_cache_memory_bytes = 9'000;
  EXPECT_FALSE(plan_cache(demand, {.available_bytes = 10'000}).ok());
}

TEST(CachePlan, TooFewBytesOfCacheAreRefusedWithTheLeast) {
  MemoryDemand demand = small_demand();
  demand.kv_cache_memory_bytes = 39;
  const auto plan = plan_cache(demand, {.available_bytes = 10'000});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(plan.error().message.find("39 bytes"), std::string::npos);
  EXPECT_NE(plan.error().message.find("40 bytes"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
