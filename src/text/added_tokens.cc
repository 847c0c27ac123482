// AddedTokenMatcher: leftmost-longest matching, with the stripping rules of Hugging Face
// tokenizers.
#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "text/unicode.h"

namespace pagoda {
namespace {

size_t character_start_before(std::string_view text, size_t offset) {
  do {
    --offset;
  } while (offset > 0 && (static_cast<uint8_t>(text[offset]) & 0xC0U) == 0x80U);
  return offset;
}

// Where the white space that ends at `end` begins, not before `limit`.
size_t white_space_begin(std::string_view text, size_t limit, size_t end) {
  while (end > limit) {
    const size_t start = character_start_before(text, end);
    size_t offset = start;
    if (start < limit || !is_white_space(next_code_point(text, offset))) break;
    end = start;
  }
  return end;
}

size_t white_space_end(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    size_t offset = begin;
    if (!is_white_space(next_code_point(text, offset))) break;
    begin = offset;
  }
  return begin;
}

// `\w` of Rust's regex crate.
bool is_part_of_word(char32_t c) {
  const bool joiner = c == 0x200C || c == 0x200D;
  const bool enclosed_letter = (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
                               (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  return joiner || enclosed_letter || is_word_character(c);
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0) {
    size_t offset = character_start_before(text, begin);
    if (is_part_of_word(next_code_point(text, offset))) return false;
  }
  return end >= text.size() || !is_part_of_word(next_code_point(text, end));
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), nodes_(1) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    int32_t node = 0;
    for (const char c : tokens_[i].content) {
      const auto byte = static_cast<uint8_t>(c);
      int32_t to = child(node, byte);
      if (to == 0) {
        to = static_cast<int32_t>(nodes_.size());
        nodes_.emplace_back();
        auto& children = nodes_[static_cast<size_t>(node)].children;
        const std::pair<uint8_t, int32_t> entry{byte, to};
        children.insert(std::lower_bound(children.begin(), children.end(), entry), entry);
        if (node == 0) first_[byte] = to;
      }
      node = to;
    }
    int32_t& ending = nodes_[static_cast<size_t>(node)].token;
    if (node != 0 && ending < 0) ending = static_cast<int32_t>(i);
  }
}

int32_t AddedTokenMatcher::child(int32_t node, uint8_t byte) const {
  if (node == 0) return first_[byte];
  const auto& children = nodes_[static_cast<size_t>(node)].children;
  const auto it =
      std::lower_bound(children.begin(), children.end(), std::pair<uint8_t, int32_t>{byte, 0});
  return it != children.end() && it->first == byte ? it->second : 0;
}

int32_t AddedTokenMatcher::longest_prefix(std::string_view text) const {
  int32_t node = 0, found = -1;
  for (const char c : text) {
    node = child(node, static_cast<uint8_t>(c));
    if (node == 0) break;
    const int32_t token = nodes_[static_cast<size_t>(node)].token;
    if (token >= 0) found = token;
  }
  return found;
}

void AddedTokenMatcher::split(std::string_view text, bool parse_special_tokens,
                              std::vector<Section>& out) const {
  size_t pending_from = 0;
  for (size_t at = 0; at < text.size();) {
    if (first_[static_cast<uint8_t>(text[at])] == 0) {
      ++at;
      continue;
    }
    const int32_t found = longest_prefix(text.substr(at));
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    size_t begin = at, end = at + token.content.size();
    at = end;  // the text is used up even when the match is then refused, as the original does
    if (token.special && !parse_special_tokens) continue;
    if (token.single_word && !stands_alone(text, begin, end)) continue;
    if (token.lstrip) begin = white_space_begin(text, std::min(pending_from, begin), begin);
    if (token.rstrip) end = white_space_end(text, end);
    if (pending_from < begin) out.push_back({text.substr(pending_from, begin - pending_from), -1});
    out.push_back({text.substr(begin, end - begin), token.id});
    pending_from = end;
  }
  if (pending_from < text.size()) out.push_back({text.substr(pending_from), -1});
}

}  // namespace pagoda
