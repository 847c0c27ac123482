// FileLock: an exclusive lock between processes, held while the object lives.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace pagoda {

// flock() on a file of its own, as Python's `filelock` does it, so that huggingface_hub and we wait
// for each other. Owns a descriptor; the lock ends with the process at the latest. Move-only.
class FileLock {
 public:
  // nullopt when somebody else holds it. Creates the file and its folder. kInternal when the system
  // cannot.
  static Result<std::optional<FileLock>> try_lock(const std::string& path);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace pagoda
