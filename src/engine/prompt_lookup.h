// Prompt lookup: guesses at the next tokens of a text from what stands earlier in it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/types.h"

namespace pagoda {

// Prompt lookup decoding (Saxena, 2023): appends to `tokens` what followed the latest earlier place
// that ends like them, `max_num_drafts` tokens, and returns how many: all of them, or 0 where no
// place agrees in the last kMinMatch tokens. Of several places the one with the longest match
// counts, up to kMaxMatch, and of those alike the latest; a text that goes round in circles is
// taken to go on so. O(tokens).
inline constexpr int32_t kMinMatch = 2;
inline constexpr int32_t kMaxMatch = 8;
int32_t append_drafts(std::vector<TokenId>& tokens, int32_t max_num_drafts);

// How many drafts a sequence is worth, by how its earlier ones fared: twice as many after all were
// right, fewer after some were wrong, and after none was right a pause that doubles each time and
// shrinks to a quarter with a success, so that text which only seems to repeat itself costs next to
// nothing. Value type.
class DraftPacing {
 public:
  // To be called once for each step that could have drafts. 0: none in this one.
  int32_t next_num_drafts(int32_t max_num_drafts);
  // REQUIRES: 0 <= num_accepted <= num_drafts, num_drafts >= 1.
  void note(int32_t num_drafts, int32_t num_accepted);

 private:
  int32_t num_drafts_ = 3;
  int32_t num_misses_ = 0;  // in a row
  int32_t num_steps_to_pause_ = 0;
};

}  // namespace pagoda
