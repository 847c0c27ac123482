// PreTokenizer: cuts a text into the pieces that byte-pair merges may not cross.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda {

// Runs a tokenizer's split pattern with PCRE2. Immutable after construction; thread-safe: all match
// state is made per call.
class PreTokenizer {
 public:
  // Compiles `pattern` ("" gives the whole text as one piece). kInvalidArgument for a pattern that
  // PCRE2 refuses. `pattern` is untrusted.
  static Result<std::shared_ptr<const PreTokenizer>> create(std::string pattern,
                                                            bool drop_unmatched);
  ~PreTokenizer();

  // Calls `piece` for each piece of `text` in order; no piece is empty. Pieces point into `text`.
  // Text between two matches is a piece of its own, unless drop_unmatched. kInvalidArgument when a
  // match goes over its budget of steps. REQUIRES: valid UTF-8.
  Result<void> split(std::string_view text,
                     const std::function<void(std::string_view)>& piece) const;

 private:
  struct Impl;
  explicit PreTokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace pagoda
