// BlockPool: which blocks of the KV cache are in use, and by how many sequences.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "core/types.h"

namespace pagoda {

// All blocks of one cache, as numbers: the memory belongs to the runner. A block is free or
// referenced by ref_count tables. Free blocks stand in a list ordered by when they were released;
// the one released longest ago is taken first, so that what a block still holds lives as long as
// possible. Every operation is O(1).
//
// Owned by the Engine; must outlive every BlockTable on it. Engine thread only.
class BlockPool {
 public:
  // REQUIRES: num_blocks >= 1, block_size >= 1.
  BlockPool(int32_t num_blocks, int32_t block_size);

  int32_t num_blocks() const { return static_cast<int32_t>(blocks_.size()) - 1; }
  int32_t num_free_blocks() const { return num_free_; }
  int32_t block_size() const { return block_size_; }  // tokens
  // Blocks that hold `num_tokens` tokens. REQUIRES: num_tokens >= 0.
  int32_t blocks_for(int32_t num_tokens) const;

  // The least recently used free block, with ref_count 1; nullopt when none is free.
  std::optional<BlockId> allocate();
  // One more table refers to a block in use.
  void acquire(BlockId id);
  // One table less; at zero the block is free.
  void release(BlockId id);
  int32_t ref_count(BlockId id) const;

  // kInternal, naming the first inconsistency between the free list and the counts. O(num_blocks).
  Result<void> check_invariants() const;

 private:
  struct Block {
    int32_t ref_count = 0;
    BlockId prev = 0;  // neighbours in the free list, while free
    BlockId next = 0;
  };
  Block& at(BlockId id) { return blocks_[static_cast<size_t>(id)]; }
  const Block& at(BlockId id) const { return blocks_[static_cast<size_t>(id)]; }

  std::vector<Block> blocks_;  // one more than there are: the last is the free list's ends
  int32_t block_size_;
  int32_t num_free_;
};

}  // namespace pagoda
