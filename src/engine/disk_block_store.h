// DiskBlockStore: a BlockStore in a folder, which survives restarts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/types.h"
#include "engine/block_store.h"

namespace pagoda {

struct DiskBlockStoreConfig {
  std::string folder;  // created when missing; its parents too
  // Everything that the content of a block depends on besides its hash: the model's weights and
  // shape, the type of the cache, the block size, the kernels. Blocks of another fingerprint are
  // never given back.
  std::string fingerprint;
  int64_t max_bytes = 0;       // on the disk, in whole pages, blocks of other fingerprints included
  size_t bytes_per_block = 0;  // of every save() and load()
  size_t max_queued_bytes = size_t{64} << 20;     // saved and not yet written; more is dropped
  int32_t max_files = 256 * 1024;                 // each known file takes some memory
  std::chrono::milliseconds retry_after{60'000};  // how long a disk that refused is left alone
};

// Counts since open(), and what is there now.
struct DiskBlockStoreStats {
  int64_t num_blocks = 0;   // of this fingerprint
  int64_t num_bytes = 0;    // taken by blocks of all fingerprints, in whole pages
  int64_t num_saved = 0;    // written
  int64_t num_loaded = 0;   // given back
  int64_t num_dropped = 0;  // not written: too fast, or the disk refused
  int64_t num_evicted = 0;  // deleted to make room
  int64_t num_damaged = 0;  // deleted because the content was not what had been written
};

// One file a block: FOLDER/<32 hex digits of the fingerprint>/<2>/<64 hex digits of the hash>.kv,
// see block_file.h. When max_bytes or max_files would be passed, blocks of other fingerprints go
// first, then those that were used least recently; use is remembered across restarts to the minute.
// What is in the folder and does not have exactly such a name is never touched, and no link is
// followed inside it. The content can be turned back into prompts: folders and files are readable
// by their owner only.
//
// Two servers may share a folder: files appear in one move, and a file that is gone is a miss. Each
// looks at the whole folder again after every eighth of max_bytes that it has written, so together
// they can pass max_bytes by an eighth a server for a while.
//
// A disk that is full or refuses is reported once and left alone for retry_after; nothing fails,
// saves are dropped meanwhile.
//
// load() reads on the calling thread; save() hands over to a writer thread. Both know at once what
// was saved and is not written yet. contains, load, has_room and save: one thread at a time; the
// rest is thread-safe. The destructor waits up to ten seconds for the writer.
class DiskBlockStore final : public BlockStore {
 public:
  // Scans the folder. kInvalidArgument or kUnavailable, naming the folder, when it cannot be
  // created, belongs to somebody else, or max_bytes has no room for a block.
  static Result<std::unique_ptr<DiskBlockStore>> open(const DiskBlockStoreConfig& config);
  ~DiskBlockStore() override;
  DiskBlockStore(const DiskBlockStore&) = delete;
  DiskBlockStore& operator=(const DiskBlockStore&) = delete;

  bool contains(const BlockHash& hash) const override;
  bool load(const BlockHash& hash, std::span<const TokenId> tokens,
            std::span<std::byte> out) override;
  bool has_room() const override;
  void save(const BlockHash& hash, std::span<const TokenId> tokens,
            std::vector<std::byte> data) override;

  // Waits until all that was saved is written or dropped; false when that takes longer.
  bool flush(std::chrono::milliseconds timeout);
  DiskBlockStoreStats stats() const;

 private:
  struct Impl;
  explicit DiskBlockStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
