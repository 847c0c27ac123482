// Tests of the lock between processes. flock() is by descriptor, so one process can play both.
#include "hub/file_lock.h"

#include <gtest/gtest.h>

#include "hub/test_hub.h"

namespace pagoda {
namespace {

TEST(FileLock, OneHoldsItAndTheNextGetsItAfterwards) {
  const TestFolder folder;
  const std::string path = folder / "locks/a.lock";
  auto first = FileLock::try_lock(path);
  ASSERT_TRUE(first.ok() && *first);
  EXPECT_FALSE(*FileLock::try_lock(path));
  EXPECT_TRUE(*FileLock::try_lock(folder / "locks/b.lock"));
  first->reset();
  EXPECT_TRUE(*FileLock::try_lock(path));
}

TEST(FileLock, ALockOnARemovedFileIsNoLock) {
  const TestFolder folder;
  const std::string path = folder / "a.lock";
  auto first = FileLock::try_lock(path);
  std::filesystem::remove(path);
  auto second = FileLock::try_lock(path);
  ASSERT_TRUE(*second);
  EXPECT_FALSE(*FileLock::try_lock(path));
}

TEST(FileLock, AFileThatCannotBeMadeIsAnError) {
  const TestFolder folder;
  write_text(folder / "file", "");
  EXPECT_FALSE(FileLock::try_lock(folder / "file/a.lock").ok());
  std::filesystem::create_symlink(folder / "file", folder / "link.lock");
  EXPECT_FALSE(FileLock::try_lock(folder / "link.lock").ok());
}

}  // namespace
}  // namespace pagoda
