// CharacterSet: the characters that one place of a pattern accepts.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace pagoda {

// A set of code points, as ranges.
class CharacterSet {
 public:
  struct Range {
    char32_t first = 0, last = 0;
    bool operator==(const Range&) const = default;
  };

  CharacterSet() = default;
  // In any order; they may overlap.
  explicit CharacterSet(std::vector<Range> ranges);

  void add(char32_t first, char32_t last);
  void add(const CharacterSet& other);
  // All code points up to U+10FFFF that are not in this set.
  CharacterSet complement() const;
  // Sorted, apart from each other by at least one code point.
  const std::vector<Range>& ranges() const { return ranges_; }
  bool contains(char32_t c) const;
  bool operator==(const CharacterSet&) const = default;

 private:
  void tidy();
  std::vector<Range> ranges_;
};

// The characters of a general category ("Lu") or a group of them ("L"), by Unicode 16, as the
// Oniguruma of Hugging Face tokenizers has it. None for another name.
std::optional<CharacterSet> category_set(std::string_view name);
// `\s`: White_Space.
const CharacterSet& white_space_set();
// `\w` of Oniguruma, which inside a class leaves out the numbers of Latin-1.
const CharacterSet& word_set(bool in_class);

}  // namespace pagoda
