// Buffer: aligned anonymous memory, on huge pages where the system allows.
#pragma once

#include <cstddef>

#include "base/result.h"

namespace pagoda {

// Owns zeroed memory mapped from the system, aligned to at least 64 bytes (2 MiB for large ones).
// Move-only; freed on destruction. Pages become resident when first written. No thread rules beyond
// those of plain memory.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  // kOverloaded when the system refuses, naming the number of bytes. Zero bytes give an empty
  // buffer.
  static Result<Buffer> allocate(size_t num_bytes);

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t num_bytes() const { return num_bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t num_bytes_ = 0;
};

}  // namespace pagoda
