// Keeps an index of the block files in a folder, writes them on a thread and deletes the oldest.
#include "engine/disk_block_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "engine/block_file.h"

namespace pagoda {
namespace {

constexpr int64_t kPageBytes = 4096;
// Resolution of "last used" across restarts: a busy block is not marked at every use.
constexpr int64_t kRefreshNs = int64_t{60} * 1'000'000'000;
// A half-written file of a process that still writes is younger than this.
constexpr int64_t kAbandonedNs = int64_t{600} * 1'000'000'000;
constexpr std::chrono::seconds kFlushAtEnd{10};
constexpr size_t kFingerprintDigits = 32;
constexpr size_t kSubfolderDigits = 2;
constexpr size_t kHashDigits = 2 * sizeof(BlockHash);
constexpr size_t kTemporaryDigits = 16;
constexpr std::string_view kSuffix = ".kv";
constexpr std::string_view kTemporarySuffix = ".tmp";

int64_t pages(int64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// Wall-clock time, for it is compared with what other processes wrote.
int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const uint8_t byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool is_hex(std::string_view text, size_t num_digits) {
  return text.size() == num_digits &&
         std::all_of(text.begin(), text.end(), [](char c) { return hex_digit(c) >= 0; });
}

// The hash that a file name stands for; nullopt when it is not the name of a block.
std::optional<BlockHash> hash_of_name(std::string_view name) {
  if (name.size() != kHashDigits + kSuffix.size() || name.substr(kHashDigits) != kSuffix ||
      !is_hex(name.substr(0, kHashDigits), kHashDigits)) {
    return std::nullopt;
  }
  BlockHash hash{};
  for (size_t i = 0; i < hash.size(); ++i) {
    hash[i] = static_cast<uint8_t>(hex_digit(name[2 * i]) * 16 + hex_digit(name[2 * i + 1]));
  }
  return hash;
}

bool is_temporary_name(std::string_view name) {
  return name.size() == kHashDigits + 1 + kTemporaryDigits + kTemporarySuffix.size() &&
         is_hex(name.substr(0, kHashDigits), kHashDigits) && name[kHashDigits] == '.' &&
         is_hex(name.substr(kHashDigits + 1, kTemporaryDigits), kTemporaryDigits) &&
         name.substr(kHashDigits + 1 + kTemporaryDigits) == kTemporarySuffix;
}

class Folder {
 public:
  Folder() = default;
  explicit Folder(int fd) : fd_(fd) {}
  ~Folder() {
    if (fd_ >= 0) ::close(fd_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  Folder(Folder&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

// No link is followed: `name` is a folder inside `parent` or this fails, with errno set.
Folder open_folder(const Folder& parent, const std::string& name) {
  return Folder(openat(parent.fd(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// As open_folder, after creating it when missing.
Folder make_folder(const Folder& parent, const std::string& name) {
  if (mkdirat(parent.fd(), name.c_str(), S_IRWXU) != 0 && errno != EEXIST) return Folder();
  return open_folder(parent, name);
}

// Names of a folder's entries, "." and ".." left out.
template <typename Visit>
void for_each_name(const Folder& folder, const Visit& visit) {
  const int copy = openat(folder.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = copy < 0 ? nullptr : fdopendir(copy);
  if (stream == nullptr) {
    if (copy >= 0) ::close(copy);
    return;
  }
  while (const dirent* entry = readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") visit(name);
  }
  closedir(stream);
}

struct HashOfHash {
  size_t operator()(const BlockHash& hash) const {
    size_t value = 0;
    std::memcpy(&value, hash.data(), sizeof(value));
    return value;
  }
};

struct File {
  std::string folder;  // the fingerprint's
  BlockHash hash{};
  int64_t num_bytes = 0;  // in whole pages
  int64_t last_use_ns = 0;
};

// What is in the folder and in which order it goes. Value type.
class Index {
 public:
  bool contains(const BlockHash& hash) const { return own_.count(hash) != 0; }
  int64_t num_own() const { return static_cast<int64_t>(own_.size()); }
  int64_t num_files() const { return num_own() + static_cast<int64_t>(others_.size()); }
  int64_t num_bytes() const { return num_bytes_; }

  void add(const BlockHash& hash, int64_t num_bytes, int64_t last_use_ns) {
    remove(hash);
    own_.emplace(hash, Own{num_bytes, last_use_ns});
    by_use_.emplace(last_use_ns, hash);
    num_bytes_ += num_bytes;
  }
  void remove(const BlockHash& hash) {
    const auto found = own_.find(hash);
    if (found == own_.end()) return;
    num_bytes_ -= found->second.num_bytes;
    by_use_.erase({found->second.last_use_ns, hash});
    own_.erase(found);
  }
  // Later than any other.
  void touch(const BlockHash& hash) {
    const auto found = own_.find(hash);
    if (found == own_.end()) return;
    const int64_t newest = by_use_.rbegin()->first;
    const int64_t num_bytes = found->second.num_bytes;
    add(hash, num_bytes, std::max(newest + 1, now_ns()));
  }
  // What was used since the files were marked is known here only.
  void copy_uses_to(Index& fresh) const {
    for (const auto& [hash, file] : own_) {
      const auto found = fresh.own_.find(hash);
      if (found == fresh.own_.end() || found->second.last_use_ns >= file.last_use_ns) continue;
      const int64_t num_bytes = found->second.num_bytes;
      fresh.add(hash, num_bytes, file.last_use_ns);
    }
  }

  // Blocks of other fingerprints.
  void set_others(std::vector<File> files) {
    std::sort(files.begin(), files.end(),
              [](const File& a, const File& b) { return a.last_use_ns > b.last_use_ns; });
    others_ = std::move(files);
    for (const File& file : others_) num_bytes_ += file.num_bytes;
  }

  // The file to delete next; nullopt when there is none. Its `folder` is empty for our own.
  std::optional<File> victim() const {
    if (!others_.empty()) return others_.back();
    if (by_use_.empty()) return std::nullopt;
    const auto& [last_use_ns, hash] = *by_use_.begin();
    return File{"", hash, own_.at(hash).num_bytes, last_use_ns};
  }
  void remove(const File& victim) {
    if (victim.folder.empty()) return remove(victim.hash);
    if (others_.empty() || others_.back().hash != victim.hash) return;
    num_bytes_ -= others_.back().num_bytes;
    others_.pop_back();
  }

 private:
  struct Own {
    int64_t num_bytes = 0;
    int64_t last_use_ns = 0;
  };
  std::unordered_map<BlockHash, Own, HashOfHash> own_;
  std::set<std::pair<int64_t, BlockHash>> by_use_;
  std::vector<File> others_;  // the oldest last
  int64_t num_bytes_ = 0;     // of all
};

struct Pending {
  BlockHash hash{};
  std::vector<TokenId> tokens;
  std::vector<std::byte> data;
};

}  // namespace

struct DiskBlockStore::Impl {
  DiskBlockStoreConfig config;
  Sha256 fingerprint{};
  std::string own_name;          // of the fingerprint's folder
  std::string temporary_suffix;  // unlike that of any other process

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable written;
  // All below are guarded by mutex.
  std::shared_ptr<const Folder> root;
  std::shared_ptr<const Folder> own;
  Index index;
  std::deque<BlockHash> queue;
  std::unordered_map<BlockHash, std::shared_ptr<const Pending>, HashOfHash> pending;
  size_t queued_bytes = 0;
  DiskBlockStoreStats counts;
  std::chrono::steady_clock::time_point paused_until;
  bool stopping = false;

  int64_t bytes_since_scan = 0;  // writer thread's
  std::thread writer;

  Result<void> open_folders();
  Index scan();
  bool scan_file(const Folder& folder, const std::string& name, File file,
                 std::vector<File>& found) const;
  void scan_fingerprint(const Folder& top, const std::string& name, std::vector<File>& found) const;

  void run();
  int write(const Pending& block);
  int write_once(const Pending& block, int64_t num_bytes);
  int make_room(int64_t num_bytes);
  int delete_file(const File& file);
  void pause(int error);
  bool takes(size_t num_bytes) const;
};

// Folders.

// May be called again when the folders have been deleted meanwhile.
Result<void> DiskBlockStore::Impl::open_folders() {
  const auto failed = [this](std::string_view what) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("prefix cache folder {}: {}: {}", config.folder, what,
                             std::generic_category().message(errno))};
  };
  std::error_code ignored;  // shows when the folder itself is made
  std::filesystem::create_directories(std::filesystem::path(config.folder).parent_path(), ignored);
  if (mkdir(config.folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) return failed("cannot create");
  // The operator's own path may be a link; below it none is followed.
  Folder top(::open(config.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top) return failed("cannot open");
  Folder mine = make_folder(top, own_name);
  if (!mine) return failed("cannot create a folder inside");
  struct stat status {};
  if (fstat(mine.fd(), &status) != 0) return failed("cannot read");
  if (status.st_uid != geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("prefix cache folder {}: {} inside is open to other users",
                             config.folder, own_name)};
  }
  const std::lock_guard lock(mutex);
  root = std::make_shared<const Folder>(std::move(top));
  own = std::make_shared<const Folder>(std::move(mine));
  return {};
}

// True when the file is there to stay, whosever it is.
bool DiskBlockStore::Impl::scan_file(const Folder& folder, const std::string& name, File file,
                                     std::vector<File>& found) const {
  struct stat status {};
  if (fstatat(folder.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) return true;
  file.last_use_ns =
      std::min(int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec, now_ns());
  file.num_bytes = pages(status.st_size);
  if (is_temporary_name(name)) {
    if (file.last_use_ns > now_ns() - kAbandonedNs) return true;
    return unlinkat(folder.fd(), name.c_str(), 0) != 0;
  }
  const auto hash = hash_of_name(name);
  if (!hash) return true;
  const bool damaged =
      file.folder == own_name && !is_block_file_size(status.st_size, config.bytes_per_block);
  if (damaged || static_cast<int64_t>(found.size()) >= config.max_files) {
    return unlinkat(folder.fd(), name.c_str(), 0) != 0;
  }
  file.hash = *hash;
  found.push_back(std::move(file));
  return true;
}

void DiskBlockStore::Impl::scan_fingerprint(const Folder& top, const std::string& name,
                                            std::vector<File>& found) const {
  const Folder folder = open_folder(top, name);
  struct stat status {};
  if (!folder || fstat(folder.fd(), &status) != 0 || status.st_uid != geteuid()) return;
  for_each_name(folder, [&](const std::string& digits) {
    if (!is_hex(digits, kSubfolderDigits)) return;
    const Folder inner = open_folder(folder, digits);
    if (!inner) return;
    bool is_empty = true;
    for_each_name(inner, [&](const std::string& file_name) {
      const bool in_place = std::string_view(file_name).substr(0, kSubfolderDigits) == digits;
      if (!in_place || scan_file(inner, file_name, File{name, {}, 0, 0}, found)) is_empty = false;
    });
    // Fails when somebody has just put a file there.
    if (is_empty && name != own_name) unlinkat(folder.fd(), digits.c_str(), AT_REMOVEDIR);
  });
  if (name != own_name) unlinkat(top.fd(), name.c_str(), AT_REMOVEDIR);
}

Index DiskBlockStore::Impl::scan() {
  std::shared_ptr<const Folder> top;
  {
    const std::lock_guard lock(mutex);
    top = root;
  }
  std::vector<File> found;
  scan_fingerprint(*top, own_name, found);  // first, in case there are too many
  for_each_name(*top, [&](const std::string& name) {
    if (is_hex(name, kFingerprintDigits) && name != own_name) scan_fingerprint(*top, name, found);
  });
  const auto others = std::stable_partition(
      found.begin(), found.end(), [this](const File& file) { return file.folder == own_name; });
  Index made;
  for (auto file = found.begin(); file != others; ++file) {
    made.add(file->hash, file->num_bytes, file->last_use_ns);
  }
  made.set_others({std::make_move_iterator(others), std::make_move_iterator(found.end())});
  return made;
}

// The writer thread.

void DiskBlockStore::Impl::run() {
  // A signal for the process, or SIGXFSZ at a limit on file sizes, must not land here.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);

  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [this] { return stopping || !queue.empty(); });
    if (stopping) return;
    const std::shared_ptr<const Pending> block = pending.at(queue.front());
    lock.unlock();
    const int error = write(*block);
    lock.lock();
    if (error != 0) {
      pause(error);
    } else {
      queue.pop_front();
      pending.erase(block->hash);
      queued_bytes -= block->data.size();
      ++counts.num_saved;
    }
    if (pending.empty()) written.notify_all();
  }
}

// 0 or an errno. A second attempt is made when the folders have gone.
int DiskBlockStore::Impl::write(const Pending& block) {
  const int64_t num_bytes =
      pages(static_cast<int64_t>(block_file_bytes(block.tokens.size(), block.data.size())));
  if (num_bytes > config.max_bytes) return EFBIG;
  if (const int error = make_room(num_bytes)) return error;
  int error = write_once(block, num_bytes);
  if (error == ENOENT && open_folders().ok()) {
    Index fresh = scan();
    {
      const std::lock_guard lock(mutex);
      index = std::move(fresh);
    }
    error = write_once(block, num_bytes);
  }
  if (error != 0) return error;
  bytes_since_scan += num_bytes;
  if (bytes_since_scan < config.max_bytes / 8) return 0;
  bytes_since_scan = 0;
  Index fresh = scan();
  const std::lock_guard lock(mutex);
  index.copy_uses_to(fresh);
  index = std::move(fresh);
  return 0;
}

int DiskBlockStore::Impl::write_once(const Pending& block, int64_t num_bytes) {
  std::shared_ptr<const Folder> mine;
  {
    const std::lock_guard lock(mutex);
    mine = own;
  }
  const std::string digits = hex(block.hash);
  const Folder folder = make_folder(*mine, digits.substr(0, kSubfolderDigits));
  if (!folder) return errno;
  const int error =
      write_block_file(folder.fd(), digits + temporary_suffix, digits + std::string(kSuffix),
                       {fingerprint, block.hash, block.tokens}, block.data);
  if (error != 0) return error;
  const std::lock_guard lock(mutex);
  index.add(block.hash, num_bytes, 0);
  index.touch(block.hash);
  return 0;
}

// Deletes until `num_bytes` and one file more are within the limits. 0 or an errno.
int DiskBlockStore::Impl::make_room(int64_t num_bytes) {
  while (true) {
    std::optional<File> victim;
    {
      const std::lock_guard lock(mutex);
      if (index.num_bytes() + num_bytes <= config.max_bytes &&
          index.num_files() < config.max_files) {
        return 0;
      }
      victim = index.victim();
    }
    if (!victim) return ENOSPC;
    if (const int error = delete_file(*victim)) return error;
    const std::lock_guard lock(mutex);
    index.remove(*victim);
    ++counts.num_evicted;
  }
}

// 0 also when the file has gone already.
int DiskBlockStore::Impl::delete_file(const File& file) {
  std::shared_ptr<const Folder> top;
  {
    const std::lock_guard lock(mutex);
    top = root;
  }
  const std::string digits = hex(file.hash);
  const Folder folder = open_folder(*top, file.folder.empty() ? own_name : file.folder);
  if (!folder) return errno == ENOENT ? 0 : errno;
  const Folder inner = open_folder(folder, digits.substr(0, kSubfolderDigits));
  if (!inner) return errno == ENOENT ? 0 : errno;
  const std::string name = digits + std::string(kSuffix);
  return unlinkat(inner.fd(), name.c_str(), 0) == 0 || errno == ENOENT ? 0 : errno;
}

// Leaves the disk alone for a while. REQUIRES: mutex is held.
void DiskBlockStore::Impl::pause(int error) {
  counts.num_dropped += static_cast<int64_t>(pending.size());
  queue.clear();
  pending.clear();
  queued_bytes = 0;
  paused_until = std::chrono::steady_clock::now() + config.retry_after;
  log_warning(fmt::format("prefix_cache_disk_refused folder={} reason={} retry_after_s={}",
                          config.folder, std::generic_category().message(error),
                          config.retry_after.count() / 1000));
}

// REQUIRES: mutex is held.
bool DiskBlockStore::Impl::takes(size_t num_bytes) const {
  return queued_bytes + num_bytes <= config.max_queued_bytes &&
         std::chrono::steady_clock::now() >= paused_until;
}

// The store.

DiskBlockStore::DiskBlockStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}

Result<std::unique_ptr<DiskBlockStore>> DiskBlockStore::open(const DiskBlockStoreConfig& config) {
  const auto least = pages(static_cast<int64_t>(block_file_bytes(1, config.bytes_per_block)));
  if (config.max_bytes < least) {
    return invalid_argument(
        fmt::format("prefix cache folder {}: {} bytes have no room for a block "
                    "of {}",
                    config.folder, config.max_bytes, least));
  }
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  impl->fingerprint = sha256(config.fingerprint);
  impl->own_name = hex(impl->fingerprint).substr(0, kFingerprintDigits);
  std::array<uint8_t, kTemporaryDigits / 2> random{};
  CHECK(RAND_bytes(random.data(), static_cast<int>(random.size())) == 1);
  impl->temporary_suffix = "." + hex(random) + std::string(kTemporarySuffix);
  RETURN_IF_ERROR(impl->open_folders());
  impl->index = impl->scan();
  // A bound that has become smaller holds at once; what cannot be deleted shows at the first save.
  impl->make_room(0);
  impl->counts = {};
  log_info(fmt::format("prefix_cache_disk folder={} blocks={} bytes={} max_bytes={}", config.folder,
                       impl->index.num_own(), impl->index.num_bytes(), config.max_bytes));
  Impl& shared = *impl;
  impl->writer = std::thread([&shared] {
    pthread_setname_np(pthread_self(), "block-writer");
    shared.run();
  });
  return std::unique_ptr<DiskBlockStore>(new DiskBlockStore(std::move(impl)));
}

DiskBlockStore::~DiskBlockStore() {
  flush(kFlushAtEnd);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_one();
  impl_->writer.join();
}

bool DiskBlockStore::contains(const BlockHash& hash) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->pending.count(hash) != 0 || impl_->index.contains(hash);
}

bool DiskBlockStore::load(const BlockHash& hash, std::span<const TokenId> tokens,
                          std::span<std::byte> out) {
  std::shared_ptr<const Pending> pending;
  std::shared_ptr<const Folder> own;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->pending.find(hash);
    if (found != impl_->pending.end()) pending = found->second;
    if (!pending && !impl_->index.contains(hash)) return false;
    own = impl_->own;
  }
  if (pending) {
    if (!std::ranges::equal(pending->tokens, tokens) || pending->data.size() != out.size()) {
      return false;
    }
    std::ranges::copy(pending->data, out.begin());
    const std::lock_guard lock(impl_->mutex);
    ++impl_->counts.num_loaded;
    return true;
  }
  const std::string digits = hex(hash);
  const std::string name = digits + std::string(kSuffix);
  const Folder folder = open_folder(*own, digits.substr(0, kSubfolderDigits));
  const BlockFileStatus status =
      folder ? read_block_file(folder.fd(), name, {impl_->fingerprint, hash, tokens}, out,
                               now_ns() - kRefreshNs)
             : BlockFileStatus::kMissing;
  if (status == BlockFileStatus::kDamaged) unlinkat(folder.fd(), name.c_str(), 0);
  const std::lock_guard lock(impl_->mutex);
  switch (status) {
    case BlockFileStatus::kOk:
      impl_->index.touch(hash);
      ++impl_->counts.num_loaded;
      return true;
    case BlockFileStatus::kOtherTokens: return false;
    case BlockFileStatus::kDamaged: ++impl_->counts.num_damaged; break;
    case BlockFileStatus::kMissing:
    case BlockFileStatus::kForeign: break;
  }
  impl_->index.remove(hash);
  return false;
}

bool DiskBlockStore::has_room() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->takes(impl_->config.bytes_per_block);
}

void DiskBlockStore::save(const BlockHash& hash, std::span<const TokenId> tokens,
                          std::vector<std::byte> data) {
  CHECK(data.size() == impl_->config.bytes_per_block && !tokens.empty());
  const std::lock_guard lock(impl_->mutex);
  if (impl_->pending.count(hash) != 0) return;
  if (impl_->index.contains(hash)) return impl_->index.touch(hash);
  if (!impl_->takes(data.size())) {
    ++impl_->counts.num_dropped;
    return;
  }
  impl_->queued_bytes += data.size();
  impl_->queue.push_back(hash);
  impl_->pending.emplace(hash, std::make_shared<const Pending>(
                                   Pending{hash, {tokens.begin(), tokens.end()}, std::move(data)}));
  impl_->wake.notify_one();
}

bool DiskBlockStore::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock(impl_->mutex);
  return impl_->written.wait_for(lock, timeout, [this] { return impl_->pending.empty(); });
}

DiskBlockStoreStats DiskBlockStore::stats() const {
  const std::lock_guard lock(impl_->mutex);
  DiskBlockStoreStats stats = impl_->counts;
  stats.num_blocks = impl_->index.num_own();
  stats.num_bytes = impl_->index.num_bytes();
  return stats;
}

}  // namespace pagoda
