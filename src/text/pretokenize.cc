// PreTokenizer: each piece goes through all steps before the next one is cut.
#include "text/pretokenize.h"

#include <fmt/core.h>

#include <utility>

#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

using Kind = SplitStep::Kind;

constexpr size_t kMaxSteps = 32;  // also how deep run() nests

// Turns matches and the gaps between them into pieces, as one SplitBehavior says.
template <typename Piece>
class Splitter {
 public:
  Splitter(const SplitStep& step, std::string_view text, Piece piece)
      : behavior_(step.behavior), invert_(step.invert), text_(text), piece_(std::move(piece)) {}

  // REQUIRES: calls in order, begin not before the last end.
  void match(size_t begin, size_t end) {
    if (begin > covered_) add(covered_, begin, false);
    add(begin, end, true);
    covered_ = end;
  }
  void finish() {
    if (covered_ < text_.size()) add(covered_, text_.size(), false);
    flush();
  }

 private:
  void add(size_t begin, size_t end, bool matched) {
    matched = matched != invert_;
    bool joins = false;
    switch (behavior_) {
      case SplitBehavior::kIsolated: break;
      case SplitBehavior::kRemoved:
        if (matched) return;
        break;
      case SplitBehavior::kContiguous: joins = matched == last_matched_; break;
      case SplitBehavior::kMergedWithPrevious: joins = matched && !last_matched_; break;
      case SplitBehavior::kMergedWithNext: joins = !matched && last_matched_; break;
    }
    if (!joins || !pending_) {
      flush();
      begin_ = begin;
    }
    end_ = end;
    pending_ = true;
    last_matched_ = matched;
  }
  void flush() {
    if (pending_ && begin_ < end_) piece_(text_.substr(begin_, end_ - begin_));
    pending_ = false;
  }

  SplitBehavior behavior_;
  bool invert_;
  std::string_view text_;
  Piece piece_;
  size_t covered_ = 0, begin_ = 0, end_ = 0;
  bool pending_ = false;
  bool last_matched_ = false;
};

bool is_cut(Kind kind, char32_t c) {
  switch (kind) {
    case Kind::kNumeric: return is_numeric(c);
    case Kind::kPunctuation: return is_punctuation(c);
    default: return is_white_space(c);
  }
}

}  // namespace

struct PreTokenizer::Run {
  PatternScratch& scratch;
  const Emit& emit;
};

Result<PreTokenizer> PreTokenizer::create(std::vector<SplitStep> steps) {
  if (steps.size() > kMaxSteps) {
    return invalid_argument(
        fmt::format("tokenizer: {} split steps, at most {}", steps.size(), kMaxSteps));
  }
  if (!steps.empty() && steps.back().kind == Kind::kByteAlphabet) steps.pop_back();
  PreTokenizer made;
  for (SplitStep& step : steps) {
    if (!is_valid_utf8(step.pattern)) {
      return invalid_argument("tokenizer: split pattern is not UTF-8");
    }
    const bool needs_text =
        step.kind == Kind::kText || step.kind == Kind::kMetaspace || step.kind == Kind::kPrefix;
    if (needs_text && step.pattern.empty()) {
      return invalid_argument("tokenizer: a split step without its text");
    }
    made.spelled_ = made.spelled_ || step.kind == Kind::kByteAlphabet;
    Step entry{std::move(step), nullptr};
    if (entry.step.kind == Kind::kRegex) {
      ASSIGN_OR_RETURN(entry.pattern, Pattern::create(entry.step.pattern));
    }
    made.steps_.push_back(std::move(entry));
  }
  return made;
}

Result<void> PreTokenizer::split(std::string_view text, bool at_start, PatternScratch& scratch,
                                 const Emit& piece) const {
  if (!spelled_) return run({scratch, piece}, 0, text, at_start);
  std::string bytes;
  const Emit as_bytes = [&](std::string_view spelled) {
    from_byte_alphabet(spelled, bytes);
    piece(bytes);
  };
  return run({scratch, as_bytes}, 0, text, at_start);
}

// Sends one piece through the steps from `at` on.
Result<void> PreTokenizer::run(const Run& run_state, size_t at, std::string_view text,
                               bool at_start) const {
  if (text.empty()) return {};
  if (at == steps_.size()) {
    run_state.emit(text);
    return {};
  }
  const SplitStep& step = steps_[at].step;
  std::string changed;
  switch (step.kind) {
    case Kind::kPrefix:
      if (text.starts_with(step.pattern)) return run(run_state, at + 1, text, at_start);
      changed.reserve(step.pattern.size() + text.size());
      changed.append(step.pattern).append(text);
      return run(run_state, at + 1, changed, at_start);
    case Kind::kByteAlphabet:
      to_byte_alphabet(text, changed);
      return run(run_state, at + 1, changed, at_start);
    case Kind::kMetaspace: return metaspace(run_state, at, text, at_start);
    default: return cut(run_state, at, text, at_start);
  }
}

Result<void> PreTokenizer::cut(const Run& run_state, size_t at, std::string_view text,
                               bool at_start) const {
  const auto& [step, pattern] = steps_[at];
  Result<void> status;
  const auto piece = [&](std::string_view part) {
    if (!status.ok()) return;
    if (at + 1 == steps_.size()) {
      run_state.emit(part);
    } else {
      status = run(run_state, at + 1, part, at_start && part.data() == text.data());
    }
  };
  Splitter<decltype(piece)> splitter(step, text, piece);
  if (step.kind == Kind::kRegex) {
    RETURN_IF_ERROR(pattern->for_each(
        text, run_state.scratch, [&](size_t begin, size_t end) { splitter.match(begin, end); }));
  } else if (step.kind == Kind::kText) {
    for (size_t found = text.find(step.pattern); found != std::string_view::npos;
         found = text.find(step.pattern, found + step.pattern.size())) {
      splitter.match(found, found + step.pattern.size());
    }
  } else {
    for (size_t offset = 0; offset < text.size();) {
      const size_t start = offset;
      if (is_cut(step.kind, next_code_point(text, offset))) splitter.match(start, offset);
    }
  }
  splitter.finish();
  return status;
}

Result<void> PreTokenizer::metaspace(const Run& run_state, size_t at, std::string_view text,
                                     bool at_start) const {
  const SplitStep& step = steps_[at].step;
  std::string changed;
  changed.reserve(text.size() + text.size() / 2 + step.pattern.size());
  const bool prepends = step.prepend == SplitStep::Prepend::kAlways ||
                        (step.prepend == SplitStep::Prepend::kFirst && at_start);
  if (prepends && !text.starts_with(' ') && !text.starts_with(step.pattern)) {
    changed += step.pattern;
  }
  for (const char c : text) {
    if (c == ' ') {
      changed += step.pattern;
    } else {
      changed.push_back(c);
    }
  }
  if (!step.split) return run(run_state, at + 1, changed, at_start);
  Result<void> status;
  const std::string_view whole = changed;
  const auto piece = [&](std::string_view part) {
    if (!status.ok()) return;
    status = run(run_state, at + 1, part, at_start && part.data() == whole.data());
  };
  SplitStep cut_step;
  cut_step.behavior = SplitBehavior::kMergedWithNext;
  Splitter<decltype(piece)> splitter(cut_step, whole, piece);
  for (size_t found = whole.find(step.pattern); found != std::string_view::npos;
       found = whole.find(step.pattern, found + step.pattern.size())) {
    splitter.match(found, found + step.pattern.size());
  }
  splitter.finish();
  return status;
}

}  // namespace pagoda
