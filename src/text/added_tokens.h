// AddedTokenMatcher: finds added tokens such as "<|eot_id|>" in a text.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace pagoda {

// A trie over the contents of added tokens. Immutable after construction; thread-safe.
class AddedTokenMatcher {
 public:
  using AddedToken = TokenizerData::AddedToken;

  AddedTokenMatcher() : nodes_(1) {}
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  // A stretch of the text: an added token (id >= 0), or ordinary text (id == -1).
  struct Section {
    std::string_view text;
    int32_t id = -1;
  };
  // Appends the sections of `text` in order; none is empty. Matches are leftmost, then longest, and
  // do not overlap. A special token is left as ordinary text unless `parse_special_tokens`.
  // O(text bytes x longest content). REQUIRES: valid UTF-8.
  void split(std::string_view text, bool parse_special_tokens, std::vector<Section>& out) const;

  bool empty() const { return tokens_.empty(); }

 private:
  struct Node {
    std::vector<std::pair<uint8_t, int32_t>> children;  // sorted by byte
    int32_t token = -1;                                 // index in tokens_ that ends here
  };
  int32_t child(int32_t node, uint8_t byte) const;
  // Index in tokens_ of the longest content that `text` starts with, or -1.
  int32_t longest_prefix(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  int32_t first_[256] = {};  // children of the root; 0 for none
};

}  // namespace pagoda
