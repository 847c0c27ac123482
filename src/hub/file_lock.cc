// flock() with the file's disappearance in mind.
#include "hub/file_lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace pagoda {
namespace {

constexpr int kMaxTries = 10;

Error system_error(const std::string& path, int number) {
  return {ErrorCode::kInternal,
          fmt::format("cannot lock {}: {}", path,
                      std::error_code(number, std::generic_category()).message())};
}

}  // namespace

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {
}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::optional<FileLock>> FileLock::try_lock(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  // The holder before us may have removed the file while we opened it: then we hold nothing.
  for (int i = 0; i < kMaxTries; ++i) {
    const int descriptor =
        ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (descriptor < 0) return system_error(path, errno);
    FileLock lock(descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<FileLock>();
      if (errno == EINTR) continue;
      return system_error(path, errno);
    }
    struct stat ours = {};
    struct stat there = {};
    if (::fstat(descriptor, &ours) == 0 && ::lstat(path.c_str(), &there) == 0 &&
        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
      return std::optional<FileLock>(std::move(lock));
    }
  }
  return std::optional<FileLock>();
}

}  // namespace pagoda
