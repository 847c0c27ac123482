// ReadOnlyFile: a regular file read by position, safe against being changed while it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace pagoda {

// Owns one file descriptor. Move-only. read_at() is thread-safe.
//
// Weights are read with pread() into memory of our own rather than mapped: reading a mapped page of
// a file that has been truncated since, or that lies on a failing disk, kills the process with
// SIGBUS, while pread() returns an error. It also keeps the checkpoint out of our resident memory.
class ReadOnlyFile {
 public:
  ReadOnlyFile(ReadOnlyFile&& other) noexcept;
  ReadOnlyFile& operator=(ReadOnlyFile&& other) noexcept;
  ~ReadOnlyFile();

  // kNotFound when there is none; kInvalidArgument for anything but a regular file (links are
  // followed: the Hugging Face cache is made of them); otherwise kInternal with the system's
  // reason. Messages name the path.
  static Result<ReadOnlyFile> open(const std::string& path);

  const std::string& path() const { return path_; }
  int64_t num_bytes() const { return num_bytes_; }  // when it was opened

  // Fills `out` from `offset` on. kInvalidArgument when the file ends before that, kInternal when
  // the system cannot read it. REQUIRES: offset >= 0.
  Result<void> read_at(int64_t offset, std::span<std::byte> out) const;
  // Tells the system that this range is read soon. A hint: it cannot fail.
  void prefetch(int64_t offset, int64_t num_bytes) const;

 private:
  ReadOnlyFile(std::string path, int descriptor, int64_t num_bytes)
      : path_(std::move(path)), descriptor_(descriptor), num_bytes_(num_bytes) {}

  std::string path_;
  int descriptor_ = -1;
  int64_t num_bytes_ = 0;
};

// The whole of a text file. As ReadOnlyFile::open, and kTooLarge beyond `max_bytes`.
Result<std::string> read_text_file(const std::string& path, int64_t max_bytes);

}  // namespace pagoda
