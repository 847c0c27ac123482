// Four words of four rows at a time: the transposition that every packed layout is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pagoda::cpu {

// Rows that are packed together: what one vector of every machine holds. Wider ones gain nothing,
// as memory is the limit.
inline constexpr int64_t kTileRows = 4;
using WordVector = uint32_t __attribute__((vector_size(16)));

// From and to any address.
inline WordVector load_words(const void* from) {
  WordVector words;
  std::memcpy(&words, from, sizeof(words));
  return words;
}
inline void store_words(std::byte* to, const WordVector& words) {
  std::memcpy(to, &words, sizeof(words));
}

// Word j of vector i becomes word i of vector j.
inline void transpose_words(WordVector (&tile)[kTileRows]) {
  const WordVector ab_low = __builtin_shufflevector(tile[0], tile[1], 0, 4, 1, 5);
  const WordVector ab_high = __builtin_shufflevector(tile[0], tile[1], 2, 6, 3, 7);
  const WordVector cd_low = __builtin_shufflevector(tile[2], tile[3], 0, 4, 1, 5);
  const WordVector cd_high = __builtin_shufflevector(tile[2], tile[3], 2, 6, 3, 7);
  tile[0] = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
  tile[1] = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
  tile[2] = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  tile[3] = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

}  // namespace pagoda::cpu
