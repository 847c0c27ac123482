// Bpe: byte-pair merges of one piece of text, exactly as training ordered them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pagoda {

// Open-addressing index from the bytes of a token to its id. Points into the tokens it was made of,
// which must outlive it and stay where they are. Immutable after construction.
class TokenIndex {
 public:
  TokenIndex() = default;
  // The lowest id wins where two tokens have the same bytes; empty tokens are left out.
  explicit TokenIndex(const std::vector<std::string>& tokens);
  // -1 when there is none.
  int32_t find(std::string_view bytes) const;
  // Joins two tokens without making a string. -1 when there is none.
  int32_t find_joined(std::string_view left, std::string_view right) const;

 private:
  const std::vector<std::string>* tokens_ = nullptr;
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;
  };
  std::vector<Slot> slots_;  // a power of two, at most half full
};

// The merges of a vocabulary. Immutable after construction; thread-safe. The tokens must outlive
// it.
class Bpe {
 public:
  // kInvalidArgument for a merge of ids that are no tokens, or into a token that does not exist.
  static Result<Bpe> create(const std::vector<std::string>& tokens,
                            const std::vector<std::pair<int32_t, int32_t>>& merges,
                            bool ignore_merges);

  // Appends the tokens of one piece to `ids`: the best-ranked merge first, the leftmost among
  // equals. O(n log n) for a piece of n bytes. Bytes that have no token are left out, as Hugging
  // Face tokenizers does without an unknown token.
  void encode(std::string_view piece, std::vector<int32_t>& ids) const;

  const TokenIndex& index() const { return index_; }

 private:
  struct Merge {
    uint64_t pair = 0;  // left id << 32 | right id
    int32_t rank = 0;
    int32_t result = -1;  // -1: empty slot
  };
  const Merge* find_merge(int32_t left, int32_t right) const;
  void insert_merge(const Merge& merge);
  void encode_short(std::vector<int32_t>& symbols) const;
  void encode_long(std::vector<int32_t>& symbols) const;

  TokenIndex index_;
  std::vector<Merge> merges_;  // open addressing, a power of two, at most half full
  int32_t byte_ids_[256] = {};
  bool ignore_merges_ = false;
};

}  // namespace pagoda
