// PatternParser: reads the expressions that an automaton can match.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "text/character_set.h"

namespace pagoda {

// A part of an expression.
struct PatternNode {
  enum class Kind {
    kSet,          // one character of sets[set]
    kSequence,     // the children one after the other
    kAlternation,  // the first child that leads to a match
    kRepeat,       // the one child, min to max times
    kNextIs,       // what follows is a character of sets[set]; at the end of the text it is not
    kNextIsNot,
  };
  static constexpr int kForever = -1;
  Kind kind = Kind::kSequence;
  size_t set = 0;
  int min = 0, max = 0;  // max: kForever for no limit
  bool lazy = false;     // as few times as possible
  std::vector<PatternNode> children = {};
};

struct ParsedPattern {
  PatternNode root;
  std::vector<CharacterSet> sets;
};

// Reads an expression in Oniguruma's syntax. Null for one that has anything but characters,
// classes, groups, alternatives, repetitions, and looking ahead at one character; and for what is
// malformed. `expression` is untrusted valid UTF-8.
std::unique_ptr<ParsedPattern> parse_pattern(std::string_view expression);

}  // namespace pagoda
