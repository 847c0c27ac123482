// BlockPool: which blocks of the KV cache are in use, and which free one is taken next.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/types.h"

namespace pagoda {

// What a free block is worth; the least valuable is taken first.
enum class BlockWorth : uint8_t {
  kNothing,      // nobody can find its content
  kBackground,   // cached, used by background requests only
  kInteractive,  // cached, used by an interactive request
};

// All blocks of one cache, as numbers: the memory belongs to the runner. A block is free or
// referenced by ref_count tables. Free blocks stand in one list for each worth, in the order of
// their release; the one released longest ago among the least valuable is taken first, so that a
// background request takes nothing from a live conversation while there is anything else. Every
// operation is O(1).
//
// Owned by the Engine; must outlive every BlockTable on it. Engine thread only.
class BlockPool {
 public:
  // REQUIRES: num_blocks >= 1, block_size >= 1.
  BlockPool(int32_t num_blocks, int32_t block_size);

  int32_t num_blocks() const { return num_blocks_; }
  int32_t num_free_blocks() const { return num_free_; }
  int32_t block_size() const { return block_size_; }  // tokens
  // Blocks that hold `num_tokens` tokens. REQUIRES: num_tokens >= 0.
  int32_t blocks_for(int32_t num_tokens) const;

  // Called with a block that is about to be taken though its content is worth something; from then
  // on it is worth nothing. At most one.
  void on_reuse(std::function<void(BlockId)> callback) { on_reuse_ = std::move(callback); }

  // A free block, with ref_count 1 and worth nothing; nullopt when none is free.
  std::optional<BlockId> allocate();
  // One more table refers to a block in use, or to a free one that is worth something.
  void acquire(BlockId id);
  // One table less; at zero the block is free.
  void release(BlockId id);
  int32_t ref_count(BlockId id) const;

  BlockWorth worth(BlockId id) const;
  void set_worth(BlockId id, BlockWorth worth);

  // kInternal, naming the first inconsistency between the free lists and the counts.
  // O(num_blocks).
  Result<void> check_invariants() const;

 private:
  static constexpr int32_t kNumWorths = 3;
  struct Block {
    int32_t ref_count = 0;
    BlockId prev = 0;  // neighbours in its free list, while free
    BlockId next = 0;
    BlockWorth worth = BlockWorth::kNothing;
  };
  Block& at(BlockId id) { return blocks_[static_cast<size_t>(id)]; }
  const Block& at(BlockId id) const { return blocks_[static_cast<size_t>(id)]; }
  // The ends of a free list.
  BlockId end_of(BlockWorth worth) const { return num_blocks_ + static_cast<BlockId>(worth); }
  void link(BlockId id);
  void unlink(BlockId id);

  int32_t num_blocks_;
  int32_t block_size_;
  int32_t num_free_;
  std::vector<Block> blocks_;  // kNumWorths more than there are: the lists' ends
  std::function<void(BlockId)> on_reuse_;
};

}  // namespace pagoda
