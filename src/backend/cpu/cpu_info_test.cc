// Choosing kernels.
#include "backend/cpu/cpu_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::cpu {
namespace {

TEST(CpuInfo, ScalarIsAlwaysThereAndTheLastTableIsTheDefault) {
  ASSERT_FALSE(supported_kernels().empty());
  EXPECT_STREQ(supported_kernels().front()->isa, "scalar");
  const auto best = choose_kernels("");
  ASSERT_TRUE(best.ok());
  EXPECT_EQ(*best, supported_kernels().back());
}

TEST(CpuInfo, EveryTableIsFoundByItsName) {
  for (const CpuKernels* table : supported_kernels()) {
    const auto found = choose_kernels(table->isa);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, table);
  }
}

TEST(CpuInfo, AnUnknownNameIsAnErrorThatListsTheKnown) {
  const auto found = choose_kernels("avx1024");
  ASSERT_FALSE(found.ok());
  EXPECT_THAT(found.error().message, testing::HasSubstr("avx1024"));
  for (const CpuKernels* table : supported_kernels()) {
    EXPECT_THAT(found.error().message, testing::HasSubstr(table->isa));
  }
}

#if defined(__aarch64__)
// The system tells by a flag; this asks the CPU itself, which Linux lets a program read so.
TEST(CpuInfo, DotProductsAreUsedExactlyWhereTheCpuHasThem) {
  uint64_t features = 0;
  asm("mrs %0, ID_AA64ISAR0_EL1" : "=r"(features));
  const bool has_dotprod = (features >> 44 & 0xfU) != 0;
  EXPECT_STREQ(supported_kernels().back()->isa, has_dotprod ? "neon-dotprod" : "neon");
}
#endif

}  // namespace
}  // namespace pagoda::cpu
