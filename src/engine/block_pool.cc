// BlockPool: reference counts and the free list, a ring through the blocks themselves.
#include "engine/block_pool.h"

#include <fmt/core.h>

#include "base/check.h"

namespace pagoda {

BlockPool::BlockPool(int32_t num_blocks, int32_t block_size)
    : block_size_(block_size), num_free_(num_blocks) {
  CHECK(num_blocks >= 1);
  CHECK(block_size >= 1);
  blocks_.resize(static_cast<size_t>(num_blocks) + 1);
  for (BlockId id = 0; id <= num_blocks; ++id) {
    at(id).prev = id == 0 ? num_blocks : id - 1;
    at(id).next = id == num_blocks ? 0 : id + 1;
  }
}

int32_t BlockPool::blocks_for(int32_t num_tokens) const {
  // Not (num_tokens + block_size - 1) / block_size, which can overflow.
  return num_tokens / block_size_ + (num_tokens % block_size_ != 0 ? 1 : 0);
}

std::optional<BlockId> BlockPool::allocate() {
  if (num_free_ == 0) return std::nullopt;
  const BlockId end = num_blocks();
  const BlockId id = at(end).next;
  Block& block = at(id);
  at(block.prev).next = block.next;
  at(block.next).prev = block.prev;
  block.ref_count = 1;
  --num_free_;
  return id;
}

void BlockPool::acquire(BlockId id) {
  CHECK(id >= 0 && id < num_blocks());
  CHECK(at(id).ref_count > 0);
  ++at(id).ref_count;
}

void BlockPool::release(BlockId id) {
  CHECK(id >= 0 && id < num_blocks());
  Block& block = at(id);
  CHECK(block.ref_count > 0);
  if (--block.ref_count > 0) return;
  const BlockId end = num_blocks();
  block.prev = at(end).prev;
  block.next = end;
  at(block.prev).next = id;
  at(end).prev = id;
  ++num_free_;
}

int32_t BlockPool::ref_count(BlockId id) const {
  CHECK(id >= 0 && id < num_blocks());
  return at(id).ref_count;
}

Result<void> BlockPool::check_invariants() const {
  const BlockId end = num_blocks();
  int32_t num_listed = 0;
  for (BlockId id = at(end).next; id != end; id = at(id).next) {
    if (at(id).ref_count != 0) {
      return Error{ErrorCode::kInternal,
                   fmt::format("block {} is free and has ref_count {}", id, at(id).ref_count)};
    }
    if (at(at(id).next).prev != id || ++num_listed > num_free_) {
      return Error{ErrorCode::kInternal, fmt::format("free list is broken at block {}", id)};
    }
  }
  int32_t num_unused = 0;
  for (BlockId id = 0; id < end; ++id) num_unused += at(id).ref_count == 0 ? 1 : 0;
  if (num_listed != num_free_ || num_unused != num_free_) {
    return Error{ErrorCode::kInternal,
                 fmt::format("num_free_blocks is {}, the free list has {}, {} have ref_count 0",
                             num_free_, num_listed, num_unused)};
  }
  return {};
}

}  // namespace pagoda
