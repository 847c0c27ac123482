// pread() with every failure as a Result.
#include "checkpoint/read_only_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace pagoda {
namespace {

Error system_error(const std::string& path, const char* action, int number) {
  const ErrorCode code =
      number == ENOENT || number == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kInternal;
  return {code, fmt::format("cannot {} {}: {}", action, path,
                            std::error_code(number, std::generic_category()).message())};
}

}  // namespace

ReadOnlyFile::ReadOnlyFile(ReadOnlyFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      num_bytes_(std::exchange(other.num_bytes_, 0)) {
}

ReadOnlyFile& ReadOnlyFile::operator=(ReadOnlyFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(num_bytes_, other.num_bytes_);
  return *this;
}

ReadOnlyFile::~ReadOnlyFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<ReadOnlyFile> ReadOnlyFile::open(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for its writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return system_error(path, "open", errno);
  ReadOnlyFile file(path, descriptor, 0);
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) return system_error(path, "inspect", errno);
  if (!S_ISREG(status.st_mode)) return invalid_argument(path + " is not a regular file");
  file.num_bytes_ = status.st_size;
  return file;
}

Result<void> ReadOnlyFile::read_at(int64_t offset, std::span<std::byte> out) const {
  CHECK(offset >= 0);
  size_t done = 0;
  while (done < out.size()) {
    // The kernel reads at most about 2 GiB a call.
    const size_t wanted = std::min(out.size() - done, size_t{1} << 30);
    const ssize_t got =
        ::pread(descriptor_, out.data() + done, wanted, offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path_, "read", errno);
    if (got == 0) {
      return invalid_argument(
          fmt::format("{} ends at byte {}, wanted {} bytes at {}: was it cut short?", path_,
                      offset + static_cast<int64_t>(done), out.size(), offset));
    }
    done += static_cast<size_t>(got);
  }
  return {};
}

void ReadOnlyFile::prefetch(int64_t offset, int64_t num_bytes) const {
  static_cast<void>(::posix_fadvise(descriptor_, offset, num_bytes, POSIX_FADV_WILLNEED));
}

Result<std::string> read_text_file(const std::string& path, int64_t max_bytes) {
  ASSIGN_OR_RETURN(const ReadOnlyFile file, ReadOnlyFile::open(path));
  if (file.num_bytes() > max_bytes) {
    return Error{ErrorCode::kTooLarge, fmt::format("{} has {} bytes, over the limit of {}", path,
                                                   file.num_bytes(), max_bytes)};
  }
  std::string text(static_cast<size_t>(file.num_bytes()), '\0');
  RETURN_IF_ERROR(file.read_at(0, std::as_writable_bytes(std::span<char>(text))));
  return text;
}

}  // namespace pagoda
