// The wordwrap filter: Python's textwrap with the settings that Jinja2 gives it.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/builtins.h"
#include "text/jinja/methods.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

using Characters = std::u32string_view;

bool is_break(char32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_word_or_punctuation(char32_t c) {
  return is_word_character(c) || Characters(U"!\"'&.,?").find(c) != Characters::npos;
}

bool is_word_letter(char32_t c) {
  return is_word_character(c) && !is_decimal_digit(c);
}

// The end of the piece of `text` that begins at `begin`: white space, a dash between words, a word
// or a part of a hyphenated one.
size_t piece_end(Characters text, size_t begin, bool break_on_hyphens) {
  const auto at = [&](size_t i) { return i < text.size() ? text[i] : char32_t{0}; };
  size_t end = begin;
  if (is_break(text[begin])) {
    while (end < text.size() && is_break(text[end])) ++end;
    return end;
  }
  const auto dashes_to_word = [&](size_t i) {
    size_t behind = i;
    while (at(behind) == '-') ++behind;
    return behind - i >= 2 && is_word_character(at(behind)) ? behind : i;
  };
  if (break_on_hyphens && begin > 0 && is_word_or_punctuation(text[begin - 1])) {
    if (const size_t behind = dashes_to_word(begin); behind > begin) return behind;
  }
  for (end = begin + 1; end < text.size() && !is_break(text[end]); ++end) {
    if (!break_on_hyphens) continue;
    // A hyphen behind two letters, or behind a letter, a hyphen and a character of a word.
    const bool hyphen = text[end] == '-';
    const bool behind_letters =
        end >= 2 && is_word_letter(text[end - 1]) && is_word_letter(text[end - 2]);
    const bool behind_hyphen = end >= 3 && is_word_or_punctuation(text[end - 1]) &&
                               text[end - 2] == '-' && is_word_letter(text[end - 3]);
    if (hyphen && (behind_letters || behind_hyphen) && is_word_letter(at(end + 1)) &&
        (is_word_letter(at(end + 2)) || (at(end + 2) == '-' && is_word_letter(at(end + 3))))) {
      return end + 1;
    }
    if (is_word_or_punctuation(text[end - 1]) && dashes_to_word(end) > end) return end;
  }
  return end;
}

struct Wrapping {
  size_t width = 79;
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

bool is_blank(Characters piece) {
  return std::all_of(piece.begin(), piece.end(), is_python_space);
}

std::vector<std::u32string> wrap(Characters text, const Wrapping& wrapping) {
  std::vector<Characters> pieces;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = piece_end(text, begin, wrapping.break_on_hyphens);
    pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  std::reverse(pieces.begin(), pieces.end());  // the next one is the last
  std::vector<std::u32string> lines;
  while (!pieces.empty()) {
    if (!lines.empty() && is_blank(pieces.back())) pieces.pop_back();
    std::vector<Characters> line;
    size_t length = 0;
    while (!pieces.empty() && length + pieces.back().size() <= wrapping.width) {
      length += pieces.back().size();
      line.push_back(pieces.back());
      pieces.pop_back();
    }
    if (!pieces.empty() && pieces.back().size() > wrapping.width) {
      Characters& word = pieces.back();
      if (wrapping.break_long_words) {
        size_t end = std::max<size_t>(wrapping.width - length, 1);
        if (wrapping.break_on_hyphens && word.size() > end) {
          const size_t hyphen = word.substr(0, end).rfind('-');
          const bool usable = hyphen != Characters::npos && hyphen > 0 &&
                              word.substr(0, hyphen).find_first_not_of('-') != Characters::npos;
          if (usable) end = hyphen + 1;
        }
        line.push_back(word.substr(0, end));
        word.remove_prefix(end);
      } else if (line.empty()) {
        line.push_back(word);
        pieces.pop_back();
      }
    }
    if (!line.empty() && is_blank(line.back())) line.pop_back();
    if (line.empty()) continue;
    std::u32string joined;
    for (const Characters piece : line) joined += piece;
    lines.push_back(std::move(joined));
  }
  return lines;
}

}  // namespace

ValueResult filter_wordwrap(Context& context, const Value& text, const Arguments& arguments) {
  if (!text.is_text()) {
    return type_error("wordwrap: the value is not a text");
  }
  const auto flag = [&](size_t index, std::string_view name) {
    const Value* value = arguments.find(index, name);
    return !value || truth(*value);
  };
  Wrapping wrapping{.break_long_words = flag(1, "break_long_words"),
                    .break_on_hyphens = flag(3, "break_on_hyphens")};
  if (const Value* width = arguments.find(0, "width")) {
    if (!width->is_integral()) return type_error("wordwrap: the width is not an integer");
    if (width->integer() <= 0) return type_error("invalid width (must be > 0)");
    wrapping.width = static_cast<size_t>(width->integer());
  }
  std::string between = "\n";
  if (const Value* given = arguments.find(2, "wrapstring"); given && !given->is_none()) {
    if (!given->is_text()) return type_error("wordwrap: wrapstring is not a text");
    between = given->text();
  }
  const auto size = static_cast<int64_t>(text.text().size());
  RETURN_IF_ERROR(context.step(size / 4));
  RETURN_IF_ERROR(context.charge(size * 20));
  ASSIGN_OR_RETURN(const Value split, call_text_method(context, text, "splitlines", {}));
  std::string out;
  const auto separate = [&]() -> Result<void> {
    RETURN_IF_ERROR(context.charge(static_cast<int64_t>(between.size())));
    out += between;
    return {};
  };
  bool first = true;
  for (const Value& line : split.sequence()->items) {
    if (!first) RETURN_IF_ERROR(separate());
    first = false;
    std::u32string characters;
    for (size_t offset = 0; offset < line.text().size();) {
      characters += next_code_point(line.text(), offset);
    }
    bool first_part = true;
    for (const std::u32string& part : wrap(characters, wrapping)) {
      if (!first_part) RETURN_IF_ERROR(separate());
      first_part = false;
      for (const char32_t c : part) append_utf8(out, c);
    }
  }
  return Value(std::move(out));
}

}  // namespace pagoda::jinja
