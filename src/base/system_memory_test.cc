// Memory limits, read from made-up /proc and cgroup trees.
#include "base/system_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace pagoda {
namespace {

class SystemMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "/memory_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    write("/proc/meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   800 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }

  std::string root_;
};

TEST_F(SystemMemoryTest, WithoutACgroupTheMachineSpeaks) {
  const SystemMemory memory = read_system_memory(root_);
  EXPECT_EQ(memory.total_bytes, 1000 * 1024);
  EXPECT_EQ(memory.available_bytes, 800 * 1024);
  EXPECT_FALSE(memory.limited_by_cgroup);
}

TEST_F(SystemMemoryTest, ALimitOnAnAncestorGroupCounts) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  write("/sys/fs/cgroup/a/memory.max", "409600\n");
  write("/sys/fs/cgroup/a/memory.current", "204800\n");
  write("/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 102400\n");
  const SystemMemory memory = read_system_memory(root_);
  EXPECT_EQ(memory.total_bytes, 409600);
  EXPECT_EQ(memory.available_bytes, 409600 - (204800 - 102400));
  EXPECT_TRUE(memory.limited_by_cgroup);
}

TEST_F(SystemMemoryTest, VersionOneLimitsCountAndHugeOnesDoNot) {
  write("/proc/self/cgroup", "5:cpu,memory:/x\n1:name=systemd:/x\n");
  write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "102400\n");
  write("/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "2400\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  const SystemMemory memory = read_system_memory(root_);
  EXPECT_EQ(memory.total_bytes, 102400);
  EXPECT_EQ(memory.available_bytes, 100000);
}

TEST(FormatBytes, PicksAReadableUnit) {
  EXPECT_EQ(format_bytes(999), "999 bytes");
  EXPECT_EQ(format_bytes(1'500), "1.5 kB");
  EXPECT_EQ(format_bytes(12'340'000), "12.3 MB");
  EXPECT_EQ(format_bytes(2'474'000'000), "2.47 GB");
}

TEST(ResidentBytes, IsPositiveForThisProcess) {
  EXPECT_GT(resident_bytes(), 1'000'000);
}

}  // namespace
}  // namespace pagoda
