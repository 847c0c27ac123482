// Bpe: byte-pair merges of one piece of text, exactly as training ordered them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace pagoda {

// Open-addressing index from the bytes of a token to its id. Points into the tokens it was made of,
// which must outlive it and stay where they are. Immutable after construction.
class TokenIndex {
 public:
  TokenIndex() = default;
  // The lowest id wins where two tokens have the same bytes; empty tokens are left out, and those
  // whose entry in `scores` (when there are any) is not a number.
  explicit TokenIndex(const std::vector<std::string>& tokens,
                      const std::vector<float>& scores = {});
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

// The merges of a vocabulary. Immutable after construction; thread-safe.
class Bpe {
 public:
  // Uses tokens, merges or scores, ignore_merges and what is said of unknown text; keeps pointing
  // to data.tokens. kInvalidArgument for a merge of ids that are no tokens or into a token that
  // does not exist, and for ids outside the vocabulary.
  static Result<Bpe> create(const TokenizerData& data);

  // Appends the tokens of one piece to `ids`: the best-ranked merge first, the leftmost among
  // equals. O(n log n) for a piece of n bytes. What has no token becomes unk_id or is left out.
  // REQUIRES: valid UTF-8, unless the model is one of bytes.
  void encode(std::string_view piece, std::vector<int32_t>& ids) const;

  const TokenIndex& index() const { return index_; }

 private:
  struct Merge {
    uint64_t pair = 0;  // left id << 32 | right id
    int32_t rank = 0;
    int32_t result = -1;  // -1: empty slot
  };
  // Marks that two characters stand side by side within some merge. May say so of others too, so a
  // text may be cut wherever it says no: nothing joins across.
  class Neighbours {
   public:
    void prepare() { bits_.resize(size_t{1} << (kBits - 6)); }
    // REQUIRES: prepare() was called.
    void add(char32_t left, char32_t right) { bits_[slot(left, right) >> 6] |= bit(left, right); }
    bool may_join(char32_t left, char32_t right) const {
      return (bits_[slot(left, right) >> 6] & bit(left, right)) != 0;
    }

   private:
    static constexpr int kBits = 20;
    static size_t slot(char32_t left, char32_t right) {
      const uint64_t key = (uint64_t{left} << 21) ^ right;
      return static_cast<size_t>((key * 0x9E3779B97F4A7C15ULL) >> (64 - kBits));
    }
    static uint64_t bit(char32_t left, char32_t right) {
      return uint64_t{1} << (slot(left, right) & 63U);
    }
    std::vector<uint64_t> bits_;
  };
  // The symbols of a piece of characters as they are found, merged whenever nothing can join on.
  class Characters;
  class LongPiece;

  Result<void> add_merges(const TokenizerData& data);
  Result<void> add_scored_merges(const TokenizerData& data);
  void map_characters(const TokenizerData& data);
  int32_t symbol_of(char32_t character) const;  // -1: none
  const Merge* find_merge(int32_t left, int32_t right) const;
  void insert_merge(const Merge& merge);
  void encode_bytes(std::string_view piece, std::vector<int32_t>& ids) const;
  void encode_characters(std::string_view piece, std::vector<int32_t>& ids) const;
  // The tokens of a character that has none of its own.
  void append_unknown(std::string_view character, bool after_unknown,
                      std::vector<int32_t>& ids) const;
  bool falls_back(std::string_view character) const;
  // Merges symbols[0, n) in place; the new number.
  size_t merge(int32_t* symbols, size_t n) const;
  size_t merge_short(int32_t* symbols, size_t n) const;
  size_t merge_long(int32_t* symbols, size_t n) const;

  TokenIndex index_;
  size_t filter_word(uint64_t hash) const { return (hash >> 32) & (filter_.size() - 1); }
  static uint64_t filter_bit(uint64_t hash) { return uint64_t{1} << (hash >> 58); }
  std::vector<uint64_t> filter_;  // of pairs: a bit that is not set says that there is no merge
  std::vector<Merge> merges_;     // open addressing, a power of two, at most half full
  TokenizerData::Model model_ = TokenizerData::Model::kByteMerges;
  int32_t num_tokens_ = 0;
  int32_t num_ranks_ = 0;       // of merges_: 1 + the last
  int32_t byte_ids_[256] = {};  // of the byte, or of "<0x00>"...; -1: none
  bool byte_fallback_ = false, fuse_unk_ = false, ignore_merges_ = false;
  int32_t unk_id_ = -1;
  char32_t unk_first_ = 0, unk_last_ = 0;  // characters at the ends of the unknown token
  // Models of characters: symbols of the basic plane by code point, of others by map. A symbol
  // that is no token (kCharacterScores: it only occurs inside tokens) is num_tokens_ or more.
  std::vector<int32_t> basic_symbols_;
  std::unordered_map<char32_t, int32_t> other_symbols_;
  std::vector<char32_t> untokened_;  // the characters of the symbols from num_tokens_ on
  Neighbours neighbours_;
};

}  // namespace pagoda
