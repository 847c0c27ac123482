// LinearPattern: matches an expression by an automaton, one look at each character.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace pagoda {

// A deterministic automaton that finds what a backtracking matcher would: of the matches that start
// first the one that is preferred by the order of alternatives and by greed. Covers the patterns of
// published tokenizers. Immutable after construction; thread-safe.
class LinearPattern {
 public:
  struct Match {
    size_t begin = 0, end = 0;
    bool found = false;
  };

  // Null for an expression outside the syntax of parse_pattern(), one that matches the empty text,
  // and one whose automaton would be large. `expression` is untrusted valid UTF-8.
  static std::unique_ptr<const LinearPattern> create(std::string_view expression);

  // The first match that starts at `from` or behind. Takes one off `steps` for each character it
  // looks at, and gives up, `steps` at 0, when none are left. REQUIRES: valid UTF-8.
  Match find(std::string_view text, size_t from, uint64_t& steps) const;

  size_t num_states() const { return table_.size() / num_classes_; }

 private:
  class Builder;
  static constexpr uint16_t kDead = 0;
  struct Next {
    uint16_t state = kDead;
    bool ends = false;  // a match ends before the character that leads to `state`
  };

  LinearPattern() = default;
  size_t class_at(std::string_view text, size_t& at) const;

  size_t num_classes_ = 1;               // class 0 is the end of the text
  std::array<uint8_t, 128> ascii_ = {};  // characters to classes: those of ASCII,
  std::vector<uint16_t> blocks_;         // and all: from the code point without its last 8 bits
  std::vector<uint8_t> block_classes_;   // to a block of 256
  std::vector<Next> table_;              // by state, then class
};

}  // namespace pagoda
