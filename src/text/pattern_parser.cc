// PatternParser: recursive descent. What is not sure to mean the same everywhere is left to others.
#include "text/pattern_parser.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "text/unicode.h"

namespace pagoda {
namespace {

using Kind = PatternNode::Kind;

constexpr int kMaxNesting = 32;
constexpr int kMaxRepeats = 1000;

bool is_ascii_letter(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Adds what is the same letter in the other case. False for characters outside ASCII, whose cases
// this build does not know as Oniguruma does.
bool fold_case(CharacterSet& set) {
  if (!set.ranges().empty() && set.ranges().back().last >= 0x80) return false;
  const CharacterSet given = set;
  for (char32_t c = 0; c < 0x80; ++c) {
    if (!is_ascii_letter(c) || !given.contains(c)) continue;
    set.add(c ^ 0x20U, c ^ 0x20U);
    if ((c | 0x20U) == 's') set.add(0x17F, 0x17F);    // long s
    if ((c | 0x20U) == 'k') set.add(0x212A, 0x212A);  // Kelvin
  }
  return true;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::unique_ptr<ParsedPattern> parse() {
    auto parsed = std::make_unique<ParsedPattern>();
    parsed->root = alternation(0);
    if (failed_ || at_ != text_.size()) return nullptr;
    parsed->sets = std::move(sets_);
    return parsed;
  }

 private:
  bool more() const { return !failed_ && at_ < text_.size(); }
  bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!next_is(what)) return false;
    at_ += what.size();
    return true;
  }
  void fail() { failed_ = true; }

  PatternNode set_node(Kind kind, CharacterSet set) {
    const auto known = std::find(sets_.begin(), sets_.end(), set);
    const auto index = static_cast<size_t>(known - sets_.begin());
    if (known == sets_.end()) sets_.push_back(std::move(set));
    return {.kind = kind, .set = index};
  }

  PatternNode alternation(int depth) {
    PatternNode node{.kind = Kind::kAlternation};
    if (depth > kMaxNesting) fail();
    do {
      node.children.push_back(sequence(depth));
    } while (more() && take("|"));
    return node.children.size() == 1 ? std::move(node.children[0]) : node;
  }

  PatternNode sequence(int depth) {
    PatternNode node{.kind = Kind::kSequence};
    while (more() && !next_is("|") && !next_is(")")) {
      PatternNode part = atom(depth);
      if (failed_) break;
      node.children.push_back(repetition(std::move(part)));
    }
    return node;
  }

  PatternNode atom(int depth) {
    if (!take("(")) return set_node(Kind::kSet, one_character());
    if (next_is("?=") || next_is("?!")) {
      const Kind kind = next_is("?=") ? Kind::kNextIs : Kind::kNextIsNot;
      at_ += 2;
      CharacterSet set;
      if (more()) set = one_character();
      if (!take(")")) fail();
      return set_node(kind, std::move(set));
    }
    const bool outer = ignore_case_;
    if (take("?i:")) {
      ignore_case_ = true;
    } else if (!take("?:") && next_is("?")) {
      fail();
    }
    PatternNode group = alternation(depth + 1);
    ignore_case_ = outer;
    if (!take(")")) fail();
    return group;
  }

  // A class, an escape, a dot or a character that stands for itself.
  CharacterSet one_character() {
    CharacterSet set;
    if (take("[")) {
      set = character_class();
    } else if (next_is("\\")) {
      set = escape(false);
    } else if (take(".")) {
      return CharacterSet({{'\n', '\n'}}).complement();
    } else if (std::string_view("*+?{^$)|").find(text_[at_]) != std::string_view::npos) {
      fail();
      return set;
    } else {
      const char32_t c = next_code_point(text_, at_);
      set.add(c, c);
    }
    if (!failed_ && ignore_case_ && !fold_case(set)) fail();
    return set;
  }

  // REQUIRES: next_is("\\").
  CharacterSet escape(bool in_class) {
    ++at_;
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    switch (c) {
      case 's': return white_space_set();
      case 'S': return white_space_set().complement();
      case 'd': return *category_set("Nd");
      case 'D': return category_set("Nd")->complement();
      case 'w': return word_set(in_class);
      case 'W': return word_set(in_class).complement();
      case 'h': return CharacterSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
      case 'r': return CharacterSet({{'\r', '\r'}});
      case 'n': return CharacterSet({{'\n', '\n'}});
      case 't': return CharacterSet({{'\t', '\t'}});
      case 'p':
      case 'P': return property(c == 'P');
      case 'x': return hexadecimal();
      default: break;
    }
    const auto code = static_cast<char32_t>(static_cast<unsigned char>(c));
    if (code <= ' ' || code >= 0x7F || is_ascii_letter(code) || (code >= '0' && code <= '9')) {
      fail();
      return {};
    }
    return CharacterSet({{code, code}});
  }

  CharacterSet property(bool inverted) {
    const size_t end = text_.find('}', at_);
    if (!take("{") || end == std::string_view::npos) {
      fail();
      return {};
    }
    auto set = category_set(text_.substr(at_, end - at_));
    at_ = end + 1;
    if (!set) {
      fail();
      return {};
    }
    return inverted ? set->complement() : *std::move(set);
  }

  CharacterSet hexadecimal() {
    const size_t end = text_.find('}', at_);
    uint32_t code = 0;
    const bool braced = take("{") && end != std::string_view::npos && end > at_;
    const char* stop = text_.data() + (braced ? end : at_);
    if (!braced || std::from_chars(text_.data() + at_, stop, code, 16).ptr != stop ||
        code > 0x10FFFF) {
      fail();
      return {};
    }
    at_ = end + 1;
    return CharacterSet({{code, code}});
  }

  // What stands behind "[". A class inside it is a union.
  CharacterSet character_class() {
    CharacterSet set;
    const bool inverted = take("^");
    int depth = 1;
    for (bool first = true; depth > 0; first = false) {
      if (!more() || next_is("&&") || next_is("[:") || next_is("[^")) {
        fail();
        return {};
      }
      if (first && take("]")) {
        set.add(']', ']');
      } else if (take("]")) {
        --depth;
      } else if (take("[")) {
        ++depth;
        if (next_is("]")) fail();
      } else {
        set.add(range());
      }
    }
    if (next_is("]") && set.ranges().empty()) fail();
    if (!inverted) return set;
    // Whether the complement of a class is taken before or after its cases are added is left open.
    if (ignore_case_) fail();
    return set.complement();
  }

  // One member of a class: a character, a set, or two characters and what lies between.
  CharacterSet range() {
    CharacterSet low = class_member();
    const bool is_range = next_is("-") && !next_is("-]");
    if (failed_ || !is_range) return low;
    ++at_;
    if (next_is("[") || at_ >= text_.size()) fail();
    const CharacterSet high = failed_ ? CharacterSet() : class_member();
    const auto single = [](const CharacterSet& set) {
      return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].last;
    };
    if (failed_ || !single(low) || !single(high) ||
        low.ranges()[0].first > high.ranges()[0].first) {
      fail();
      return {};
    }
    return CharacterSet({{low.ranges()[0].first, high.ranges()[0].first}});
  }

  CharacterSet class_member() {
    if (next_is("\\")) return escape(true);
    const char32_t c = next_code_point(text_, at_);
    return CharacterSet({{c, c}});
  }

  bool read_count(int& out) {
    const char* begin = text_.data() + at_;
    const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), out);
    at_ += static_cast<size_t>(end - begin);
    return status == std::errc() && out >= 0 && out <= kMaxRepeats;
  }

  PatternNode repetition(PatternNode part) {
    int min = 1, max = 1;
    bool counted = false;
    if (take("*")) {
      min = 0;
      max = PatternNode::kForever;
    } else if (take("+")) {
      max = PatternNode::kForever;
    } else if (take("?")) {
      min = 0;
    } else if (take("{")) {
      counted = true;
      if (!read_count(min)) fail();
      max = min;
      if (take(",")) max = PatternNode::kForever;
      if (max == PatternNode::kForever && !next_is("}") && !read_count(max)) fail();
      if (!take("}") || (max != PatternNode::kForever && max < min)) fail();
    } else {
      return part;
    }
    const bool lazy = !counted && take("?");
    // Possessive, or repeated again: meanings differ between the dialects.
    if (at_ < text_.size() && std::string_view("*+?{").find(text_[at_]) != std::string_view::npos) {
      fail();
    }
    if (part.kind == Kind::kNextIs || part.kind == Kind::kNextIsNot) fail();
    PatternNode node{.kind = Kind::kRepeat, .min = min, .max = max, .lazy = lazy};
    node.children.push_back(std::move(part));
    return node;
  }

  std::string_view text_;
  size_t at_ = 0;
  bool failed_ = false;
  bool ignore_case_ = false;
  std::vector<CharacterSet> sets_;
};

}  // namespace

std::unique_ptr<ParsedPattern> parse_pattern(std::string_view expression) {
  return Parser(expression).parse();
}

}  // namespace pagoda
