// Normalizer: each step makes a new text.
#include "text/normalizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr size_t kMaxTextBytes = size_t{256} << 20;
constexpr size_t kMaxContentBytes = 4096;
constexpr size_t kMaxSteps = 64;
constexpr size_t kBudgetPerText = size_t{4} << 20, kBudgetPerByte = 128;
// How large a text may become. No form makes more than 11 bytes of one.
constexpr size_t kGrowthPerText = size_t{1} << 20, kGrowthPerByte = 16;

// Stops somewhere behind `limit` bytes.
std::string replace_text(std::string_view text, std::string_view pattern, std::string_view content,
                         size_t limit) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  size_t from = 0;
  while (!pattern.empty()) {
    const bool at_once = text.substr(from).starts_with(pattern);  // as in a run of spaces
    const size_t found = at_once ? from : text.find(pattern, from);
    if (found == std::string_view::npos || out.size() > limit) break;
    out.append(text.substr(from, found - from)).append(content);
    from = found + pattern.size();
  }
  out.append(text.substr(from));
  return out;
}

Result<std::string> replace_matches(std::string_view text, const Pattern& pattern,
                                    std::string_view content, size_t limit,
                                    PatternScratch& scratch) {
  std::string out;
  size_t from = 0;
  RETURN_IF_ERROR(pattern.for_each(text, scratch, [&](size_t begin, size_t end) {
    if (out.size() > limit) return;
    out.append(text.substr(from, begin - from)).append(content);
    from = end;
  }));
  out.append(text.substr(from));
  return out;
}

}  // namespace

Result<Normalizer> Normalizer::create(std::vector<NormalizerStep> steps) {
  if (steps.size() > kMaxSteps) {
    return invalid_argument(
        fmt::format("tokenizer: {} normalizer steps, at most {}", steps.size(), kMaxSteps));
  }
  Normalizer normalizer;
  for (NormalizerStep& step : steps) {
    for (const std::string& text : {step.pattern, step.content}) {
      if (!is_valid_utf8(text)) return invalid_argument("tokenizer: normalizer text is not UTF-8");
    }
    if (step.content.size() > kMaxContentBytes) {
      return invalid_argument(fmt::format("tokenizer: normalizer content of {} bytes, at most {}",
                                          step.content.size(), kMaxContentBytes));
    }
    Step made{std::move(step), nullptr};
    if (made.step.kind == NormalizerStep::Kind::kReplaceRegex) {
      ASSIGN_OR_RETURN(made.pattern, Pattern::create(made.step.pattern));
    }
    normalizer.steps_.push_back(std::move(made));
  }
  return normalizer;
}

Result<std::string> Normalizer::apply(std::string_view text, PatternScratch& scratch) const {
  size_t budget = kBudgetPerText + kBudgetPerByte * text.size();
  return apply(text, scratch, budget);
}

Result<std::string> Normalizer::apply(std::string_view text, PatternScratch& scratch,
                                      size_t& budget) const {
  using Kind = NormalizerStep::Kind;
  std::string out(text);
  const size_t largest = std::min(kMaxTextBytes, kGrowthPerText + kGrowthPerByte * text.size());
  for (const auto& [step, pattern] : steps_) {
    const size_t limit = std::min(budget, largest);
    switch (step.kind) {
      case Kind::kNfc: out = normalize_unicode(out, NormalForm::kNfc); break;
      case Kind::kNfd: out = normalize_unicode(out, NormalForm::kNfd); break;
      case Kind::kNfkc: out = normalize_unicode(out, NormalForm::kNfkc); break;
      case Kind::kNfkd: out = normalize_unicode(out, NormalForm::kNfkd); break;
      case Kind::kPrepend:
        if (!out.empty()) out.insert(0, step.content);
        break;
      case Kind::kReplace: out = replace_text(out, step.pattern, step.content, limit); break;
      case Kind::kReplaceRegex: {
        ASSIGN_OR_RETURN(out, replace_matches(out, *pattern, step.content, limit, scratch));
        break;
      }
      case Kind::kLowercase: out = to_lower(out); break;
      case Kind::kStrip: out = std::string(strip_white_space(out, step.left, step.right)); break;
      case Kind::kStripAccents: out = without_marks(out); break;
    }
    if (out.size() > limit) {
      return invalid_argument(
          fmt::format("tokenizer: normalisation makes more than {} bytes of the text", limit));
    }
    budget -= out.size();
  }
  return out;
}

}  // namespace pagoda
