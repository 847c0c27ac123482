// Bpe: a scan for short pieces, a priority queue for long ones.
#include "text/bpe.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <limits>
#include <queue>

#include "base/check.h"

namespace pagoda {
namespace {

// Pieces up to here are merged by repeated scans: n^2 steps over one or two cache lines cost less
// than a queue. Words are rarely longer than 16 bytes.
constexpr size_t kShortPiece = 48;
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

uint64_t pair_key(int32_t left, int32_t right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
}

size_t table_size(size_t num_entries) {
  return std::bit_ceil(std::max<size_t>(16, num_entries * 2));
}

}  // namespace

TokenIndex::TokenIndex(const std::vector<std::string>& tokens)
    : tokens_(&tokens), slots_(table_size(tokens.size())) {
  const size_t mask = slots_.size() - 1;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty()) continue;
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

Result<Bpe> Bpe::create(const std::vector<std::string>& tokens,
                        const std::vector<std::pair<int32_t, int32_t>>& merges,
                        bool ignore_merges) {
  Bpe bpe;
  bpe.ignore_merges_ = ignore_merges;
  bpe.index_ = TokenIndex(tokens);
  for (int32_t byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    bpe.byte_ids_[byte] = bpe.index_.find(std::string_view(&c, 1));
  }
  if (merges.size() > static_cast<size_t>(kNoRank)) {
    return invalid_argument(fmt::format("tokenizer: {} merges", merges.size()));
  }
  bpe.merges_.resize(table_size(merges.size()));
  int32_t rank = 0;
  for (const auto& [left, right] : merges) {
    for (const int32_t id : {left, right}) {
      if (id < 0 || static_cast<size_t>(id) >= tokens.size() ||
          tokens[static_cast<size_t>(id)].empty()) {
        return invalid_argument(
            fmt::format("tokenizer: merge {} uses id {}, not a token", rank, id));
      }
    }
    const int32_t result = bpe.index_.find_joined(tokens[static_cast<size_t>(left)],
                                                  tokens[static_cast<size_t>(right)]);
    if (result < 0) {
      return invalid_argument(
          fmt::format("tokenizer: merge {} of ids {} and {} makes no token", rank, left, right));
    }
    bpe.insert_merge({pair_key(left, right), rank++, result});
  }
  return bpe;
}

void Bpe::insert_merge(const Merge& merge) {
  const size_t mask = merges_.size() - 1;
  size_t at = mix(merge.pair) & mask;
  while (merges_[at].result >= 0 && merges_[at].pair != merge.pair) at = (at + 1) & mask;
  merges_[at] = merge;
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const uint64_t pair = pair_key(left, right);
  const size_t mask = merges_.size() - 1;
  for (size_t at = mix(pair) & mask; merges_[at].result >= 0; at = (at + 1) & mask) {
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
  std::vector<int32_t> symbols;
  symbols.reserve(piece.size());
  for (const char c : piece) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    if (id >= 0) symbols.push_back(id);
  }
  if (symbols.size() <= kShortPiece) {
    encode_short(symbols);
  } else {
    encode_long(symbols);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void Bpe::encode_short(std::vector<int32_t>& symbols) const {
  int32_t ranks[kShortPiece];    // of the pair that starts at i
  int32_t results[kShortPiece];  // what that pair becomes
  size_t n = symbols.size();
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
    std::copy(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 2,
              symbols.begin() + static_cast<std::ptrdiff_t>(n),
              symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    std::copy(ranks + best + 2, ranks + n, ranks + best + 1);
    std::copy(results + best + 2, results + n, results + best + 1);
    --n;
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  symbols.resize(n);
}

void Bpe::encode_long(std::vector<int32_t>& symbols) const {
  // The symbols as a doubly linked list, and a queue of candidate merges ordered by rank, then by
  // place. A candidate is stale when its left symbol has died or no longer forms that pair.
  const size_t n = symbols.size();
  CHECK(n < std::numeric_limits<uint32_t>::max());
  constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();
  std::vector<uint32_t> next(n), previous(n);
  for (uint32_t i = 0; i < n; ++i) {
    next[i] = i + 1 < n ? i + 1 : kEnd;
    previous[i] = i > 0 ? i - 1 : kEnd;
  }
  std::vector<uint64_t> candidates;  // rank << 32 | place
  candidates.reserve(n);
  const auto candidate_at = [&](uint32_t i) -> uint64_t {
    const Merge* merge = next[i] == kEnd ? nullptr : find_merge(symbols[i], symbols[next[i]]);
    return merge ? (static_cast<uint64_t>(merge->rank) << 32) | i : ~uint64_t{0};
  };
  for (uint32_t i = 0; i < n; ++i) {
    const uint64_t candidate = candidate_at(i);
    if (candidate != ~uint64_t{0}) candidates.push_back(candidate);
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> queue(std::greater<>(),
                                                                             std::move(candidates));
  while (!queue.empty()) {
    const uint64_t top = queue.top();
    queue.pop();
    const auto at = static_cast<uint32_t>(top);
    if (symbols[at] < 0 || candidate_at(at) != top) continue;
    const uint32_t dead = next[at];
    symbols[at] = find_merge(symbols[at], symbols[dead])->result;
    symbols[dead] = -1;
    next[at] = next[dead];
    if (next[at] != kEnd) previous[next[at]] = at;
    if (const uint64_t candidate = candidate_at(at); candidate != ~uint64_t{0}) {
      queue.push(candidate);
    }
    if (previous[at] != kEnd) {
      const uint64_t candidate = candidate_at(previous[at]);
      if (candidate != ~uint64_t{0}) queue.push(candidate);
    }
  }
  std::erase(symbols, -1);
}

}  // namespace pagoda
