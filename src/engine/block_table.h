// BlockTable: the cache blocks of one sequence.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/types.h"
#include "engine/block_pool.h"

namespace pagoda {

// The cache blocks of one sequence, in token order: token i is in slot i % block_size of block
// i / block_size.
//
// Move-only: destroying a table returns its blocks, so a sequence that ends, is aborted or is
// preempted cannot leak cache memory. The pool must outlive every table. Engine thread only.
class BlockTable {
 public:
  explicit BlockTable(BlockPool& pool) : pool_(&pool) {}
  BlockTable(BlockTable&& other) noexcept
      : pool_(other.pool_), blocks_(std::exchange(other.blocks_, {})) {}
  BlockTable& operator=(BlockTable&& other) noexcept;
  ~BlockTable() { clear(); }

  // Makes room for `num_tokens` tokens; never shrinks. Returns false and changes nothing when the
  // pool has too few free blocks.
  [[nodiscard]] bool reserve(int32_t num_tokens);
  // Goes on with blocks that others may refer to as well. They must be full and computed: nobody
  // may write to them any more.
  void share(std::span<const BlockId> blocks);
  // Goes on with a block that the caller has just allocated, and gives up to this table.
  void take(BlockId block) { blocks_.push_back(block); }
  void clear() noexcept;

  std::span<const BlockId> blocks() const { return blocks_; }
  int32_t num_blocks() const { return static_cast<int32_t>(blocks_.size()); }

 private:
  BlockPool* pool_;
  std::vector<BlockId> blocks_;
};

}  // namespace pagoda
