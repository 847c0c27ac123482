// Writes and verifies block files.
#include "engine/block_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace pagoda {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

constexpr std::string_view kMagic = "PGDKVBLK";
constexpr uint32_t kVersion = 1;
constexpr size_t kChecksumBytes = sizeof(Sha256);
// More than any block has; keeps sizes far from overflow.
constexpr size_t kMaxTokens = size_t{1} << 20;
// How much is read and summed at a time, so that it is summed while it is in the CPU's cache.
constexpr size_t kPieceBytes = size_t{256} << 10;

struct Header {
  std::array<char, 8> magic{};
  uint32_t version = 0;
  uint32_t num_tokens = 0;
  uint64_t payload_bytes = 0;
  Sha256 fingerprint{};
  BlockHash hash{};
};
static_assert(sizeof(Header) == 88 && std::is_trivially_copyable_v<Header>);

Header header_of(const BlockFileKey& key, size_t payload_bytes) {
  Header header;
  std::copy(kMagic.begin(), kMagic.end(), header.magic.begin());
  header.version = kVersion;
  header.num_tokens = static_cast<uint32_t>(key.tokens.size());
  header.payload_bytes = payload_bytes;
  header.fingerprint = key.fingerprint;
  header.hash = key.hash;
  return header;
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  // 0 or an errno: some file systems report a full disk only here.
  int close() { return ::close(std::exchange(fd_, -1)) == 0 ? 0 : errno; }

 private:
  int fd_;
};

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void update(std::span<const std::byte> data) {
    CHECK(EVP_DigestUpdate(context_.get(), data.data(), data.size()) == 1);
  }
  Sha256 finish() {
    Sha256 sum{};
    unsigned int length = 0;
    CHECK(EVP_DigestFinal_ex(context_.get(), sum.data(), &length) == 1 && length == sum.size());
    return sum;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// 0 or an errno.
int write_all(int fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return ENOSPC;
    data = data.subspan(static_cast<size_t>(written));
  }
  return 0;
}

bool read_all(int fd, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::read(fd, out.data(), out.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out = out.subspan(static_cast<size_t>(got));
  }
  return true;
}

// Reads and sums piece by piece.
bool read_summed(int fd, std::span<std::byte> out, Digest& digest) {
  while (!out.empty()) {
    const std::span<std::byte> piece = out.first(std::min(out.size(), kPieceBytes));
    if (!read_all(fd, piece)) return false;
    digest.update(piece);
    out = out.subspan(piece.size());
  }
  return true;
}

int write_content(int fd, const BlockFileKey& key, std::span<const std::byte> payload) {
  const Header header = header_of(key, payload.size());
  Digest digest;
  for (const std::span<const std::byte> part :
       {std::as_bytes(std::span(&header, 1)), std::as_bytes(key.tokens), payload}) {
    digest.update(part);
    if (const int error = write_all(fd, part)) return error;
  }
  const Sha256 sum = digest.finish();
  return write_all(fd, std::as_bytes(std::span(sum)));
}

// The file system's own stamps are some milliseconds coarse, and would leave the order of blocks
// that were written together to chance.
void mark_used(int fd) {
  timespec times[2] = {{0, UTIME_OMIT}, {0, 0}};
  clock_gettime(CLOCK_REALTIME, &times[1]);
  futimens(fd, times);
}

}  // namespace

Sha256 sha256(std::string_view text) {
  Sha256 sum{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum.data());
  return sum;
}

size_t block_file_bytes(size_t num_tokens, size_t payload_bytes) {
  return sizeof(Header) + num_tokens * sizeof(TokenId) + payload_bytes + kChecksumBytes;
}

bool is_block_file_size(int64_t file_bytes, size_t payload_bytes) {
  const auto least = static_cast<int64_t>(block_file_bytes(1, payload_bytes));
  const auto most = static_cast<int64_t>(block_file_bytes(kMaxTokens, payload_bytes));
  return file_bytes >= least && file_bytes <= most && (file_bytes - least) % 4 == 0;
}

int write_block_file(int folder_fd, const std::string& temporary, const std::string& name,
                     const BlockFileKey& key, std::span<const std::byte> payload) {
  FileDescriptor file(openat(folder_fd, temporary.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                             S_IRUSR | S_IWUSR));
  if (file.get() < 0) return errno;
  int error = write_content(file.get(), key, payload);
  mark_used(file.get());
  if (const int close_error = file.close(); error == 0) error = close_error;
  if (error == 0 && renameat(folder_fd, temporary.c_str(), folder_fd, name.c_str()) != 0) {
    error = errno;
  }
  if (error != 0) unlinkat(folder_fd, temporary.c_str(), 0);
  return error;
}

BlockFileStatus read_block_file(int folder_fd, const std::string& name, const BlockFileKey& key,
                                std::span<std::byte> out, int64_t refresh_before_ns) {
  // O_NONBLOCK: a pipe planted under the name must not stop the caller.
  FileDescriptor file(
      openat(folder_fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) return errno == ELOOP ? BlockFileStatus::kForeign : BlockFileStatus::kMissing;
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return BlockFileStatus::kMissing;
  if (!S_ISREG(status.st_mode)) return BlockFileStatus::kForeign;
  if (status.st_size != static_cast<int64_t>(block_file_bytes(key.tokens.size(), out.size()))) {
    return BlockFileStatus::kDamaged;
  }
  Header header;
  std::vector<TokenId> tokens(key.tokens.size());
  Sha256 stored{};
  Digest digest;
  if (!read_summed(file.get(), std::as_writable_bytes(std::span(&header, 1)), digest) ||
      !read_summed(file.get(), std::as_writable_bytes(std::span(tokens)), digest) ||
      !read_summed(file.get(), out, digest) ||
      !read_all(file.get(), std::as_writable_bytes(std::span(stored)))) {
    return BlockFileStatus::kDamaged;
  }
  const Header wanted = header_of(key, out.size());
  if (std::memcmp(&header, &wanted, sizeof(Header)) != 0 || digest.finish() != stored) {
    return BlockFileStatus::kDamaged;
  }
  if (!std::equal(tokens.begin(), tokens.end(), key.tokens.begin())) {
    return BlockFileStatus::kOtherTokens;
  }
  const int64_t used_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  if (used_ns < refresh_before_ns) mark_used(file.get());
  return BlockFileStatus::kOk;
}

}  // namespace pagoda
