// Methods of Python's str.
#include <fmt/core.h>

#include <algorithm>
#include <functional>

#include "text/jinja/case.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

using Predicate = std::function<bool(char32_t)>;

constexpr size_t kNowhere = std::string_view::npos;

// One call: its arguments checked as they are asked for.
struct Call {
  Context& context;
  const Value& self;
  std::string_view name;
  const Arguments& arguments;

  const std::string& text() const { return self.text(); }
  Value same_kind(std::string out) const { return Value(std::move(out), self.is_markup()); }
  const Value* find(size_t index, std::string_view argument) const {
    const Value* value = arguments.find(index, argument);
    return value && value->is_none() ? nullptr : value;
  }
  Result<std::string> text_argument(size_t index) const {
    if (index >= arguments.positional.size()) {
      return type_error(fmt::format("{}() misses an argument", name));
    }
    const Value& value = arguments.positional[index];
    if (value.is_text()) return value.text();
    return type_error(
        fmt::format("{}() argument {} must be str, not {}", name, index + 1, type_name(value)));
  }
  Result<int64_t> int_argument(size_t index, std::string_view argument, int64_t otherwise) const {
    const Value* value = find(index, argument);
    if (!value) return otherwise;
    if (value->is_integral()) return value->integer();
    return type_error(
        fmt::format("'{}' object cannot be interpreted as an integer", type_name(*value)));
  }
};

// Bytes of `text` between the leading and trailing characters that `drop` names.
std::string_view strip(std::string_view text, const Predicate& drop, bool left, bool right) {
  while (left && !text.empty()) {
    size_t next = 0;
    if (!drop(next_code_point(text, next))) break;
    text.remove_prefix(next);
  }
  while (right && !text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0U) == 0x80U) --start;
    size_t offset = start;
    if (!drop(next_code_point(text, offset))) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

ValueResult method_strip(const Call& call) {
  const bool left = call.name != "rstrip", right = call.name != "lstrip";
  Predicate drop = is_python_space;
  std::u32string set;
  if (call.find(0, "chars")) {
    ASSIGN_OR_RETURN(const std::string chars, call.text_argument(0));
    for (size_t offset = 0; offset < chars.size();) set += next_code_point(chars, offset);
    RETURN_IF_ERROR(call.context.step(static_cast<int64_t>(set.size())));
    std::sort(set.begin(), set.end());
    drop = [&set](char32_t c) { return std::binary_search(set.begin(), set.end(), c); };
  }
  return call.same_kind(std::string(strip(call.text(), drop, left, right)));
}

ValueResult method_replace(const Call& call) {
  ASSIGN_OR_RETURN(const std::string old_text, call.text_argument(0));
  ASSIGN_OR_RETURN(const std::string new_text, call.text_argument(1));
  ASSIGN_OR_RETURN(int64_t left, call.int_argument(2, "count", -1));
  const std::string& text = call.text();
  std::string out;
  size_t from = 0;
  // An empty pattern stands before every character and at the end.
  while (left != 0) {
    const size_t at = text.find(old_text, from);
    if (at == kNowhere) break;
    size_t end = at + old_text.size();
    RETURN_IF_ERROR(call.context.charge(static_cast<int64_t>(new_text.size())));
    if (old_text.empty()) {
      out += new_text;
      if (at >= text.size()) return call.same_kind(std::move(out));
      next_code_point(text, end);
      out.append(text, at, end - at);
    } else {
      out.append(text, from, at - from);
      out += new_text;
    }
    from = end;
    --left;
  }
  out.append(text, from);
  return call.same_kind(std::move(out));
}

ValueResult split_on_space(const Call& call, int64_t limit) {
  std::vector<Value> parts;
  std::string_view rest = call.text();
  const bool from_right = call.name == "rsplit";
  while (true) {
    rest = strip(rest, is_python_space, !from_right, from_right);
    if (rest.empty()) break;
    if (limit-- == 0) {
      parts.push_back(make_text(rest));
      break;
    }
    const Predicate is_word = [](char32_t c) { return !is_python_space(c); };
    const std::string_view tail = strip(rest, is_word, !from_right, from_right);
    const size_t length = rest.size() - tail.size();
    parts.push_back(make_text(from_right ? rest.substr(tail.size()) : rest.substr(0, length)));
    rest = tail;
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return make_list(std::move(parts));
}

ValueResult method_split(const Call& call) {
  ASSIGN_OR_RETURN(int64_t limit, call.int_argument(1, "maxsplit", -1));
  RETURN_IF_ERROR(call.context.step(static_cast<int64_t>(call.text().size()) / 16));
  const Value* separator_value = call.find(0, "sep");
  if (!separator_value) return split_on_space(call, limit);
  if (!separator_value->is_text()) {
    return type_error(fmt::format("must be str or None, not {}", type_name(*separator_value)));
  }
  const std::string& separator = separator_value->text();
  if (separator.empty()) return type_error("empty separator");
  std::vector<Value> parts;
  std::string_view rest = call.text();
  const bool from_right = call.name == "rsplit";
  while (limit-- != 0) {
    const size_t at = from_right ? rest.rfind(separator) : rest.find(separator);
    if (at == kNowhere) break;
    const size_t behind = at + separator.size();
    parts.push_back(make_text(from_right ? rest.substr(behind) : rest.substr(0, at)));
    rest = from_right ? rest.substr(0, at) : rest.substr(behind);
  }
  parts.push_back(make_text(rest));
  if (from_right) std::reverse(parts.begin(), parts.end());
  return make_list(std::move(parts));
}

bool is_line_break(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

ValueResult method_splitlines(const Call& call) {
  const Value* keep_value = call.find(0, "keepends");
  const bool keep = keep_value && truth(*keep_value);
  const std::string_view text = call.text();
  RETURN_IF_ERROR(call.context.step(static_cast<int64_t>(text.size()) / 16));
  std::vector<Value> lines;
  size_t begin = 0;
  for (size_t offset = 0; offset < text.size();) {
    const size_t end = offset;
    const char32_t c = next_code_point(text, offset);
    if (!is_line_break(c)) continue;
    if (c == '\r' && offset < text.size() && text[offset] == '\n') ++offset;
    lines.push_back(make_text(text.substr(begin, (keep ? offset : end) - begin)));
    begin = offset;
  }
  if (begin < text.size()) lines.push_back(make_text(text.substr(begin)));
  return make_list(std::move(lines));
}

// The bytes that optional start and end arguments of find, count, startswith, ... select.
struct Range {
  size_t begin = 0, end = 0;
  int64_t first = 0;  // code points before begin
  bool valid = true;  // start is not behind the end
};

Result<Range> range_of(const Call& call, size_t index) {
  Range range{.begin = 0, .end = call.text().size()};
  if (!call.find(index, "") && !call.find(index + 1, "")) return range;
  const std::vector<size_t> offsets = code_point_offsets(call.text());
  const auto count = static_cast<int64_t>(offsets.size()) - 1;
  ASSIGN_OR_RETURN(int64_t start, call.int_argument(index, "", 0));
  ASSIGN_OR_RETURN(int64_t stop, call.int_argument(index + 1, "", count));
  if (start < 0) start = std::max<int64_t>(start + count, 0);
  if (stop < 0) stop = std::max<int64_t>(stop + count, 0);
  stop = std::min(stop, count);
  range.valid = start <= stop;
  if (!range.valid) return range;
  range.begin = offsets[static_cast<size_t>(start)];
  range.end = offsets[static_cast<size_t>(stop)];
  range.first = start;
  return range;
}

ValueResult method_find(const Call& call) {
  ASSIGN_OR_RETURN(const std::string needle, call.text_argument(0));
  ASSIGN_OR_RETURN(const Range range, range_of(call, 1));
  RETURN_IF_ERROR(call.context.step(static_cast<int64_t>(call.text().size()) / 32));
  const std::string_view text =
      std::string_view(call.text()).substr(range.begin, range.end - range.begin);
  const bool from_right = call.name.starts_with('r');
  const size_t at = !range.valid ? kNowhere : from_right ? text.rfind(needle) : text.find(needle);
  if (call.name == "count") {
    if (!range.valid) return Value(int64_t{0});
    if (needle.empty()) return Value(count_code_points(text) + 1);
    int64_t count = 0;
    for (size_t i = at; i != kNowhere; i = text.find(needle, i + needle.size())) ++count;
    return Value(count);
  }
  if (at != kNowhere) return Value(range.first + count_code_points(text.substr(0, at)));
  if (call.name.ends_with("index")) return type_error("substring not found");
  return Value(int64_t{-1});
}

ValueResult method_starts_or_ends(const Call& call) {
  if (call.arguments.positional.empty()) {
    return type_error(fmt::format("{}() misses an argument", call.name));
  }
  const Value& wanted = call.arguments.positional[0];
  ASSIGN_OR_RETURN(const Range range, range_of(call, 1));
  const std::string_view text =
      std::string_view(call.text()).substr(range.begin, range.end - range.begin);
  const auto matches = [&](const Value& affix) {
    return range.valid && (call.name == "startswith" ? text.starts_with(affix.text())
                                                     : text.ends_with(affix.text()));
  };
  if (wanted.is_text()) return Value(matches(wanted));
  const Sequence* tuple = wanted.sequence();
  if (!tuple || tuple->type != Sequence::Type::kTuple) {
    return type_error(fmt::format("{} first arg must be str or a tuple of str, not {}", call.name,
                                  type_name(wanted)));
  }
  RETURN_IF_ERROR(call.context.step(static_cast<int64_t>(tuple->items.size())));
  for (const Value& affix : tuple->items) {
    if (!affix.is_text()) {
      return type_error(fmt::format("tuple for {} must only contain str", call.name));
    }
    if (matches(affix)) return Value(true);
  }
  return Value(false);
}

ValueResult method_affix(const Call& call) {
  ASSIGN_OR_RETURN(const std::string affix, call.text_argument(0));
  std::string_view text = call.text();
  if (call.name == "removeprefix" && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (call.name == "removesuffix" && text.ends_with(affix)) text.remove_suffix(affix.size());
  return call.same_kind(std::string(text));
}

ValueResult method_partition(const Call& call) {
  ASSIGN_OR_RETURN(const std::string separator, call.text_argument(0));
  if (separator.empty()) return type_error("empty separator");
  const bool from_right = call.name == "rpartition";
  const std::string_view text = call.text();
  const size_t at = from_right ? text.rfind(separator) : text.find(separator);
  if (at == kNowhere) {
    const Value empty = make_text("");
    return from_right ? make_tuple({empty, empty, make_text(text)})
                      : make_tuple({make_text(text), empty, empty});
  }
  return make_tuple({make_text(text.substr(0, at)), make_text(separator),
                     make_text(text.substr(at + separator.size()))});
}

ValueResult method_join(const Call& call) {
  if (call.arguments.positional.empty()) return type_error("join() misses an argument");
  ASSIGN_OR_RETURN(const std::vector<Value> items,
                   call.context.iterate(call.arguments.positional[0]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_text()) {
      return type_error(
          fmt::format("sequence item {}: expected str instance, {} found", i, type_name(items[i])));
    }
    RETURN_IF_ERROR(
        call.context.charge(static_cast<int64_t>(call.text().size() + items[i].text().size())));
    if (i > 0) out += call.text();
    out += items[i].text();
  }
  return call.same_kind(std::move(out));
}

ValueResult method_pad(const Call& call) {
  ASSIGN_OR_RETURN(const int64_t width, call.int_argument(0, "width", 0));
  std::string fill = " ";
  if (call.find(1, "fillchar")) {
    ASSIGN_OR_RETURN(fill, call.text_argument(1));
    if (count_code_points(fill) != 1) {
      return type_error("The fill character must be exactly one character long");
    }
  }
  const int64_t room = width - count_code_points(call.text());
  if (room <= 0) return call.same_kind(call.text());
  if (room > kMaxValueWeight) return type_error("a width is too large");
  RETURN_IF_ERROR(call.context.charge(room * static_cast<int64_t>(fill.size())));
  const auto repeat = [&](int64_t count, const std::string& unit) {
    std::string out;
    for (int64_t i = 0; i < count; ++i) out += unit;
    return out;
  };
  if (call.name == "ljust") return call.same_kind(call.text() + repeat(room, fill));
  if (call.name == "rjust") return call.same_kind(repeat(room, fill) + call.text());
  if (call.name == "zfill") {
    const std::string& text = call.text();
    const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+');
    return call.same_kind(text.substr(0, sign) + repeat(room, "0") + text.substr(sign));
  }
  // CPython puts the odd space on the left when both room and width are odd.
  const int64_t left = room / 2 + (room & width & 1);
  return call.same_kind(repeat(left, fill) + call.text() + repeat(room - left, fill));
}

ValueResult method_expandtabs(const Call& call) {
  ASSIGN_OR_RETURN(const int64_t size, call.int_argument(0, "tabsize", 8));
  if (size > 1000) return type_error("a tab size is too large");
  std::string out;
  int64_t column = 0;
  for (const char c : call.text()) {
    if (c == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      RETURN_IF_ERROR(call.context.charge(spaces));
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
      continue;
    }
    out += c;
    if (c == '\n' || c == '\r') {
      column = 0;
    } else if ((static_cast<uint8_t>(c) & 0xC0U) != 0x80U) {
      ++column;
    }
  }
  return call.same_kind(std::move(out));
}

ValueResult method_case(const Call& call) {
  if (call.name == "casefold") return call.same_kind(fold_case(call.text()));
  const Case wanted = call.name == "upper"        ? Case::kUpper
                      : call.name == "lower"      ? Case::kLower
                      : call.name == "title"      ? Case::kTitle
                      : call.name == "capitalize" ? Case::kCapitalized
                                                  : Case::kSwapped;
  // One character can become three.
  RETURN_IF_ERROR(call.context.charge(static_cast<int64_t>(call.text().size()) * 2));
  return call.same_kind(change_case(call.text(), wanted));
}

ValueResult method_is(const Call& call) {
  const std::string_view what = call.name.substr(2);
  const std::string& text = call.text();
  if (what == "ascii") {
    return Value(std::all_of(text.begin(), text.end(),
                             [](char c) { return static_cast<uint8_t>(c) < 0x80; }));
  }
  bool cased = false, inside_word = false, title = true, first = true;
  for (size_t offset = 0; offset < text.size();) {
    const char32_t c = next_code_point(text, offset);
    const bool lower = is_lower(c), upper = is_upper(c) && !is_title(c);
    const bool starts_word = upper || is_title(c);
    cased |= starts_word || lower;
    title &= starts_word ? !inside_word : lower ? inside_word : true;
    inside_word = starts_word || lower;
    const bool identifier = c == '_' || is_letter(c) || (!first && is_word_character(c));
    first = false;
    const bool holds = what == "upper"        ? !lower && !is_title(c)
                       : what == "lower"      ? !starts_word
                       : what == "title"      ? true
                       : what == "space"      ? is_python_space(c)
                       : what == "alpha"      ? is_letter(c)
                       : what == "alnum"      ? is_letter(c) || is_digit(c) || is_numeric(c)
                       : what == "printable"  ? is_printable(c)
                       : what == "identifier" ? identifier
                       : what == "digit"      ? is_digit(c)
                       : what == "numeric"    ? is_numeric(c)
                                              : is_decimal_digit(c);
    if (!holds) return Value(false);
  }
  if (what == "upper" || what == "lower") return Value(cased);
  if (what == "title") return Value(cased && title);
  return Value(what == "printable" || !text.empty());
}

ValueResult method_format(const Call& call) {
  if (call.name == "format") return format_braces(call.context, call.self, call.arguments);
  if (call.arguments.positional.size() != 1 || !call.arguments.positional[0].dict()) {
    return type_error("format_map() takes one mapping");
  }
  Arguments named;
  for (const auto& [key, value] : call.arguments.positional[0].dict()->items) {
    if (key.is_text()) named.named.emplace_back(key.text(), value);
  }
  return format_braces(call.context, call.self, named);
}

struct Method {
  std::string_view name;
  ValueResult (*function)(const Call& call);
  size_t min_arguments = 0, max_arguments = 0;
  std::string_view keywords = {};  // what may be given by name; "*": anything
};

constexpr Method kMethods[] = {
    {"capitalize", method_case},
    {"casefold", method_case},
    {"center", method_pad, 1, 2},
    {"count", method_find, 1, 3},
    {"endswith", method_starts_or_ends, 1, 3},
    {"expandtabs", method_expandtabs, 0, 1, "tabsize"},
    {"find", method_find, 1, 3},
    {"format", method_format, 0, SIZE_MAX, "*"},
    {"format_map", method_format, 1, 1},
    {"index", method_find, 1, 3},
    {"isalnum", method_is},
    {"isalpha", method_is},
    {"isascii", method_is},
    {"isdecimal", method_is},
    {"isdigit", method_is},
    {"isidentifier", method_is},
    {"islower", method_is},
    {"isnumeric", method_is},
    {"isprintable", method_is},
    {"isspace", method_is},
    {"istitle", method_is},
    {"isupper", method_is},
    {"join", method_join, 1, 1},
    {"ljust", method_pad, 1, 2},
    {"lower", method_case},
    {"lstrip", method_strip, 0, 1},
    {"partition", method_partition, 1, 1},
    {"removeprefix", method_affix, 1, 1},
    {"removesuffix", method_affix, 1, 1},
    {"replace", method_replace, 2, 3},
    {"rfind", method_find, 1, 3},
    {"rindex", method_find, 1, 3},
    {"rjust", method_pad, 1, 2},
    {"rpartition", method_partition, 1, 1},
    {"rsplit", method_split, 0, 2, "sep maxsplit"},
    {"rstrip", method_strip, 0, 1},
    {"split", method_split, 0, 2, "sep maxsplit"},
    {"splitlines", method_splitlines, 0, 1, "keepends"},
    {"startswith", method_starts_or_ends, 1, 3},
    {"strip", method_strip, 0, 1},
    {"swapcase", method_case},
    {"title", method_case},
    {"upper", method_case},
    {"zfill", method_pad, 1, 1},
};

const Method* find_method(std::string_view name) {
  const auto* found = std::find_if(std::begin(kMethods), std::end(kMethods),
                                   [&](const Method& method) { return method.name == name; });
  return found == std::end(kMethods) ? nullptr : found;
}

Result<void> check_arguments(const Method& method, const Arguments& arguments) {
  const size_t count = arguments.positional.size();
  if (count < method.min_arguments || count > method.max_arguments) {
    return type_error(fmt::format("{}() got {} arguments", method.name, count));
  }
  if (method.keywords == "*") return {};
  for (const auto& [name, unused] : arguments.named) {
    if (name.empty() || method.keywords.find(name) == std::string_view::npos) {
      return type_error(fmt::format("{}() takes no such keyword argument", method.name));
    }
  }
  return {};
}

}  // namespace

bool has_text_method(std::string_view name) {
  return find_method(name) != nullptr;
}

ValueResult call_text_method(Context& context, const Value& self, std::string_view name,
                             const Arguments& arguments) {
  const Method* method = find_method(name);
  if (!method) return type_error(fmt::format("str has no method {}", quote_text(name)));
  RETURN_IF_ERROR(check_arguments(*method, arguments));
  const auto size = static_cast<int64_t>(self.text().size());
  RETURN_IF_ERROR(context.step(1 + size / 64));
  RETURN_IF_ERROR(context.charge(size));
  return method->function({context, self, name, arguments});
}

}  // namespace pagoda::jinja
