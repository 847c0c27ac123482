// BlockTable: taking blocks from the pool and giving them back.
#include "engine/block_table.h"

#include "base/check.h"

namespace pagoda {

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  if (this != &other) {
    clear();
    pool_ = other.pool_;
    blocks_ = std::exchange(other.blocks_, {});
  }
  return *this;
}

bool BlockTable::reserve(int32_t num_tokens) {
  const int32_t num_missing = pool_->blocks_for(num_tokens) - num_blocks();
  if (num_missing > pool_->num_free_blocks()) return false;
  for (int32_t i = 0; i < num_missing; ++i) blocks_.push_back(*pool_->allocate());
  return true;
}

void BlockTable::share(std::span<const BlockId> blocks) {
  for (const BlockId id : blocks) {
    pool_->acquire(id);
    blocks_.push_back(id);
  }
}

void BlockTable::clear() noexcept {
  // Last block first: what is shared by many, the start of a prompt, is then taken anew last.
  for (auto id = blocks_.rbegin(); id != blocks_.rend(); ++id) pool_->release(*id);
  blocks_.clear();
}

}  // namespace pagoda
