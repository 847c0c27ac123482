// PreTokenizer on PCRE2 with its just-in-time compiler.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretokenize.h"

#include <fmt/core.h>
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <utility>

#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr size_t kMaxPatternBytes = size_t{16} << 10;
constexpr uint32_t kMaxNesting = 64;
// Far above what the published patterns use for one match, low enough that a hostile pattern ends
// within about a second.
constexpr uint32_t kMatchLimit = 10'000'000;
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
  if (!context) return Error{ErrorCode::kInternal, "split pattern: out of memory"};
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                          context.get()));
  if (!code) {
    return invalid_argument(
        fmt::format("tokenizer: split pattern: {} at byte {}", pcre2_message(error), offset));
  }
  // Without a compiler for this machine PCRE2 interprets: slower, same result.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

// `\s` of PCRE2 with UCP also matches U+180E, which is no White_Space since Unicode 6.3. The exact
// property is about half as fast, so it is used only for texts that hold that character.
std::string with_exact_white_space(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      out.push_back(pattern[i]);
      continue;
    }
    const char escaped = pattern[++i];
    if (escaped == 's') {
      out += "\\p{White_Space}";
    } else if (escaped == 'S') {
      out += "\\P{White_Space}";
    } else {
      out.push_back('\\');
      out.push_back(escaped);
    }
  }
  return out;
}

}  // namespace

struct PreTokenizer::Impl {
  std::string pattern;
  bool drop_unmatched = false;
  Code code;        // null for an empty pattern
  Code exact_code;  // for texts with U+180E
};

PreTokenizer::PreTokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {
}
PreTokenizer::~PreTokenizer() = default;

Result<std::shared_ptr<const PreTokenizer>> PreTokenizer::create(std::string pattern,
                                                                 bool drop_unmatched) {
  if (pattern.size() > kMaxPatternBytes) {
    return invalid_argument(fmt::format("tokenizer: split pattern: {} bytes, at most {}",
                                        pattern.size(), kMaxPatternBytes));
  }
  auto impl = std::make_unique<Impl>();
  impl->drop_unmatched = drop_unmatched;
  if (!pattern.empty()) {
    ASSIGN_OR_RETURN(impl->code, compile(pattern));
    ASSIGN_OR_RETURN(impl->exact_code, compile(with_exact_white_space(pattern)));
  }
  impl->pattern = std::move(pattern);
  return std::shared_ptr<const PreTokenizer>(new PreTokenizer(std::move(impl)));
}

Result<void> PreTokenizer::split(std::string_view text,
                                 const std::function<void(std::string_view)>& piece) const {
  if (!impl_->code) {
    if (!text.empty()) piece(text);
    return {};
  }
  const std::unique_ptr<pcre2_match_data, FreeMatchData> match(pcre2_match_data_create(1, nullptr));
  const std::unique_ptr<pcre2_match_context, FreeMatchContext> context(
      pcre2_match_context_create(nullptr));
  const std::unique_ptr<pcre2_jit_stack, FreeJitStack> stack(
      pcre2_jit_stack_create(kJitStackStartBytes, kJitStackMaxBytes, nullptr));
  if (!match || !context) return Error{ErrorCode::kInternal, "split pattern: out of memory"};
  pcre2_set_match_limit(context.get(), kMatchLimit);
  if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());

  const bool exact = text.find(kMongolianVowelSeparator) != std::string_view::npos;
  const pcre2_code* code = exact ? impl_->exact_code.get() : impl_->code.get();
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
  const auto emit = [&](size_t begin, size_t end, bool matched) {
    if (begin < end && (matched || !impl_->drop_unmatched)) piece(text.substr(begin, end - begin));
  };
  size_t search_from = 0, pending_from = 0;
  while (search_from <= text.size()) {
    const int rc = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                               search_from, PCRE2_NO_UTF_CHECK, match.get(), context.get());
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      return invalid_argument(
          fmt::format("text cannot be split at byte {}: {}", search_from, pcre2_message(rc)));
    }
    const size_t begin = bounds[0], end = bounds[1];
    // \K inside a lookaround can move a match backwards; no published pattern does that.
    if (begin > end || begin < pending_from) {
      return invalid_argument("tokenizer: split pattern matches backwards");
    }
    emit(pending_from, begin, false);
    emit(begin, end, true);
    pending_from = search_from = end;
    if (begin == end) {
      // An empty match still cuts here; step over one character so that the search goes on.
      if (search_from >= text.size()) break;
      next_code_point(text, search_from);
    }
  }
  emit(pending_from, text.size(), false);
  return {};
}

}  // namespace pagoda
