// PreTokenizer: cuts a text into the pieces that byte-pair merges may not cross.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/pattern.h"
#include "text/tokenizer.h"

namespace pagoda {

// A sequence of SplitSteps. Immutable after construction; thread-safe.
class PreTokenizer {
 public:
  using Emit = std::function<void(std::string_view)>;

  PreTokenizer() = default;
  // No steps give the whole text as one piece. A kByteAlphabet step at the end is left out: the
  // pieces are wanted as bytes. kInvalidArgument for a pattern that cannot be compiled.
  static Result<PreTokenizer> create(std::vector<SplitStep> steps);

  // Calls `piece` for each piece of `text` in order; no piece is empty, and none lives longer than
  // its call. `at_start`: this is the start of the whole text (SplitStep::Prepend::kFirst).
  // kInvalidArgument when a match goes over its budget of steps. REQUIRES: valid UTF-8.
  Result<void> split(std::string_view text, bool at_start, PatternScratch& scratch,
                     const Emit& piece) const;

 private:
  struct Step {
    SplitStep step;
    std::shared_ptr<const Pattern> pattern;  // kRegex
  };
  struct Run;
  Result<void> run(const Run& run, size_t step, std::string_view text, bool at_start) const;
  Result<void> cut(const Run& run, size_t step, std::string_view text, bool at_start) const;
  Result<void> metaspace(const Run& run, size_t step, std::string_view text, bool at_start) const;

  std::vector<Step> steps_;
  bool spelled_ = false;  // a step works on the byte alphabet: pieces are turned back into bytes
};

}  // namespace pagoda
