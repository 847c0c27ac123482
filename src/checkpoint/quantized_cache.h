// QuantizedCache: quantized copies of a checkpoint's matrices in one file, so that they are made
// once.
//
// Format, all numbers little-endian:
//   8 bytes  magic "PGDQUANT"
//   8 bytes  where the index begins, in bytes
//   8 bytes  bytes of the index
//   8 bytes  checksum of the index
//   then the blocks of each matrix, and behind them the index: JSON
//   {"key": text, "matrices": {name: [dtype, offset, bytes, checksum in hexadecimal]}}
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "checkpoint/read_only_file.h"
#include "tensor/buffer.h"
#include "tensor/tensor.h"

namespace pagoda {

struct QuantizedCacheConfig {
  std::string folder;  // made when it is missing
  // All that the content depends on: the checkpoint's files and the format. Another key is another
  // file.
  std::string key;
  int64_t max_bytes = int64_t{64} << 30;  // of all files in the folder; the least recently used go
  // Left free on the disk, at least; what would take more is not written.
  int64_t min_free_bytes = int64_t{1} << 30;
};

// Owns the file it reads and the one it writes. Loading thread only. Any number of processes may
// use one folder: a file is written under a name of its own and appears complete in one move. No
// failure of the disk fails a load: it is noted, and the matrix is made again.
class QuantizedCache {
 public:
  // kInvalidArgument when the folder cannot be made or used, naming it.
  static Result<std::unique_ptr<QuantizedCache>> open(QuantizedCacheConfig config);
  QuantizedCache(const QuantizedCache&) = delete;
  QuantizedCache& operator=(const QuantizedCache&) = delete;
  ~QuantizedCache();  // what was not published is removed

  // Whether there is a file to read from.
  bool has_file() const { return file_.has_value(); }
  // The matrix's blocks in `scratch`, which grows as needed; nullopt when they are not there, or
  // not as they were written. kOverloaded when memory is refused.
  Result<std::optional<TensorView>> find(const std::string& name, DType dtype, const Shape& shape,
                                         Buffer& scratch);
  // Keeps a matrix that find() did not give.
  void add(const std::string& name, const TensorView& blocks);
  // All has been read or added: a file that was written gets its name.
  void publish();

  // What went wrong on the way, for the log; empty when nothing did.
  const std::string& note() const { return note_; }

 private:
  struct Entry {
    DType dtype = DType::kF32;
    int64_t offset = 0;
    int64_t num_bytes = 0;
    uint64_t checksum = 0;
  };
  using Index = std::unordered_map<std::string, Entry>;

  explicit QuantizedCache(QuantizedCacheConfig config);
  void open_file();
  Result<Index> read_index() const;
  Result<void> read_entry(const Entry& entry, Buffer& scratch) const;
  bool start_writing();
  bool append(const std::string& name, DType dtype, std::span<const std::byte> bytes);
  bool write_at(int64_t offset, std::span<const std::byte> bytes);
  void abandon(const std::string& why);
  void copy_what_was_sound();
  void remove_leftovers();
  void limit_folder();

  QuantizedCacheConfig config_;
  std::string path_;
  std::string note_;
  std::optional<ReadOnlyFile> file_;
  Index index_;                                  // of file_
  std::unordered_map<std::string, Entry> read_;  // entries of file_ that were sound
  int descriptor_ = -1;                          // the file being written
  bool failed_ = false;                          // nothing is written any more
  std::string temporary_;
  Index written_;
  int64_t end_ = 0;
};

// A fast 64-bit checksum against damage, not against intent. FNV-1a over 8-byte words in four
// lanes.
uint64_t checksum64(std::span<const std::byte> bytes);

}  // namespace pagoda
