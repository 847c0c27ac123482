// ThreadPool: every item once, whatever the workers do; and the cores a cgroup allows.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <vector>

namespace pagoda {
namespace {

TEST(ThreadPool, EveryItemRunsExactlyOnceForAllSizesAndGrains) {
  for (const int32_t num_threads : {1, 2, 5}) {
    ThreadPool pool(num_threads);
    EXPECT_EQ(pool.num_threads(), num_threads);
    for (const int64_t count : {0, 1, 7, 100, 1000}) {
      for (const int64_t grain : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int32_t>> runs(static_cast<size_t>(count));
        pool.parallel_for(count, grain, [&](int64_t begin, int64_t end, int32_t worker) {
          EXPECT_LE(end - begin, grain);
          EXPECT_GE(worker, 0);
          EXPECT_LT(worker, num_threads);
          for (int64_t i = begin; i < end; ++i) runs[static_cast<size_t>(i)].fetch_add(1);
        });
        for (const auto& run : runs) ASSERT_EQ(run.load(), 1);
      }
    }
  }
}

TEST(ThreadPool, WorkersRunningAtOnceHaveDifferentNumbers) {
  ThreadPool pool(4);
  std::vector<std::atomic<int32_t>> inside(4);
  for (int round = 0; round < 200; ++round) {
    pool.parallel_for(32, 1, [&](int64_t, int64_t, int32_t worker) {
      auto& count = inside[static_cast<size_t>(worker)];
      EXPECT_EQ(count.fetch_add(1), 0);
      count.fetch_sub(1);
    });
  }
}

// Plain, unsynchronised memory: what one loop wrote, the caller and the next loop read.
TEST(ThreadPool, ResultsOfALoopAreSeenByTheNext) {
  ThreadPool pool(3);
  std::vector<int64_t> values(300, 0);
  for (int round = 1; round <= 500; ++round) {
    pool.parallel_for(300, 7, [&](int64_t begin, int64_t end, int32_t) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += i;
    });
    ASSERT_EQ(values[299], 299 * round);
  }
}

TEST(ThreadPool, EndsCleanlyWithoutEverHavingWorked) {
  for (int round = 0; round < 20; ++round) const ThreadPool pool(4);
}

TEST(UsableCores, AreAtLeastOne) {
  EXPECT_GE(usable_cores(), 1);
}

// A made-up /proc and /sys.
class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ =
        std::filesystem::path(testing::TempDir()) /
        ("cgroup_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  int32_t limit() const { return cgroup_core_limit(root_.string()); }

  std::filesystem::path root_;
};

TEST_F(CgroupTest, TheTightestVersion2QuotaOnThePathCounts) {
  write("proc/self/cgroup", "0::/pod/container\n");
  write("sys/fs/cgroup/pod/cpu.max", "350000 100000\n");
  write("sys/fs/cgroup/pod/container/cpu.max", "max 100000\n");
  EXPECT_EQ(limit(), 4);
  write("sys/fs/cgroup/pod/container/cpu.max", "150000 100000\n");
  EXPECT_EQ(limit(), 2);
}

TEST_F(CgroupTest, AContainersOwnQuotaIsFoundAtTheRoot) {
  write("proc/self/cgroup", "0::/not/mounted/here\n");
  write("sys/fs/cgroup/cpu.max", "100000 100000\n");
  EXPECT_EQ(limit(), 1);
}

TEST_F(CgroupTest, Version1QuotasCountAndMinusOneIsNone) {
  write("proc/self/cgroup", "4:memory:/a\n3:cpuacct,cpu:/a\n");
  write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(limit(), 0);
  write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
  EXPECT_EQ(limit(), 1);
}

TEST_F(CgroupTest, MissingOrMalformedFilesMeanNoLimit) {
  EXPECT_EQ(limit(), 0);
  write("proc/self/cgroup", "nonsense\n0::\n0::relative\n");
  write("sys/fs/cgroup/cpu.max", "fast\n");
  EXPECT_EQ(limit(), 0);
}

}  // namespace
}  // namespace pagoda
