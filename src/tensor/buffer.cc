// Buffer: private anonymous mappings, trimmed to huge-page alignment when large.
#include "tensor/buffer.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <cstdint>
#include <limits>
#include <utility>

namespace pagoda {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kHugePageBytes = size_t{2} << 20;
// Below two huge pages the alignment would waste more than the fewer page walks save.
constexpr size_t kHugeThreshold = 2 * kHugePageBytes;

size_t round_up(size_t value, size_t unit) {
  return (value + unit - 1) / unit * unit;
}

Error refused(size_t num_bytes) {
  return {ErrorCode::kOverloaded,
          fmt::format("the system refused {} bytes of memory for a buffer", num_bytes)};
}

}  // namespace

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), num_bytes_(std::exchange(other.num_bytes_, 0)) {
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  Buffer old(std::move(*this));
  data_ = std::exchange(other.data_, nullptr);
  num_bytes_ = std::exchange(other.num_bytes_, 0);
  return *this;
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, round_up(num_bytes_, kPageBytes));
}

Result<Buffer> Buffer::allocate(size_t num_bytes) {
  Buffer buffer;
  if (num_bytes == 0) return buffer;
  if (num_bytes > std::numeric_limits<size_t>::max() / 2) return refused(num_bytes);
  const bool huge = num_bytes >= kHugeThreshold;
  const size_t kept = round_up(num_bytes, kPageBytes);
  const size_t mapped = kept + (huge ? kHugePageBytes : 0);
  void* const address =
      ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return refused(num_bytes);
  auto* data = static_cast<std::byte*>(address);
  if (huge) {
    const size_t misaligned = reinterpret_cast<uintptr_t>(data) % kHugePageBytes;
    const size_t head = misaligned == 0 ? 0 : kHugePageBytes - misaligned;
    if (head > 0) ::munmap(data, head);
    if (head < kHugePageBytes) ::munmap(data + head + kept, kHugePageBytes - head);
    data += head;
    // Advice only: without huge pages the memory is slower, not wrong.
    (void)::madvise(data, kept, MADV_HUGEPAGE);
  }
  buffer.data_ = data;
  buffer.num_bytes_ = num_bytes;
  return buffer;
}

}  // namespace pagoda
