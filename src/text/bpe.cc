// Bpe: a scan for short pieces, priority queues for long ones.
#include "text/bpe.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <queue>

#include "base/check.h"
#include "text/merge_queue.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

// Pieces up to here are merged by repeated scans: n^2 steps over one or two cache lines cost less
// than a queue. Words are rarely longer than 16 bytes.
constexpr size_t kShortPiece = 48;
// Longer tokens of a scored vocabulary are never reached by joining; published ones have at most 48
// bytes. Bounds the work of making merges of them.
constexpr size_t kMaxScoredTokenBytes = 128;
// The largest published vocabulary (Gemma 3) makes 0.6 million.
constexpr size_t kMaxScoredMerges = size_t{1} << 22;
// Up to here a heap stays in the processor's cache, and is cheaper than the lists of a MergeQueue.
constexpr size_t kMiddlePiece = 8192;
// Bits of the filter for each slot of the table of merges, which is at most half full. Most pairs
// are no merge, and the filter is small enough for the processor's cache.
constexpr size_t kFilterBits = 4;
constexpr int32_t kNoRank = std::numeric_limits<int32_t>::max();

uint64_t mix(uint64_t x) {
  x ^= x >> 32;
  x *= 0x9E3779B97F4A7C15ULL;
  return x ^ (x >> 29);
}

// FNV-like over 8-byte words; joining two parts must give the hash of the whole, so bytes go
// through a small buffer.
class Hasher {
 public:
  void add(std::string_view bytes) {
    size_t i = 0;
    for (; filled_ != 0 && i < bytes.size(); ++i) add_byte(static_cast<uint8_t>(bytes[i]));
    for (; i + 8 <= bytes.size(); i += 8) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, 8);
      state_ = mix(state_ ^ word) * kPrime;
    }
    for (; i < bytes.size(); ++i) add_byte(static_cast<uint8_t>(bytes[i]));
  }
  uint32_t finish() const {
    const uint64_t tail = word_ | (uint64_t{filled_} << 56);
    return static_cast<uint32_t>(mix(mix(state_ ^ tail) * kPrime) >> 16);
  }

 private:
  static constexpr uint64_t kPrime = 0xFF51AFD7ED558CCDULL;
  void add_byte(uint8_t byte) {
    word_ |= uint64_t{byte} << (8 * filled_);
    if (++filled_ == 8) {
      state_ = mix(state_ ^ word_) * kPrime;
      word_ = 0;
      filled_ = 0;
    }
  }
  uint64_t state_ = 0x2545F4914F6CDD1DULL;
  uint64_t word_ = 0;
  uint32_t filled_ = 0;  // bytes in word_
};

// What MergeQueue does, as a heap.
class SmallQueue {
 public:
  void push(int32_t rank, uint32_t place) {
    heap_.push((uint64_t{static_cast<uint32_t>(rank)} << 32) | place);
  }
  bool pop(int32_t& rank, uint32_t& place) {
    if (heap_.empty()) return false;
    rank = static_cast<int32_t>(heap_.top() >> 32);
    place = static_cast<uint32_t>(heap_.top());
    heap_.pop();
    return true;
  }
  uint32_t later_place() const { return 0; }

 private:
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap_;
};

uint64_t pair_key(int32_t left, int32_t right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
}

size_t table_size(size_t num_entries) {
  return std::bit_ceil(std::max<size_t>(16, num_entries * 2));
}

// REQUIRES: `text` is not empty.
char32_t first_character(std::string_view text) {
  size_t offset = 0;
  return next_code_point(text, offset);
}

char32_t last_character(std::string_view text) {
  size_t offset = text.size() - 1;
  while (offset > 0 && (static_cast<uint8_t>(text[offset]) & 0xC0U) == 0x80U) --offset;
  return next_code_point(text, offset);
}

}  // namespace

TokenIndex::TokenIndex(const std::vector<std::string>& tokens, const std::vector<float>& scores)
    : tokens_(&tokens), slots_(table_size(tokens.size())) {
  const size_t mask = slots_.size() - 1;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty() || (!scores.empty() && std::isnan(scores[id]))) continue;
    Hasher hasher;
    hasher.add(tokens[id]);
    const uint32_t hash = hasher.finish();
    size_t at = hash & mask;
    bool known = false;
    for (; slots_[at].id >= 0; at = (at + 1) & mask) {
      known = slots_[at].hash == hash && tokens[static_cast<size_t>(slots_[at].id)] == tokens[id];
      if (known) break;
    }
    if (!known) slots_[at] = {hash, static_cast<int32_t>(id)};
  }
}

int32_t TokenIndex::find(std::string_view bytes) const {
  return find_joined(bytes, {});
}

int32_t TokenIndex::find_joined(std::string_view left, std::string_view right) const {
  if (slots_.empty()) return -1;
  Hasher hasher;
  hasher.add(left);
  hasher.add(right);
  const uint32_t hash = hasher.finish();
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].id >= 0; at = (at + 1) & mask) {
    if (slots_[at].hash != hash) continue;
    const std::string_view token = (*tokens_)[static_cast<size_t>(slots_[at].id)];
    if (token.size() == left.size() + right.size() && token.starts_with(left) &&
        token.substr(left.size()) == right) {
      return slots_[at].id;
    }
  }
  return -1;
}

Result<Bpe> Bpe::create(const TokenizerData& data) {
  Bpe bpe;
  bpe.model_ = data.model;
  bpe.ignore_merges_ = data.ignore_merges;
  bpe.fuse_unk_ = data.fuse_unk;
  bpe.unk_id_ = data.unk_id;
  bpe.num_tokens_ = static_cast<int32_t>(data.tokens.size());
  if (!data.scores.empty() && data.scores.size() != data.tokens.size()) {
    return invalid_argument(
        fmt::format("tokenizer: {} scores for {} tokens", data.scores.size(), data.tokens.size()));
  }
  bpe.index_ = TokenIndex(data.tokens, data.scores);
  if (data.unk_id >= bpe.num_tokens_) {
    return invalid_argument(
        fmt::format("tokenizer: unknown token {} outside 0..{}", data.unk_id, bpe.num_tokens_ - 1));
  }
  const bool bytes = data.model == TokenizerData::Model::kByteMerges;
  bpe.byte_fallback_ = !bytes && data.byte_fallback;
  // Names of bytes are never joined from text, so the index of a scored model lacks them.
  const TokenIndex& names = bytes || data.scores.empty() ? bpe.index_ : TokenIndex(data.tokens);
  for (int32_t byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    bpe.byte_ids_[byte] = names.find(bytes ? std::string(1, c) : fmt::format("<0x{:02X}>", byte));
  }
  if (!bytes) bpe.map_characters(data);
  if (data.model == TokenizerData::Model::kCharacterScores) {
    if (data.scores.empty()) return invalid_argument("tokenizer: a scored model without scores");
    RETURN_IF_ERROR(bpe.add_scored_merges(data));
  } else {
    RETURN_IF_ERROR(bpe.add_merges(data));
  }
  return bpe;
}

Result<void> Bpe::add_merges(const TokenizerData& data) {
  if (data.merges.size() > static_cast<size_t>(kNoRank)) {
    return invalid_argument(fmt::format("tokenizer: {} merges", data.merges.size()));
  }
  const std::vector<std::string>& tokens = data.tokens;
  merges_.resize(table_size(data.merges.size()));
  int32_t rank = 0;
  for (const auto& [left, right] : data.merges) {
    for (const int32_t id : {left, right}) {
      if (id < 0 || id >= num_tokens_ || tokens[static_cast<size_t>(id)].empty()) {
        return invalid_argument(
            fmt::format("tokenizer: merge {} uses id {}, not a token", rank, id));
      }
    }
    const std::string& left_text = tokens[static_cast<size_t>(left)];
    const std::string& right_text = tokens[static_cast<size_t>(right)];
    const int32_t result = index_.find_joined(left_text, right_text);
    if (result < 0) {
      return invalid_argument(
          fmt::format("tokenizer: merge {} of ids {} and {} makes no token", rank, left, right));
    }
    insert_merge({pair_key(left, right), rank++, result});
    if (model_ != TokenizerData::Model::kByteMerges) {
      neighbours_.add(last_character(left_text), first_character(right_text));
    }
  }
  return {};
}

// Each way to cut a token in two symbols is a merge; equal scores have equal ranks.
Result<void> Bpe::add_scored_merges(const TokenizerData& data) {
  std::vector<float> ranks;
  for (const float score : data.scores) {
    if (!std::isnan(score)) ranks.push_back(score);
  }
  std::sort(ranks.begin(), ranks.end(), std::greater<>());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::vector<Merge> found;
  std::vector<size_t> cuts;
  const auto symbol = [&](std::string_view text) {
    size_t end = 0;
    const char32_t first = next_code_point(text, end);
    return end == text.size() ? symbol_of(first) : index_.find(text);
  };
  for (size_t id = 0; id < data.tokens.size(); ++id) {
    const std::string_view token = data.tokens[id];
    const bool joinable = token.size() <= kMaxScoredTokenBytes && !std::isnan(data.scores[id]);
    if (!joinable || index_.find(token) != static_cast<int32_t>(id)) continue;
    const auto rank = static_cast<int32_t>(
        std::lower_bound(ranks.begin(), ranks.end(), data.scores[id], std::greater<>()) -
        ranks.begin());
    for (size_t cut = 0; cut < token.size();) {
      const size_t before = cut;
      next_code_point(token, cut);
      if (before == 0) continue;
      const int32_t left = symbol(token.substr(0, before)), right = symbol(token.substr(before));
      if (left < 0 || right < 0) continue;
      if (found.size() == kMaxScoredMerges) {
        return invalid_argument(
            fmt::format("tokenizer: scores make more than {} merges", kMaxScoredMerges));
      }
      found.push_back({pair_key(left, right), rank, static_cast<int32_t>(id)});
      neighbours_.add(last_character(token.substr(0, before)),
                      first_character(token.substr(before)));
    }
  }
  merges_.resize(table_size(found.size()));
  for (const Merge& merge : found) insert_merge(merge);
  return {};
}

// Every character that a token holds gets a symbol: the token that is that character, or a number
// behind the tokens.
void Bpe::map_characters(const TokenizerData& data) {
  basic_symbols_.assign(0x10000, -1);
  neighbours_.prepare();
  const bool scored = model_ == TokenizerData::Model::kCharacterScores;
  for (const std::string& token : data.tokens) {
    for (size_t offset = 0; offset < token.size();) {
      const size_t start = offset;
      const char32_t c = next_code_point(token, offset);
      const std::string_view character = std::string_view(token).substr(start, offset - start);
      // Merges start from tokens: only those of one character are symbols.
      if (!scored && character.size() < token.size()) break;
      if (symbol_of(c) >= 0) continue;
      int32_t symbol = index_.find(character);
      if (symbol < 0) {
        if (!scored) continue;
        symbol = num_tokens_ + static_cast<int32_t>(untokened_.size());
        untokened_.push_back(c);
      }
      (c < 0x10000 ? basic_symbols_[c] : other_symbols_[c]) = symbol;
    }
  }
  if (unk_id_ >= 0) {
    const std::string& unknown = data.tokens[static_cast<size_t>(unk_id_)];
    unk_first_ = unknown.empty() ? 0 : first_character(unknown);
    unk_last_ = unknown.empty() ? 0 : last_character(unknown);
  }
}

int32_t Bpe::symbol_of(char32_t character) const {
  if (character < 0x10000) return basic_symbols_[character];
  const auto it = other_symbols_.find(character);
  return it == other_symbols_.end() ? -1 : it->second;
}

void Bpe::insert_merge(const Merge& merge) {
  num_ranks_ = std::max(num_ranks_, merge.rank + 1);
  const size_t mask = merges_.size() - 1;
  if (filter_.empty()) filter_.resize(std::bit_ceil(merges_.size() * kFilterBits / 64));
  const uint64_t hash = mix(merge.pair);
  filter_[filter_word(hash)] |= filter_bit(hash);
  size_t at = hash & mask;
  while (merges_[at].result >= 0 && merges_[at].pair != merge.pair) at = (at + 1) & mask;
  merges_[at] = merge;
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const uint64_t pair = pair_key(left, right);
  const uint64_t hash = mix(pair);
  if (filter_.empty() || (filter_[filter_word(hash)] & filter_bit(hash)) == 0) return nullptr;
  const size_t mask = merges_.size() - 1;
  for (size_t at = hash & mask; merges_[at].result >= 0; at = (at + 1) & mask) {
    if (merges_[at].pair == pair) return &merges_[at];
  }
  return nullptr;
}

void Bpe::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    const int32_t id = index_.find(piece);
    if (id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  if (model_ == TokenizerData::Model::kByteMerges) {
    encode_bytes(piece, ids);
  } else {
    encode_characters(piece, ids);
  }
}

void Bpe::encode_bytes(std::string_view piece, std::vector<int32_t>& ids) const {
  // The symbols are made and merged where the tokens shall stand.
  const size_t begin = ids.size();
  bool after_unknown = false;
  for (const char c : piece) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    if (id >= 0) {
      ids.push_back(id);
    } else if (unk_id_ >= 0 && !(after_unknown && fuse_unk_)) {
      ids.push_back(unk_id_);
    }
    after_unknown = id < 0;
  }
  ids.resize(begin + merge(ids.data() + begin, ids.size() - begin));
}

// Symbols go to the end of `ids`; those since `begin_` are not merged yet.
class Bpe::Characters {
 public:
  Characters(const Bpe& bpe, std::vector<int32_t>& ids) : bpe_(bpe), ids_(ids) {
    begin_ = ids.size();
  }

  void add(int32_t symbol, char32_t first, char32_t last) {
    if (ids_.size() > begin_ && !bpe_.neighbours_.may_join(last_, first)) merge();
    ids_.push_back(symbol);
    last_ = last;
  }

  void merge() {
    const size_t n = bpe_.merge(ids_.data() + begin_, ids_.size() - begin_);
    ids_.resize(begin_ + n);
    if (!bpe_.untokened_.empty()) spell_untokened();
    begin_ = ids_.size();
  }

 private:
  // Replaces symbols that are no token and joined nothing.
  void spell_untokened() {
    const auto from = ids_.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto is_token = [this](int32_t id) { return id < bpe_.num_tokens_; };
    if (std::all_of(from, ids_.end(), is_token)) {
      after_unknown_ = false;
      return;
    }
    const std::vector<int32_t> merged(from, ids_.end());
    ids_.resize(begin_);
    for (const int32_t symbol : merged) {
      if (is_token(symbol)) {
        ids_.push_back(symbol);
        after_unknown_ = false;
        continue;
      }
      std::string text;
      append_utf8(text, bpe_.untokened_[static_cast<size_t>(symbol - bpe_.num_tokens_)]);
      bpe_.append_unknown(text, after_unknown_, ids_);
      after_unknown_ = !bpe_.byte_fallback_;
    }
  }

  const Bpe& bpe_;
  std::vector<int32_t>& ids_;
  size_t begin_;
  char32_t last_ = 0;
  bool after_unknown_ = false;
};

void Bpe::append_unknown(std::string_view character, bool after_unknown,
                         std::vector<int32_t>& ids) const {
  if (falls_back(character)) {
    for (const char c : character) ids.push_back(byte_ids_[static_cast<uint8_t>(c)]);
  } else if (unk_id_ >= 0 && !(after_unknown && fuse_unk_)) {
    ids.push_back(unk_id_);
  }
}

bool Bpe::falls_back(std::string_view character) const {
  return byte_fallback_ && std::all_of(character.begin(), character.end(), [this](char c) {
           return byte_ids_[static_cast<uint8_t>(c)] >= 0;
         });
}

void Bpe::encode_characters(std::string_view piece, std::vector<int32_t>& ids) const {
  Characters symbols(*this, ids);
  bool unknown = false;  // an unknown token is due before the next known character
  const auto add_unknown = [&] {
    if (unknown) symbols.add(unk_id_, unk_first_, unk_last_);
    unknown = false;
  };
  for (size_t offset = 0; offset < piece.size();) {
    const size_t start = offset;
    const char32_t c = next_code_point(piece, offset);
    const int32_t symbol = symbol_of(c);
    if (symbol >= 0) {
      add_unknown();
      symbols.add(symbol, c, c);
      continue;
    }
    const std::string_view character = piece.substr(start, offset - start);
    if (falls_back(character)) {
      // A byte overtakes an unknown token that is due, as in Hugging Face tokenizers.
      for (const char byte : character) {
        symbols.add(byte_ids_[static_cast<uint8_t>(byte)], '<', '>');
      }
    } else if (unk_id_ >= 0) {
      if (!fuse_unk_) add_unknown();
      unknown = true;
    }
  }
  add_unknown();
  symbols.merge();
}

size_t Bpe::merge(int32_t* symbols, size_t n) const {
  if (n < 2) return n;
  return n <= kShortPiece ? merge_short(symbols, n) : merge_long(symbols, n);
}

size_t Bpe::merge_short(int32_t* symbols, size_t n) const {
  int32_t ranks[kShortPiece];    // of the pair that starts at i
  int32_t results[kShortPiece];  // what that pair becomes
  const auto look_up = [&](size_t i) {
    const Merge* merge = i + 1 < n ? find_merge(symbols[i], symbols[i + 1]) : nullptr;
    ranks[i] = merge ? merge->rank : kNoRank;
    results[i] = merge ? merge->result : -1;
  };
  for (size_t i = 0; i < n; ++i) look_up(i);
  while (n > 1) {
    const size_t best = static_cast<size_t>(std::min_element(ranks, ranks + n) - ranks);
    if (ranks[best] == kNoRank) break;
    symbols[best] = results[best];
    std::copy(symbols + best + 2, symbols + n, symbols + best + 1);
    std::copy(ranks + best + 2, ranks + n, ranks + best + 1);
    std::copy(results + best + 2, results + n, results + best + 1);
    --n;
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  return n;
}

// The symbols as a doubly linked list; each knows the merge with the one behind it, so that a
// candidate costs one look-up in the table of merges.
class Bpe::LongPiece {
 public:
  // REQUIRES: 2 <= n < 2^32 - 1.
  LongPiece(const Bpe& bpe, int32_t* symbols, size_t n) : bpe_(bpe), symbols_(symbols), nodes_(n) {
    CHECK(n < kEnd);
    for (uint32_t i = 0; i < n; ++i) {
      nodes_[i].symbol = symbols[i];
      nodes_[i].next = i + 1 < n ? i + 1 : kEnd;
      nodes_[i].previous = i > 0 ? i - 1 : kEnd;
    }
  }

  // Merges what can be merged, the best first; the new number of symbols. Queue is a MergeQueue or
  // SmallQueue.
  template <typename Queue>
  size_t merge(Queue queue) {
    for (uint32_t i = 0; i + 1 < nodes_.size(); ++i) look_up(i, queue);
    int32_t rank = 0;
    for (uint32_t at = 0; queue.pop(rank, at);) {
      __builtin_prefetch(nodes_.data() + queue.later_place());
      Node& node = nodes_[at];
      // Stale: its symbol has died or stands before another one than when it was pushed.
      if (node.rank != rank) continue;
      Node& dead = nodes_[node.next];
      node.symbol = node.result;
      node.next = dead.next;
      dead.symbol = -1;
      dead.rank = kNoRank;
      if (node.next != kEnd) nodes_[node.next].previous = at;
      look_up(at, queue);
      if (node.previous != kEnd) look_up(node.previous, queue);
    }
    size_t kept = 0;
    for (uint32_t at = 0; at != kEnd; at = nodes_[at].next) symbols_[kept++] = nodes_[at].symbol;
    return kept;
  }

 private:
  static constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();
  struct Node {
    int32_t symbol = -1;
    uint32_t next = kEnd, previous = kEnd;
    int32_t rank = kNoRank;  // of the merge with the next symbol
    int32_t result = -1;
  };

  template <typename Queue>
  void look_up(uint32_t at, Queue& queue) {
    Node& node = nodes_[at];
    const Merge* merge =
        node.next == kEnd ? nullptr : bpe_.find_merge(node.symbol, nodes_[node.next].symbol);
    node.rank = merge ? merge->rank : kNoRank;
    if (!merge) return;
    node.result = merge->result;
    queue.push(merge->rank, at);
  }

  const Bpe& bpe_;
  int32_t* symbols_;
  std::vector<Node> nodes_;
};

size_t Bpe::merge_long(int32_t* symbols, size_t n) const {
  LongPiece piece(*this, symbols, n);
  if (n <= kMiddlePiece) return piece.merge(SmallQueue());
  return piece.merge(MergeQueue(static_cast<size_t>(num_ranks_)));
}

}  // namespace pagoda
