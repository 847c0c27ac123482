// PrefixCache: finds blocks that hold what a sequence is about to compute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "core/model_runner.h"
#include "core/types.h"
#include "engine/block_pool.h"
#include "engine/block_store.h"
#include "engine/request.h"

namespace pagoda {

// Full, computed blocks by the hash of everything that led to them: SHA-256 over the hash of the
// block before (the request's salt for the first) and the block's tokens. A hit is believed only
// when the tokens and the hash of the block before are equal too. What is found is used in place:
// such a block is never written again until the pool gives it away, which forgets it here.
//
// With a BlockStore, blocks that are given away are saved there first, and what is not in memory is
// looked for there.
//
// Owned by the Scheduler; engine thread only. `pool` and `store` must outlive it.
class PrefixCache {
 public:
  // `runner` moves blocks between the device and the store: both or neither may be null.
  PrefixCache(BlockPool& pool, ModelRunner* runner, BlockStore* store);
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  static BlockHash hash_of(const BlockHash& before, std::span<const TokenId> tokens);

  // The block with these tokens after `before`; nullopt when it is not in memory.
  std::optional<BlockId> find(const BlockHash& hash, const BlockHash& before,
                              std::span<const TokenId> tokens) const;
  // Brings such a block back from the store into a newly allocated one, which the caller owns;
  // nullopt when it is not there, or no block is free.
  std::optional<BlockId> restore(const BlockHash& hash, const BlockHash& before,
                                 std::span<const TokenId> tokens, Priority priority);
  // `block`, in use, holds these tokens from now on. Does nothing when another one already does.
  void insert(BlockId block, const BlockHash& hash, const BlockHash& before,
              std::span<const TokenId> tokens, Priority priority);
  // `block` was found and is used by a request of this priority.
  void touch(BlockId block, Priority priority);

  int32_t num_blocks() const { return static_cast<int32_t>(index_.size()); }
  // Saves up to `limit` blocks that the store has not; false when there is nothing left to save.
  bool save_some(int32_t limit);

  // kInternal, naming the first block whose entry, worth and place in the index disagree.
  Result<void> check_invariants() const;

 private:
  struct HashOfHash {
    size_t operator()(const BlockHash& hash) const {
      size_t value = 0;
      std::memcpy(&value, hash.data(), sizeof(value));
      return value;
    }
  };
  struct Entry {
    BlockHash hash{};
    BlockHash before{};
    bool saved = false;
  };

  void forget(BlockId block);
  void save(BlockId block);
  std::span<TokenId> tokens_of(BlockId block);
  std::span<const TokenId> tokens_of(BlockId block) const;

  BlockPool& pool_;
  ModelRunner* runner_;
  BlockStore* store_;
  std::vector<Entry> entries_;   // by block; of those in the index
  std::vector<TokenId> tokens_;  // [N, B]
  std::unordered_map<BlockHash, BlockId, HashOfHash> index_;
  BlockId save_cursor_ = 0;
  int64_t bytes_per_block_ = 0;
};

}  // namespace pagoda
