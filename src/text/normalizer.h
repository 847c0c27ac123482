// Normalizer: what a tokenizer does to a text before it cuts it into pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/pattern.h"
#include "text/tokenizer.h"

namespace pagoda {

// A sequence of NormalizerSteps. Immutable after construction; thread-safe.
class Normalizer {
 public:
  Normalizer() = default;
  // kInvalidArgument for a pattern that cannot be compiled or content that is not UTF-8.
  static Result<Normalizer> create(std::vector<NormalizerStep> steps);

  bool empty() const { return steps_.empty(); }
  // The text after all steps. Takes what each of them makes off `budget`; kInvalidArgument when
  // that does not suffice, a step would make the text larger than 1 MiB and 16 times what it was,
  // or than 256 MiB, or a pattern goes over its own budget. REQUIRES: valid UTF-8.
  Result<std::string> apply(std::string_view text, PatternScratch& scratch, size_t& budget) const;
  // The same with a budget that no published tokenizer comes near: 4 MiB and 128 times the text.
  Result<std::string> apply(std::string_view text, PatternScratch& scratch) const;

 private:
  struct Step {
    NormalizerStep step;
    std::shared_ptr<const Pattern> pattern;  // kReplaceRegex
  };
  std::vector<Step> steps_;
};

}  // namespace pagoda
