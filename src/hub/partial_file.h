// PartialFile: a file that is downloaded in parts, and goes on where an ended process stopped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pagoda {

// Owns one file on disk. One thread. The file has its content at its place, with holes, and behind
// that a table of how far each part has come:
//
//   [0, num_bytes)   content
//   "PGDPART1", num_bytes, part_bytes, number of parts: u64 each, little-endian
//   for each part: bytes of it that are there, u64
//
// Content is written before the table, so after a kill the table never says too much. After a power
// cut it may; the checksum over the whole file is what counts.
class PartialFile {
 public:
  // Parts of at least 8 and at most 64 MiB, about eight of them.
  static int64_t usual_part_bytes(int64_t num_bytes);

  // Opens what an earlier process left for the same sizes, or begins anew. Never follows a link.
  // REQUIRES: num_bytes >= 0, part_bytes > 0.
  static Result<PartialFile> open(const std::string& path, int64_t num_bytes, int64_t part_bytes);

  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&& other) noexcept;
  ~PartialFile();

  int num_parts() const { return static_cast<int>(done_.size()); }
  int64_t part_first(int part) const;      // offset in the file
  int64_t part_num_bytes(int part) const;  // when complete
  int64_t part_done(int part) const { return done_[static_cast<size_t>(part)]; }
  int64_t num_bytes() const { return num_bytes_; }
  int64_t num_bytes_done() const;
  const std::string& path() const { return path_; }

  // Writes the next bytes of a part. kTooLarge beyond its end; for a full disk kOverloaded, with
  // what is needed and what is free.
  Result<void> append(int part, std::string_view data);
  // Forgets all content, and takes another size of parts.
  Result<void> restart(int64_t part_bytes);
  // Waits until the content is on the disk. May run on another thread while nothing else is called.
  Result<void> sync() const;
  // Cuts the table off and moves the file. REQUIRES: every part is complete; the file is not used
  // afterwards.
  Result<void> finish(const std::string& final_path);

 private:
  PartialFile(std::string path, int descriptor, int64_t num_bytes, int64_t part_bytes);
  Result<void> write_table();
  bool read_table();
  Result<void> write_at(int64_t offset, std::string_view data);

  std::string path_;
  int descriptor_ = -1;
  int64_t num_bytes_ = 0;
  int64_t part_bytes_ = 1;
  std::vector<int64_t> done_;  // by part
};

// What a full disk says: needed and free bytes of the disk that holds `path`.
Error disk_full_error(const std::string& path, int64_t needed_bytes);
// Free bytes for this process on the disk that holds `path`; -1 when the system does not say.
int64_t free_disk_bytes(const std::string& path);

}  // namespace pagoda
