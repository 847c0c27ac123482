// BlockPool: reference counts and the free lists, rings through the blocks themselves.
#include "engine/block_pool.h"

#include <fmt/core.h>

#include "base/check.h"

namespace pagoda {

BlockPool::BlockPool(int32_t num_blocks, int32_t block_size)
    : num_blocks_(num_blocks), block_size_(block_size), num_free_(num_blocks) {
  CHECK(num_blocks >= 1);
  CHECK(block_size >= 1);
  blocks_.resize(static_cast<size_t>(num_blocks) + kNumWorths);
  for (BlockId end = num_blocks; end < num_blocks + kNumWorths; ++end) {
    at(end).prev = at(end).next = end;
  }
  for (BlockId id = 0; id < num_blocks; ++id) link(id);
}

int32_t BlockPool::blocks_for(int32_t num_tokens) const {
  // Not (num_tokens + block_size - 1) / block_size, which can overflow.
  return num_tokens / block_size_ + (num_tokens % block_size_ != 0 ? 1 : 0);
}

void BlockPool::link(BlockId id) {
  Block& block = at(id);
  const BlockId end = end_of(block.worth);
  block.prev = at(end).prev;
  block.next = end;
  at(block.prev).next = id;
  at(end).prev = id;
}

void BlockPool::unlink(BlockId id) {
  const Block& block = at(id);
  at(block.prev).next = block.next;
  at(block.next).prev = block.prev;
}

std::optional<BlockId> BlockPool::allocate() {
  if (num_free_ == 0) return std::nullopt;
  BlockId id = num_blocks_;
  for (BlockId end = num_blocks_; id >= num_blocks_; ++end) id = at(end).next;
  Block& block = at(id);
  unlink(id);
  block.ref_count = 1;
  --num_free_;
  if (block.worth != BlockWorth::kNothing) {
    if (on_reuse_) on_reuse_(id);
    block.worth = BlockWorth::kNothing;
  }
  return id;
}

void BlockPool::acquire(BlockId id) {
  CHECK(id >= 0 && id < num_blocks());
  Block& block = at(id);
  if (block.ref_count == 0) {
    CHECK(block.worth != BlockWorth::kNothing);
    unlink(id);
    --num_free_;
  }
  ++block.ref_count;
}

void BlockPool::release(BlockId id) {
  CHECK(id >= 0 && id < num_blocks());
  Block& block = at(id);
  CHECK(block.ref_count > 0);
  if (--block.ref_count > 0) return;
  link(id);
  ++num_free_;
}

int32_t BlockPool::ref_count(BlockId id) const {
  CHECK(id >= 0 && id < num_blocks());
  return at(id).ref_count;
}

BlockWorth BlockPool::worth(BlockId id) const {
  CHECK(id >= 0 && id < num_blocks());
  return at(id).worth;
}

void BlockPool::set_worth(BlockId id, BlockWorth worth) {
  CHECK(id >= 0 && id < num_blocks());
  Block& block = at(id);
  if (block.worth == worth) return;
  if (block.ref_count == 0) unlink(id);
  block.worth = worth;
  if (block.ref_count == 0) link(id);
}

Result<void> BlockPool::check_invariants() const {
  int32_t num_listed = 0;
  for (BlockId end = num_blocks_; end < num_blocks_ + kNumWorths; ++end) {
    for (BlockId id = at(end).next; id != end; id = at(id).next) {
      if (id >= num_blocks_ || at(at(id).next).prev != id || ++num_listed > num_free_) {
        return Error{ErrorCode::kInternal, fmt::format("free list is broken at block {}", id)};
      }
      if (at(id).ref_count != 0 || end_of(at(id).worth) != end) {
        return Error{
            ErrorCode::kInternal,
            fmt::format("block {} is in free list {} and has ref_count {} and worth {}", id,
                        end - num_blocks_, at(id).ref_count, static_cast<int>(at(id).worth))};
      }
    }
  }
  int32_t num_unused = 0;
  for (BlockId id = 0; id < num_blocks_; ++id) num_unused += at(id).ref_count == 0 ? 1 : 0;
  if (num_listed != num_free_ || num_unused != num_free_) {
    return Error{ErrorCode::kInternal,
                 fmt::format("num_free_blocks is {}, the free lists have {}, {} have ref_count 0",
                             num_free_, num_listed, num_unused)};
  }
  return {};
}

}  // namespace pagoda
