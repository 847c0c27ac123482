// The file of a download that is not complete, and its table.
#include "hub/partial_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/system_memory.h"

namespace pagoda {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

constexpr int64_t kMiB = int64_t{1} << 20;

struct TableHead {
  std::array<char, 8> magic{};
  int64_t num_bytes = 0;
  int64_t part_bytes = 0;
  int64_t num_parts = 0;
};
constexpr std::array<char, 8> kMagic = {'P', 'G', 'D', 'P', 'A', 'R', 'T', '1'};
constexpr auto kHeadBytes = static_cast<int64_t>(sizeof(TableHead));

Error system_error(const std::string& path, const char* action, int number) {
  return {ErrorCode::kInternal,
          fmt::format("cannot {} {}: {}", action, path,
                      std::error_code(number, std::generic_category()).message())};
}

bool read_fully(int descriptor, int64_t offset, char* out, size_t num_bytes) {
  size_t done = 0;
  while (done < num_bytes) {
    const ssize_t got =
        ::pread(descriptor, out + done, num_bytes - done, offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

int64_t free_disk_bytes(const std::string& path) {
  struct statvfs status = {};
  if (::statvfs(path.c_str(), &status) != 0) return -1;
  int64_t free_bytes = 0;
  if (__builtin_mul_overflow(status.f_bavail, status.f_frsize, &free_bytes)) return -1;
  return free_bytes;
}

Error disk_full_error(const std::string& path, int64_t needed_bytes) {
  return {ErrorCode::kOverloaded,
          fmt::format("the disk of {} is full: {} more are needed, {} are free", path,
                      format_bytes(needed_bytes),
                      format_bytes(std::max<int64_t>(0, free_disk_bytes(path))))};
}

int64_t PartialFile::usual_part_bytes(int64_t num_bytes) {
  const int64_t eighth = num_bytes / 8 / kMiB * kMiB + kMiB;
  return std::clamp(eighth, 8 * kMiB, 64 * kMiB);
}

PartialFile::PartialFile(std::string path, int descriptor, int64_t num_bytes, int64_t part_bytes)
    : path_(std::move(path)), descriptor_(descriptor), num_bytes_(num_bytes) {
  part_bytes_ = part_bytes;
  done_.assign(static_cast<size_t>((num_bytes + part_bytes - 1) / part_bytes), 0);
}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      num_bytes_(other.num_bytes_),
      part_bytes_(other.part_bytes_),
      done_(std::move(other.done_)) {
}

PartialFile& PartialFile::operator=(PartialFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(num_bytes_, other.num_bytes_);
  std::swap(part_bytes_, other.part_bytes_);
  std::swap(done_, other.done_);
  return *this;
}

PartialFile::~PartialFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<PartialFile> PartialFile::open(const std::string& path, int64_t num_bytes,
                                      int64_t part_bytes) {
  CHECK(num_bytes >= 0 && part_bytes > 0);
  const int descriptor =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
  if (descriptor < 0) return system_error(path, "open", errno);
  PartialFile file(path, descriptor, num_bytes, part_bytes);
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) return system_error(path, "inspect", errno);
  if (!S_ISREG(status.st_mode)) return invalid_argument(path + " is not a regular file");
  if (!file.read_table()) RETURN_IF_ERROR(file.restart(part_bytes));
  return file;
}

int64_t PartialFile::part_first(int part) const {
  return part * part_bytes_;
}

int64_t PartialFile::part_num_bytes(int part) const {
  return std::min(part_bytes_, num_bytes_ - part_first(part));
}

int64_t PartialFile::num_bytes_done() const {
  int64_t sum = 0;
  for (const int64_t done : done_) sum += done;
  return sum;
}

// True when the file holds parts of the same file, cut in any way.
bool PartialFile::read_table() {
  struct stat status = {};
  TableHead head;
  if (::fstat(descriptor_, &status) != 0 || status.st_size < num_bytes_ + kHeadBytes ||
      !read_fully(descriptor_, num_bytes_, reinterpret_cast<char*>(&head), sizeof(head))) {
    return false;
  }
  const bool fits =
      head.magic == kMagic && head.num_bytes == num_bytes_ && head.part_bytes > 0 &&
      head.num_parts == num_bytes_ / head.part_bytes + (num_bytes_ % head.part_bytes == 0 ? 0 : 1);
  // The division comes first: a number of parts that the file has no room for is not allocated.
  if (!fits || (status.st_size - num_bytes_ - kHeadBytes) / 8 != head.num_parts ||
      (status.st_size - num_bytes_ - kHeadBytes) % 8 != 0) {
    return false;
  }
  std::vector<int64_t> done(static_cast<size_t>(head.num_parts));
  if (!read_fully(descriptor_, num_bytes_ + kHeadBytes, reinterpret_cast<char*>(done.data()),
                  done.size() * 8)) {
    return false;
  }
  part_bytes_ = head.part_bytes;
  done_.assign(done.size(), 0);
  for (int part = 0; part < num_parts(); ++part) {
    const int64_t there = done[static_cast<size_t>(part)];
    if (there < 0 || there > part_num_bytes(part)) return false;
  }
  done_ = std::move(done);
  return true;
}

Result<void> PartialFile::write_at(int64_t offset, std::string_view data) {
  size_t written = 0;
  while (written < data.size()) {
    const ssize_t count = ::pwrite(descriptor_, data.data() + written, data.size() - written,
                                   offset + static_cast<int64_t>(written));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error = count == 0 ? ENOSPC : errno;
      if (error == ENOSPC || error == EDQUOT) {
        return disk_full_error(path_, num_bytes_ - num_bytes_done());
      }
      return system_error(path_, "write", error);
    }
    written += static_cast<size_t>(count);
  }
  return {};
}

Result<void> PartialFile::write_table() {
  const TableHead head{kMagic, num_bytes_, part_bytes_, num_parts()};
  RETURN_IF_ERROR(write_at(num_bytes_, {reinterpret_cast<const char*>(&head), sizeof(head)}));
  return write_at(num_bytes_ + kHeadBytes,
                  {reinterpret_cast<const char*>(done_.data()), done_.size() * 8});
}

Result<void> PartialFile::restart(int64_t part_bytes) {
  part_bytes_ = part_bytes;
  done_.assign(static_cast<size_t>((num_bytes_ + part_bytes - 1) / part_bytes), 0);
  if (::ftruncate(descriptor_, 0) != 0) return system_error(path_, "empty", errno);
  return write_table();
}

Result<void> PartialFile::append(int part, std::string_view data) {
  const auto index = static_cast<size_t>(part);
  if (static_cast<int64_t>(data.size()) > part_num_bytes(part) - done_[index]) {
    return Error{ErrorCode::kTooLarge,
                 fmt::format("more came than the {} bytes asked for", part_num_bytes(part))};
  }
  RETURN_IF_ERROR(write_at(part_first(part) + done_[index], data));
  done_[index] += static_cast<int64_t>(data.size());
  return write_at(num_bytes_ + kHeadBytes + part * int64_t{8},
                  {reinterpret_cast<const char*>(&done_[index]), 8});
}

Result<void> PartialFile::sync() const {
  if (::fdatasync(descriptor_) != 0) return system_error(path_, "write", errno);
  return {};
}

Result<void> PartialFile::finish(const std::string& final_path) {
  CHECK(num_bytes_done() == num_bytes_);
  if (::ftruncate(descriptor_, num_bytes_) != 0) return system_error(path_, "cut", errno);
  if (::rename(path_.c_str(), final_path.c_str()) != 0) {
    return system_error(final_path, "create", errno);
  }
  return {};
}

}  // namespace pagoda
