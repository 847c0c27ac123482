// Prompt lookup: a backward scan for the last token, then the length of the match before it.
#include "engine/prompt_lookup.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "base/check.h"

namespace pagoda {

namespace {

constexpr int32_t kMostMisses = 6;  // a pause is 64 steps at most

// Tokens in which the text up to `end` agrees with the end of the whole, at most kMaxMatch.
int32_t match_length(std::span<const TokenId> tokens, size_t end) {
  const size_t most = std::min(end, static_cast<size_t>(kMaxMatch));
  size_t n = 0;
  while (n < most && tokens[end - 1 - n] == tokens[tokens.size() - 1 - n]) ++n;
  return static_cast<int32_t>(n);
}

}  // namespace

int32_t append_drafts(std::vector<TokenId>& tokens, int32_t max_num_drafts) {
  if (max_num_drafts < 1 || tokens.size() <= static_cast<size_t>(kMinMatch)) return 0;
  const TokenId last = tokens.back();
  int32_t longest = kMinMatch - 1;
  size_t next = 0;  // of the best place: what followed it
  for (size_t end = tokens.size() - 1; end >= static_cast<size_t>(kMinMatch); --end) {
    if (tokens[end - 1] != last) continue;
    const int32_t length = match_length(tokens, end);
    if (length <= longest) continue;
    longest = length;
    next = end;
    if (length == kMaxMatch) break;
  }
  if (next == 0) return 0;
  // May run into what it has just appended.
  for (int32_t i = 0; i < max_num_drafts; ++i) {
    tokens.push_back(TokenId{tokens[next + static_cast<size_t>(i)]});
  }
  return max_num_drafts;
}

int32_t DraftPacing::next_num_drafts(int32_t max_num_drafts) {
  if (num_steps_to_pause_ > 0) {
    --num_steps_to_pause_;
    return 0;
  }
  return std::min(num_drafts_, max_num_drafts);
}

void DraftPacing::note(int32_t num_drafts, int32_t num_accepted) {
  CHECK(num_drafts >= 1 && num_accepted >= 0 && num_accepted <= num_drafts);
  constexpr int32_t kMostDrafts = 64;
  if (num_accepted == num_drafts) {
    num_drafts_ = std::min(std::max(num_drafts_, 2 * num_drafts), kMostDrafts);
  } else {
    num_drafts_ = std::max(num_accepted, 1);
  }
  if (num_accepted > 0) {
    // One success among many misses may be chance.
    num_misses_ = std::max(num_misses_ - 2, 0);
    return;
  }
  num_misses_ = std::min(num_misses_ + 1, kMostMisses);
  num_steps_to_pause_ = 1 << num_misses_;
}

}  // namespace pagoda
