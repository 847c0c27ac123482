// Pattern on LinearPattern, and on PCRE2 with its just-in-time compiler.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <fmt/core.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>
#include <vector>

#include "text/linear_pattern.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr size_t kMaxPatternBytes = size_t{16} << 10;
constexpr uint32_t kMaxNesting = 64;
// Above what the published patterns use for one match (a step for each byte of the longest run of
// spaces that a request can hold), low enough that a hostile pattern ends
// within about a second.
constexpr uint32_t kMatchLimit = 24'000'000;
// PCRE2 makes a copy of what is repeated a number of times for each of them, and its compiler takes
// about 10 microseconds for a copy of one character.
constexpr size_t kMaxExpandedBytes = size_t{32} << 10;
// The patterns of published tokenizers look at a character three times at most.
constexpr uint64_t kStepsPerByte = 64;
constexpr uint64_t kStepsPerText = 1'000'000;
constexpr size_t kJitStackStartBytes = size_t{32} << 10;
constexpr size_t kJitStackMaxBytes = size_t{1} << 20;
constexpr std::string_view kMongolianVowelSeparator = "\xE1\xA0\x8E";  // U+180E

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct FreeJitStack {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> text = {};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

Result<Code> compile(std::string_view pattern) {
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(
      pcre2_compile_context_create(nullptr));
  if (!context) return Error{ErrorCode::kInternal, "pattern: out of memory"};
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                          &offset, context.get()));
  if (!code) {
    return invalid_argument(
        fmt::format("tokenizer: pattern: {} at byte {}", pcre2_message(error), offset));
  }
  // Without a compiler for this machine PCRE2 interprets: slower, same result.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

// How long an expression becomes when what is repeated a number of times is written so often; at
// most a little more than `limit`.
size_t expanded_bytes(std::string_view pattern, size_t limit) {
  std::vector<size_t> outer;   // bytes before each open group
  size_t bytes = 0, last = 0;  // so far in this group, of its last part
  const auto add = [&](size_t count) {
    last = std::min(count, limit);
    bytes = std::min(bytes + last, limit);
  };
  for (size_t at = 0; at < pattern.size();) {
    const char c = pattern[at++];
    if (c == '\\') {
      add(2);
      at += at < pattern.size() ? 1 : 0;
    } else if (c == '[') {
      const size_t begin = at;
      for (at += at < pattern.size() ? 1 : 0; at < pattern.size() && pattern[at] != ']'; ++at) {
        if (pattern[at] == '\\') ++at;
      }
      add(std::min(at, pattern.size()) - begin + 1);
    } else if (c == '(') {
      outer.push_back(bytes);
      bytes = 1;
    } else if (c == ')' && !outer.empty()) {
      const size_t group = bytes;
      bytes = outer.back();
      outer.pop_back();
      add(group);
    } else if (c == '{') {
      size_t count = 0;
      const char* end = pattern.data() + pattern.size();
      const char* digits = pattern.data() + at;
      for (const char* next = digits;
           next < end && (*next == ',' || (*next >= '0' && *next <= '9')); ++next) {
        size_t number = 0;
        if (*next != ',') next = std::from_chars(next, end, number).ptr - 1;
        count = std::max(count, std::min(number, limit));
      }
      if (count > 1) bytes = std::min(bytes + last * (count - 1), limit);
      if (count > 1) last = std::min(last * count, limit);
    } else {
      add(1);
    }
  }
  for (const size_t before : outer) bytes = std::min(bytes + before, limit);
  return bytes;
}

// Writes an Oniguruma expression in PCRE2's syntax.
class Translator {
 public:
  // `\s` of PCRE2 with UCP also matches U+180E, which is no White_Space since Unicode 6.3. The
  // exact property is about half as fast, so it is for texts that hold that character.
  Translator(std::string_view pattern, bool exact_white_space)
      : pattern_(pattern), exact_white_space_(exact_white_space) {}

  Result<std::string> translate() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape();
      } else if (c == '[') {
        RETURN_IF_ERROR(character_class());
      } else {
        out_.push_back(c);
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  void escape() {
    ++at_;
    if (at_ == pattern_.size()) {
      out_.push_back('\\');
      return;
    }
    const char c = pattern_[at_++];
    if (exact_white_space_ && c == 's') {
      out_ += "\\p{White_Space}";
    } else if (exact_white_space_ && c == 'S') {
      out_ += "\\P{White_Space}";
    } else if (c == 'w' || (c == 'W' && depth_ == 0)) {
      // PCRE2's leaves out marks, and the numbers of Latin-1 that Oniguruma has outside of classes.
      constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
      constexpr std::string_view kNumbers = "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";
      if (depth_ > 0) {
        out_ += kWord;
      } else {
        out_.append(c == 'w' ? "[" : "[^").append(kWord).append(kNumbers).append("]");
      }
    } else if (c == 'h') {
      out_ += depth_ > 0 ? "0-9a-fA-F" : "[0-9a-fA-F]";
    } else {
      out_.push_back('\\');
      out_.push_back(c);
    }
  }

  bool next_is(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  // A class with what is inside: "[a[bc]d]" is "[abcd]".
  Result<void> character_class() {
    out_.push_back(pattern_[at_++]);
    depth_ = 1;
    bool first = true;
    while (at_ < pattern_.size() && depth_ > 0) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape();
      } else if (next_is("&&")) {
        return Error{ErrorCode::kUnsupported, "tokenizer: pattern: && in a class"};
      } else if (next_is("[:")) {
        const size_t end = pattern_.find(":]", at_);
        if (end == std::string_view::npos) break;
        out_ += pattern_.substr(at_, end + 2 - at_);
        at_ = end + 2;
      } else if (c == '[') {
        if (next_is("[^")) {
          return Error{ErrorCode::kUnsupported, "tokenizer: pattern: [^ inside a class"};
        }
        ++depth_;
        ++at_;
      } else if (c == ']' && !(first && depth_ == 1)) {
        if (--depth_ == 0) out_.push_back(c);
        ++at_;
      } else {
        // The first ] of a class stands for itself in both syntaxes.
        first = first && c == '^';
        out_.push_back(c);
        ++at_;
        continue;
      }
      first = false;
    }
    depth_ = 0;
    return {};
  }

  std::string_view pattern_;
  bool exact_white_space_;
  std::string out_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

struct PatternScratch::Impl {
  std::unique_ptr<pcre2_match_data, FreeMatchData> match{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, FreeMatchContext> context{
      pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, FreeJitStack> stack{
      pcre2_jit_stack_create(kJitStackStartBytes, kJitStackMaxBytes, nullptr)};
};

PatternScratch::PatternScratch() : impl_(std::make_unique<Impl>()) {
  if (!impl_->context) return;
  pcre2_set_match_limit(impl_->context.get(), kMatchLimit);
  if (impl_->stack) pcre2_jit_stack_assign(impl_->context.get(), nullptr, impl_->stack.get());
}
PatternScratch::~PatternScratch() = default;

struct Pattern::Impl {
  Code code;
  Code exact_code;                              // for texts with U+180E
  std::unique_ptr<const LinearPattern> linear;  // instead of `code`
  bool trailing_space = false;                  // the expression is `\s+$`
};

Pattern::Pattern(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {
}
Pattern::~Pattern() = default;

Result<std::unique_ptr<Pattern::Impl>> Pattern::compile_backtracking(
    const std::string& expression) {
  if (expression.size() > kMaxPatternBytes) {
    return invalid_argument(fmt::format("tokenizer: pattern: {} bytes, at most {}",
                                        expression.size(), kMaxPatternBytes));
  }
  if (expanded_bytes(expression, kMaxExpandedBytes + 1) > kMaxExpandedBytes) {
    return invalid_argument(
        fmt::format("tokenizer: pattern: over {} bytes when what it repeats is written out",
                    kMaxExpandedBytes));
  }
  auto impl = std::make_unique<Impl>();
  ASSIGN_OR_RETURN(const std::string plain, Translator(expression, false).translate());
  ASSIGN_OR_RETURN(const std::string exact, Translator(expression, true).translate());
  ASSIGN_OR_RETURN(impl->code, compile(plain));
  if (exact != plain) {
    ASSIGN_OR_RETURN(impl->exact_code, compile(exact));
  }
  return impl;
}

Result<std::shared_ptr<const Pattern>> Pattern::create_backtracking(const std::string& expression) {
  ASSIGN_OR_RETURN(std::unique_ptr<const Impl> impl, compile_backtracking(expression));
  return std::shared_ptr<const Pattern>(new Pattern(std::move(impl)));
}

Result<std::shared_ptr<const Pattern>> Pattern::create(const std::string& expression) {
  auto impl = std::make_unique<Impl>();
  impl->trailing_space = expression == "\\s+$";
  if (expression.size() <= kMaxPatternBytes) impl->linear = LinearPattern::create(expression);
  if (!impl->linear && !impl->trailing_space) {
    ASSIGN_OR_RETURN(impl, compile_backtracking(expression));
  }
  return std::shared_ptr<const Pattern>(new Pattern(std::move(impl)));
}

bool Pattern::is_linear() const {
  return impl_->linear || impl_->trailing_space;
}

uint64_t Pattern::step_budget(size_t num_bytes) {
  return kStepsPerText + kStepsPerByte * num_bytes;
}

size_t Pattern::next_character(std::string_view text, size_t offset) {
  if (offset >= text.size()) return offset + 1;
  next_code_point(text, offset);
  return offset;
}

// `\s+$` by hand: a backtracking matcher needs quadratic time for a long run before a word.
Pattern::Match Pattern::find_trailing_space(std::string_view text, size_t from) {
  size_t begin = from, last_line_end = 0;
  bool in_run = false;
  for (size_t at = from; at < text.size();) {
    const size_t start = at;
    if (is_white_space(next_code_point(text, at))) {
      if (!in_run) {
        begin = last_line_end = start;
        in_run = true;
      }
      if (text[start] == '\n') last_line_end = start;
    } else {
      if (in_run && last_line_end > begin) return {begin, last_line_end, true};
      in_run = false;
    }
  }
  return in_run ? Match{begin, text.size(), true} : Match{};
}

bool Pattern::needs_exact_code(std::string_view text) const {
  return impl_->exact_code && text.find(kMongolianVowelSeparator) != std::string_view::npos;
}

Result<Pattern::Match> Pattern::find(std::string_view text, size_t from, bool exact,
                                     uint64_t& steps, PatternScratch& scratch) const {
  if (impl_->linear) {
    const LinearPattern::Match match = impl_->linear->find(text, from, steps);
    if (steps == 0) {
      return invalid_argument(
          fmt::format("text cannot be split at byte {}: its pattern takes too many steps", from));
    }
    return Match{match.begin, match.end, match.found};
  }
  if (impl_->trailing_space) return find_trailing_space(text, from);
  pcre2_match_data* match = scratch.impl_->match.get();
  pcre2_match_context* context = scratch.impl_->context.get();
  if (match == nullptr || context == nullptr) {
    return Error{ErrorCode::kInternal, "pattern: out of memory"};
  }
  const pcre2_code* code = exact ? impl_->exact_code.get() : impl_->code.get();
  const int rc = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                             PCRE2_NO_UTF_CHECK, match, context);
  if (rc == PCRE2_ERROR_NOMATCH) return Match{};
  if (rc < 0) {
    return invalid_argument(
        fmt::format("text cannot be split at byte {}: {}", from, pcre2_message(rc)));
  }
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match);
  return Match{bounds[0], bounds[1], true};
}

}  // namespace pagoda
