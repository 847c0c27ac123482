// Pattern: a tokenizer's regular expression, matched as Oniguruma would: by an automaton where it
// can be, else by PCRE2.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda {

// What one thread needs to match patterns; shared by any number of patterns, one match at a time.
// Not thread-safe; cheap enough to make per text.
class PatternScratch {
 public:
  PatternScratch();
  ~PatternScratch();
  PatternScratch(const PatternScratch&) = delete;
  PatternScratch& operator=(const PatternScratch&) = delete;

 private:
  friend class Pattern;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A compiled expression. Immutable after construction; thread-safe. Expressions are written for
// Oniguruma (Ruby syntax), which Hugging Face tokenizers uses: `^` and `$` are the ends of lines,
// `\s` is White_Space, a class inside a class is a union.
class Pattern {
 public:
  // kInvalidArgument for an expression that PCRE2 refuses, kUnsupported for `&&` in a class.
  // `expression` is untrusted.
  static Result<std::shared_ptr<const Pattern>> create(const std::string& expression);
  // The same, always by PCRE2: what tests hold the automaton against.
  static Result<std::shared_ptr<const Pattern>> create_backtracking(const std::string& expression);
  ~Pattern();

  bool is_linear() const;  // matched by an automaton

  // Calls visit(begin, end) for each match in order, leftmost first; they do not overlap.
  // kInvalidArgument when a search goes over its budget of steps: with an automaton, a number for
  // each byte of the text. REQUIRES: valid UTF-8.
  template <typename Visit>
  Result<void> for_each(std::string_view text, PatternScratch& scratch, Visit&& visit) const {
    const bool exact = needs_exact_code(text);
    uint64_t steps = step_budget(text.size());
    size_t from = 0, pending = 0;
    while (from <= text.size()) {
      ASSIGN_OR_RETURN(const Match match, find(text, from, exact, steps, scratch));
      if (!match.found) break;
      // \K inside a lookaround can move a match backwards; no published pattern does that.
      if (match.begin > match.end || match.begin < pending) {
        return invalid_argument("tokenizer: pattern matches backwards");
      }
      visit(match.begin, match.end);
      pending = from = match.end;
      // An empty match still counts; the search goes on behind the next character.
      if (match.begin == match.end) from = next_character(text, from);
    }
    return {};
  }

 private:
  struct Impl;
  struct Match {
    size_t begin = 0, end = 0;
    bool found = false;
  };
  explicit Pattern(std::unique_ptr<const Impl> impl);
  static Result<std::unique_ptr<Impl>> compile_backtracking(const std::string& expression);
  static uint64_t step_budget(size_t num_bytes);
  bool needs_exact_code(std::string_view text) const;
  // `steps`: what is left for an automaton.
  Result<Match> find(std::string_view text, size_t from, bool exact, uint64_t& steps,
                     PatternScratch& scratch) const;
  static Match find_trailing_space(std::string_view text, size_t from);
  static size_t next_character(std::string_view text, size_t offset);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace pagoda
