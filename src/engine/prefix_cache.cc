// The index of cached blocks, and their way to the store and back.
#include "engine/prefix_cache.h"

#include <fmt/core.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace pagoda {

namespace {

BlockWorth worth_for(Priority priority) {
  return priority == Priority::kInteractive ? BlockWorth::kInteractive : BlockWorth::kBackground;
}

}  // namespace

PrefixCache::PrefixCache(BlockPool& pool, ModelRunner* runner, BlockStore* store)
    : pool_(pool), runner_(runner), store_(store) {
  CHECK((runner == nullptr) == (store == nullptr));
  const auto num_blocks = static_cast<size_t>(pool.num_blocks());
  entries_.resize(num_blocks);
  tokens_.resize(num_blocks * static_cast<size_t>(pool.block_size()));
  index_.reserve(num_blocks);
  if (runner != nullptr) bytes_per_block_ = runner->kv_cache_spec().bytes_per_block;
  pool.on_reuse([this](BlockId block) { forget(block); });
}

PrefixCache::~PrefixCache() {
  pool_.on_reuse(nullptr);
}

BlockHash PrefixCache::hash_of(const BlockHash& before, std::span<const TokenId> tokens) {
  std::vector<uint8_t> input(before.size() + tokens.size_bytes());
  std::ranges::copy(before, input.begin());
  std::memcpy(input.data() + before.size(), tokens.data(), tokens.size_bytes());
  BlockHash hash{};
  SHA256(input.data(), input.size(), hash.data());
  return hash;
}

std::span<TokenId> PrefixCache::tokens_of(BlockId block) {
  const auto size = static_cast<size_t>(pool_.block_size());
  return std::span(tokens_).subspan(static_cast<size_t>(block) * size, size);
}

std::span<const TokenId> PrefixCache::tokens_of(BlockId block) const {
  const auto size = static_cast<size_t>(pool_.block_size());
  return std::span(tokens_).subspan(static_cast<size_t>(block) * size, size);
}

std::optional<BlockId> PrefixCache::find(const BlockHash& hash, const BlockHash& before,
                                         std::span<const TokenId> tokens) const {
  const auto found = index_.find(hash);
  if (found == index_.end()) return std::nullopt;
  const BlockId block = found->second;
  if (entries_[static_cast<size_t>(block)].before != before ||
      !std::ranges::equal(tokens_of(block), tokens)) {
    return std::nullopt;
  }
  return block;
}

std::optional<BlockId> PrefixCache::restore(const BlockHash& hash, const BlockHash& before,
                                            std::span<const TokenId> tokens, Priority priority) {
  if (store_ == nullptr || !store_->contains(hash)) return std::nullopt;
  std::vector<std::byte> data(static_cast<size_t>(bytes_per_block_));
  if (!store_->load(hash, tokens, data)) return std::nullopt;
  const std::optional<BlockId> block = pool_.allocate();
  if (!block) return std::nullopt;
  runner_->write_block(*block, data);
  insert(*block, hash, before, tokens, priority);
  entries_[static_cast<size_t>(*block)].saved = true;
  return block;
}

void PrefixCache::insert(BlockId block, const BlockHash& hash, const BlockHash& before,
                         std::span<const TokenId> tokens, Priority priority) {
  CHECK(static_cast<int32_t>(tokens.size()) == pool_.block_size());
  CHECK(pool_.worth(block) == BlockWorth::kNothing);
  if (!index_.emplace(hash, block).second) return;
  entries_[static_cast<size_t>(block)] = {.hash = hash, .before = before};
  std::ranges::copy(tokens, tokens_of(block).begin());
  pool_.set_worth(block, worth_for(priority));
}

void PrefixCache::touch(BlockId block, Priority priority) {
  pool_.set_worth(block, std::max(pool_.worth(block), worth_for(priority)));
}

void PrefixCache::forget(BlockId block) {
  const Entry& entry = entries_[static_cast<size_t>(block)];
  if (!entry.saved) save(block);
  CHECK(index_.erase(entry.hash) == 1);
}

void PrefixCache::save(BlockId block) {
  if (store_ == nullptr) return;
  Entry& entry = entries_[static_cast<size_t>(block)];
  if (!store_->contains(entry.hash)) {
    std::vector<std::byte> data(static_cast<size_t>(bytes_per_block_));
    runner_->read_block(block, data);
    store_->save(entry.hash, tokens_of(block), std::move(data));
  }
  entry.saved = true;
}

bool PrefixCache::save_some(int32_t limit) {
  if (store_ == nullptr) return false;
  for (int32_t num_seen = 0; num_seen < pool_.num_blocks(); ++num_seen) {
    if (limit == 0) return true;
    const BlockId block = save_cursor_;
    save_cursor_ = (save_cursor_ + 1) % pool_.num_blocks();
    if (pool_.worth(block) == BlockWorth::kNothing) continue;
    if (entries_[static_cast<size_t>(block)].saved) continue;
    save(block);
    --limit;
  }
  return false;
}

Result<void> PrefixCache::check_invariants() const {
  int32_t num_worth_something = 0;
  for (BlockId block = 0; block < pool_.num_blocks(); ++block) {
    if (pool_.worth(block) == BlockWorth::kNothing) continue;
    ++num_worth_something;
    const Entry& entry = entries_[static_cast<size_t>(block)];
    const auto found = index_.find(entry.hash);
    if (found == index_.end() || found->second != block ||
        hash_of(entry.before, tokens_of(block)) != entry.hash) {
      return Error{ErrorCode::kInternal,
                   fmt::format("block {} is cached and not what its hash says", block)};
    }
  }
  if (num_worth_something != num_blocks()) {
    return Error{ErrorCode::kInternal,
                 fmt::format("{} blocks are in the prefix cache's index, {} are worth something",
                             num_blocks(), num_worth_something)};
  }
  return {};
}

}  // namespace pagoda
