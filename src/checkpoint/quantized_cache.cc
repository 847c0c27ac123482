// Reading and writing of the cache's file.
#include "checkpoint/quantized_cache.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "base/json.h"

namespace pagoda {
namespace {

constexpr std::string_view kMagic = "PGDQUANT";
constexpr int64_t kHeaderBytes = 4096;  // of which 32 are used; blocks begin on a page
constexpr int64_t kMaxIndexBytes = int64_t{64} << 20;
constexpr const char* kSuffix = ".quantized";
constexpr const char* kTemporarySuffix = ".writing";

std::string hex(uint64_t value) {
  return fmt::format("{:016x}", value);
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string reason() {
  return std::generic_category().message(errno);
}

}  // namespace

uint64_t checksum64(std::span<const std::byte> bytes) {
  constexpr uint64_t kPrime = 0x100000001b3U;
  std::array<uint64_t, 4> lanes = {0xcbf29ce484222325U, 1, 2, 3};
  const auto mix = [&](size_t lane, uint64_t word) {
    lanes[lane] = (lanes[lane] ^ word) * kPrime;
    lanes[lane] ^= lanes[lane] >> 29;
  };
  size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    std::array<uint64_t, 4> words;
    std::memcpy(words.data(), bytes.data() + at, 32);
    for (size_t lane = 0; lane < 4; ++lane) mix(lane, words[lane]);
  }
  for (; at < bytes.size(); ++at) mix(at % 4, static_cast<uint64_t>(bytes[at]));
  for (size_t lane = 1; lane < 4; ++lane) mix(0, lanes[lane]);
  mix(0, bytes.size());
  return lanes[0];
}

Result<std::unique_ptr<QuantizedCache>> QuantizedCache::open(QuantizedCacheConfig config) {
  std::error_code error;
  std::filesystem::create_directories(config.folder, error);
  if (!std::filesystem::is_directory(config.folder, error)) {
    return invalid_argument(
        fmt::format("quantization cache: {} cannot be made a folder", config.folder));
  }
  std::unique_ptr<QuantizedCache> cache(new QuantizedCache(std::move(config)));
  cache->remove_leftovers();
  cache->open_file();
  return cache;
}

QuantizedCache::QuantizedCache(QuantizedCacheConfig config) : config_(std::move(config)) {
  // Two hashes of different seeds: names must not collide, and the key in the file decides anyway.
  path_ = fmt::format("{}/{}{}{}", config_.folder, hex(checksum64(bytes_of(config_.key))),
                      hex(checksum64(bytes_of("second " + config_.key))), kSuffix);
}

QuantizedCache::~QuantizedCache() {
  abandon("");
}

void QuantizedCache::open_file() {
  auto file = ReadOnlyFile::open(path_);
  if (!file.ok()) return;
  file_.emplace(std::move(file).value());
  auto index = read_index();
  if (!index.ok()) {
    note_ = fmt::format("quantization cache: {} is not used: {}", path_, index.error().message);
    file_.reset();
    return;
  }
  index_ = std::move(index).value();
  // What was used last stays longest.
  ::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
}

Result<QuantizedCache::Index> QuantizedCache::read_index() const {
  std::array<std::byte, 32> header;
  RETURN_IF_ERROR(file_->read_at(0, header));
  std::array<uint64_t, 3> numbers;
  std::memcpy(numbers.data(), header.data() + 8, sizeof(numbers));
  const auto size = static_cast<uint64_t>(file_->num_bytes());
  const auto [start, num_bytes, checksum] = numbers;
  if (std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0 || start > size ||
      num_bytes > size - start || num_bytes > static_cast<uint64_t>(kMaxIndexBytes)) {
    return invalid_argument("its header is damaged");
  }
  std::string text(num_bytes, '\0');
  RETURN_IF_ERROR(file_->read_at(static_cast<int64_t>(start),
                                 std::as_writable_bytes(std::span(text.data(), text.size()))));
  if (checksum64(bytes_of(text)) != checksum) return invalid_argument("its index is damaged");
  ASSIGN_OR_RETURN(const Json json, parse_json(text));
  const auto matrices = json.find("matrices");
  const auto key = json.find("key");
  if (key == json.end() || !key->is_string() || key->get<std::string>() != config_.key ||
      matrices == json.end() || !matrices->is_object()) {
    return invalid_argument("it is of another checkpoint");
  }
  Index index;
  for (const auto& [name, value] : matrices->items()) {
    const bool sound = value.is_array() && value.size() == 4 && value[0].is_string() &&
                       value[1].is_number_unsigned() && value[2].is_number_unsigned() &&
                       value[3].is_string();
    if (!sound) return invalid_argument("its index is damaged");
    ASSIGN_OR_RETURN(const DType dtype, parse_dtype(value[0].get<std::string>()));
    const auto offset = value[1].get<uint64_t>();
    const auto bytes = value[2].get<uint64_t>();
    if (offset > size || bytes > size - offset) return invalid_argument("it is cut off");
    const auto sum = value[3].get<std::string>();
    Entry entry = {dtype, static_cast<int64_t>(offset), static_cast<int64_t>(bytes), 0};
    std::from_chars(sum.data(), sum.data() + sum.size(), entry.checksum, 16);
    index.emplace(name, entry);
  }
  return index;
}

Result<void> QuantizedCache::read_entry(const Entry& entry, Buffer& scratch) const {
  const auto num_bytes = static_cast<size_t>(entry.num_bytes);
  if (scratch.num_bytes() < num_bytes) {
    scratch = Buffer();  // first give back, then take
    ASSIGN_OR_RETURN(scratch, Buffer::allocate(num_bytes));
  }
  const std::span<std::byte> bytes(scratch.data(), num_bytes);
  auto read = file_->read_at(entry.offset, bytes);
  if (!read.ok()) return invalid_argument(read.error().message);
  if (checksum64(bytes) != entry.checksum) return invalid_argument("its checksum is another");
  return {};
}

Result<std::optional<TensorView>> QuantizedCache::find(const std::string& name, DType dtype,
                                                       const Shape& shape, Buffer& scratch) {
  if (!file_) return std::optional<TensorView>();
  const auto found = index_.find(name);
  std::string why = "it is missing";
  if (found != index_.end()) {
    const Entry& entry = found->second;
    why = "it has another shape or format";
    if (entry.dtype == dtype && entry.num_bytes == dtype_bytes(dtype, shape.num_elements())) {
      const auto read = read_entry(entry, scratch);
      if (read.ok()) {
        read_.emplace(name, entry);
        return std::optional<TensorView>({scratch.data(), dtype, shape});
      }
      if (read.error().code == ErrorCode::kOverloaded) return read.error();
      why = read.error().message;
    }
  }
  note_ = fmt::format("quantization cache: {} is made anew: matrix {}: {}", path_, name, why);
  copy_what_was_sound();
  return std::optional<TensorView>();
}

// The new file takes over what was read before the damage was met.
void QuantizedCache::copy_what_was_sound() {
  Buffer scratch;
  for (const auto& [name, entry] : read_) {
    if (!read_entry(entry, scratch).ok() ||
        !append(name, entry.dtype, {scratch.data(), static_cast<size_t>(entry.num_bytes)})) {
      break;
    }
  }
  file_.reset();
  index_.clear();
  read_.clear();
}

void QuantizedCache::add(const std::string& name, const TensorView& blocks) {
  const auto num_bytes =
      static_cast<size_t>(dtype_bytes(blocks.dtype, blocks.shape.num_elements()));
  append(name, blocks.dtype, {blocks.data, num_bytes});
}

bool QuantizedCache::start_writing() {
  temporary_ = path_ + ".XXXXXX" + kTemporarySuffix;
  descriptor_ =
      ::mkostemps(temporary_.data(), static_cast<int>(std::strlen(kTemporarySuffix)), O_CLOEXEC);
  if (descriptor_ < 0) {
    temporary_.clear();
    abandon(reason());
    return false;
  }
  // Held while this process lives, so that others see that the file is not left over.
  ::flock(descriptor_, LOCK_EX | LOCK_NB);
  end_ = kHeaderBytes;
  return true;
}

bool QuantizedCache::append(const std::string& name, DType dtype,
                            std::span<const std::byte> bytes) {
  if (failed_ || (descriptor_ < 0 && !start_writing())) return false;
  struct statvfs disk = {};
  const auto wanted = static_cast<int64_t>(bytes.size());
  if (::fstatvfs(descriptor_, &disk) == 0) {
    const auto free_bytes = static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
    if (free_bytes - wanted < config_.min_free_bytes) {
      abandon("the disk is nearly full");
      return false;
    }
  }
  if (end_ + wanted > config_.max_bytes) {
    abandon(fmt::format("it would be over its limit of {} bytes", config_.max_bytes));
    return false;
  }
  if (!write_at(end_, bytes)) return false;
  written_.emplace(name, Entry{dtype, end_, wanted, checksum64(bytes)});
  end_ += wanted;
  return true;
}

bool QuantizedCache::write_at(int64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      abandon(reason());
      return false;
    }
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return true;
}

void QuantizedCache::abandon(const std::string& why) {
  failed_ = true;
  if (!why.empty()) {
    note_ = fmt::format("quantization cache: nothing is kept in {}: {}", config_.folder, why);
  }
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void QuantizedCache::publish() {
  if (descriptor_ < 0) return;
  Json matrices = Json::object();
  for (const auto& [name, entry] : written_) {
    matrices[name] = {format_traits(entry.dtype).name, static_cast<uint64_t>(entry.offset),
                      static_cast<uint64_t>(entry.num_bytes), hex(entry.checksum)};
  }
  const std::string index = dump_json({{"key", config_.key}, {"matrices", std::move(matrices)}});
  std::array<std::byte, 32> header;
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  const std::array<uint64_t, 3> numbers = {static_cast<uint64_t>(end_), index.size(),
                                           checksum64(bytes_of(index))};
  std::memcpy(header.data() + 8, numbers.data(), sizeof(numbers));
  if (!write_at(end_, bytes_of(index)) || !write_at(0, header)) return;
  // Without it, a machine that stops may leave the name and not the blocks.
  if (::fdatasync(descriptor_) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    abandon(reason());
    return;
  }
  temporary_.clear();
  ::close(descriptor_);
  descriptor_ = -1;
  limit_folder();
}

// Files that a process began and did not live to finish.
void QuantizedCache::remove_leftovers() {
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(config_.folder, error)) {
    const std::string path = item.path().string();
    if (!path.ends_with(kTemporarySuffix) || path.find(kSuffix) == std::string::npos) continue;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
    ::close(descriptor);
  }
}

void QuantizedCache::limit_folder() {
  struct File {
    std::filesystem::file_time_type used;
    int64_t num_bytes;
    std::string path;
  };
  std::vector<File> files;
  int64_t total = 0;
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(config_.folder, error)) {
    if (!item.path().string().ends_with(kSuffix) || !item.is_regular_file(error)) continue;
    files.push_back({item.last_write_time(error), static_cast<int64_t>(item.file_size(error)),
                     item.path().string()});
    total += files.back().num_bytes;
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.used < b.used; });
  for (const File& file : files) {
    if (total <= config_.max_bytes) break;
    if (file.path == path_) continue;
    if (::unlink(file.path.c_str()) == 0) total -= file.num_bytes;
  }
}

}  // namespace pagoda
