// BlockStore: where cached blocks are kept that the KV cache has no room for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/types.h"

namespace pagoda {

// Names the content of a full block: SHA-256 over the salt, every token before it and its own.
using BlockHash = std::array<uint8_t, 32>;

// Called by the engine thread; lent to the Engine, which it must outlive. An implementation may
// lose anything at any time, and must never give back anything but what was saved.
class BlockStore {
 public:
  virtual ~BlockStore() = default;
  // Cheap; a load() that follows may still fail.
  virtual bool contains(const BlockHash& hash) const = 0;
  // Fills `out` with what was saved under `hash`. False, with `out` in any state, when that is
  // gone, damaged, of another size or not for these tokens.
  virtual bool load(const BlockHash& hash, std::span<const TokenId> tokens,
                    std::span<std::byte> out) = 0;
  // Whether save() would take something over now.
  virtual bool has_room() const = 0;
  // Takes over the content; does not wait for a disk. What comes too fast is dropped.
  virtual void save(const BlockHash& hash, std::span<const TokenId> tokens,
                    std::vector<std::byte> data) = 0;
};

}  // namespace pagoda
