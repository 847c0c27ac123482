// Filters that make texts.
#include <fmt/core.h>

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/case.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

// Jinja2's soft_str(): texts as they are, everything else through str().
ValueResult as_text(Context& context, const Value& input) {
  if (input.is_text()) return input;
  ASSIGN_OR_RETURN(std::string text, context.to_text(input));
  return Value(std::move(text));
}

std::string_view first_character(std::string_view text) {
  if (text.empty()) return text;
  size_t end = 0;
  next_code_point(text, end);
  return text.substr(0, end);
}

// Words begin behind white space and the brackets and hyphens Jinja2 names.
std::string title_case(std::string_view text) {
  std::string out, word;
  const auto finish = [&] {
    const std::string_view first = first_character(word);
    out += change_case(first, Case::kUpper);
    out += change_case(std::string_view(word).substr(first.size()), Case::kLower);
    word.clear();
  };
  for (size_t offset = 0; offset < text.size();) {
    const size_t begin = offset;
    const char32_t c = next_code_point(text, offset);
    const bool separator =
        is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (separator) {
      finish();
      out += text.substr(begin, offset - begin);
    } else {
      word += text.substr(begin, offset - begin);
    }
  }
  finish();
  return out;
}

ValueResult filter_indent(Context& context, const Value& text, const Arguments& arguments) {
  if (!text.is_text()) {
    return text.is_undefined() ? undefined_error(text)
                               : type_error("indent: the value is not a text");
  }
  const Value* width = arguments.find(0, "width");
  const Value* first = arguments.find(1, "first");
  const Value* blank = arguments.find(2, "blank");
  if (width && width->is_undefined()) return undefined_error(*width);
  std::string indent(4, ' ');
  if (width && width->is_text()) {
    indent = width->text();
  } else if (width && width->is_integral()) {
    if (width->integer() > 1000) return type_error("indent: width is larger than 1000");
    indent = std::string(static_cast<size_t>(std::max<int64_t>(width->integer(), 0)), ' ');
  }
  ASSIGN_OR_RETURN(const Value lines,
                   call_text_method(context, Value(text.text() + "\n"), "splitlines", {}));
  const std::vector<Value>& items = lines.sequence()->items;
  RETURN_IF_ERROR(
      context.charge(static_cast<int64_t>(items.size()) * static_cast<int64_t>(indent.size() + 1) +
                     static_cast<int64_t>(text.text().size())));
  std::string out = first && truth(*first) ? indent : "";
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) {
      out += '\n';
      if (!items[i].text().empty() || (blank && truth(*blank))) out += indent;
    }
    out += items[i].text();
  }
  return Value(std::move(out), text.is_markup());
}

ValueResult filter_truncate(Context& context, const Value& input, const Arguments& arguments) {
  const auto number = [&](size_t index, std::string_view name, int64_t otherwise) {
    const Value* value = arguments.find(index, name);
    return value && value->is_integral() ? value->integer() : otherwise;
  };
  if (!input.is_text()) {
    // A sequence that is short enough comes back as it is.
    ASSIGN_OR_RETURN(const int64_t size, context.length(input));
    if (size <= number(0, "length", 255) + number(3, "leeway", 5)) return input;
    return type_error("truncate: the value is not a text");
  }
  const Value& text = input;
  const int64_t length = number(0, "length", 255);
  const Value* killwords = arguments.find(1, "killwords");
  const Value* end_value = arguments.find(2, "end");
  const std::string end = end_value && end_value->is_text() ? end_value->text() : "...";
  const int64_t leeway = number(3, "leeway", 5);
  const int64_t end_length = count_code_points(end);
  if (length < end_length || leeway < 0) {
    return type_error(fmt::format("expected length >= {}, got {}", end_length, length));
  }
  RETURN_IF_ERROR(context.charge(static_cast<int64_t>(text.text().size() + end.size())));
  const std::vector<size_t> offsets = code_point_offsets(text.text());
  const auto count = static_cast<int64_t>(offsets.size()) - 1;
  if (count - leeway <= length) return text;
  std::string out = text.text().substr(0, offsets[static_cast<size_t>(length - end_length)]);
  if (!(killwords && truth(*killwords))) {
    if (const size_t space = out.rfind(' '); space != std::string::npos) out.resize(space);
  }
  return Value(out + end);
}

// RFC 3986 quoting; "/" stays.
std::string percent_encode(std::string_view text, std::string_view safe) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const bool keep = (byte < 0x80 && std::isalnum(byte)) ||
                      std::string_view("_.-~").find(c) != std::string_view::npos ||
                      safe.find(c) != std::string_view::npos;
    out += keep ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return out;
}

// As in the query of a URL: "+" for a space.
std::string query_encode(std::string_view text) {
  std::string out = percent_encode(text, " ");
  std::replace(out.begin(), out.end(), ' ', '+');
  return out;
}

ValueResult filter_urlencode(Context& context, const Value& input) {
  ASSIGN_OR_RETURN(const std::string text, context.to_text(input));
  RETURN_IF_ERROR(context.charge(static_cast<int64_t>(text.size()) * 3));
  if (input.is_text() || !(input.dict() || input.sequence()))
    return Value(percent_encode(text, "/"));
  std::string out;
  ASSIGN_OR_RETURN(const std::vector<Value> keys, context.iterate(input));
  for (const Value& key : keys) {
    Value name = key, value;
    if (const Dict* d = input.dict()) {
      value = *d->find(key);
    } else {
      ASSIGN_OR_RETURN(const std::vector<Value> pair, context.iterate(key));
      if (pair.size() != 2) return type_error("urlencode: not a list of pairs");
      name = pair[0];
      value = pair[1];
    }
    if (!out.empty()) out += '&';
    ASSIGN_OR_RETURN(const std::string left, context.to_text(name));
    ASSIGN_OR_RETURN(const std::string right, context.to_text(value));
    out += query_encode(left) + "=" + query_encode(right);
  }
  return Value(std::move(out));
}

int64_t count_words(std::string_view text) {
  int64_t count = 0;
  bool inside = false;
  for (size_t offset = 0; offset < text.size();) {
    const bool word = is_word_character(next_code_point(text, offset));
    count += word && !inside;
    inside = word;
  }
  return count;
}

// Without tags and comments, white space collapsed, entities of escape() undone.
std::string strip_tags(std::string_view text) {
  std::string bare;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '<') {
      bare += text[i];
      continue;
    }
    const bool comment = text.substr(i).starts_with("<!--");
    const size_t close = text.find(comment ? "-->" : ">", i);
    if (close == std::string_view::npos) {
      bare += text.substr(i);
      break;
    }
    i = close + (comment ? 2 : 0);
  }
  std::string out;
  bool space = false;
  for (size_t offset = 0; offset < bare.size();) {
    const size_t begin = offset;
    if (is_python_space(next_code_point(bare, offset))) {
      space = true;
      continue;
    }
    if (space && !out.empty()) out += ' ';
    space = false;
    out.append(bare, begin, offset - begin);
  }
  constexpr std::pair<std::string_view, char> kEntities[] = {{"&lt;", '<'},   {"&gt;", '>'},
                                                             {"&#34;", '"'},  {"&quot;", '"'},
                                                             {"&#39;", '\''}, {"&amp;", '&'}};
  std::string plain;
  for (size_t i = 0; i < out.size();) {
    const auto* entity = std::find_if(
        std::begin(kEntities), std::end(kEntities),
        [&](const auto& e) { return std::string_view(out).substr(i).starts_with(e.first); });
    if (entity != std::end(kEntities)) {
      plain += entity->second;
      i += entity->first.size();
    } else {
      plain += out[i++];
    }
  }
  return plain;
}

// name="value" pairs, without those that are none or undefined.
ValueResult filter_xmlattr(Context& context, const Value& input, const Arguments& arguments) {
  if (!input.dict()) {
    return type_error(fmt::format("'{}' object has no attribute 'items'", type_name(input)));
  }
  std::string out;
  for (const auto& [key, value] : input.dict()->items) {
    if (value.is_none() || value.is_undefined()) continue;
    ASSIGN_OR_RETURN(const std::string name, context.to_text(key));
    if (!key.is_text() || name.find_first_of(" \t\n\f\r/>=") != std::string::npos) {
      return type_error("xmlattr: a key is no name of an attribute");
    }
    ASSIGN_OR_RETURN(const std::string text, context.to_text(value));
    RETURN_IF_ERROR(context.charge(static_cast<int64_t>(name.size() + text.size()) * 5));
    if (!out.empty()) out += ' ';
    out += escape_html(name) + "=\"" + (value.is_markup() ? text : escape_html(text)) + '"';
  }
  const Value* autospace = arguments.find(0, "autospace");
  if ((!autospace || truth(*autospace)) && !out.empty()) out.insert(0, 1, ' ');
  return Value(std::move(out));
}

ValueResult filter_replace(Context& context, const Value& text, const Arguments& arguments) {
  Arguments texts;
  for (size_t i = 0; i < 2; ++i) {
    const Value* part = arguments.find(i, i == 0 ? "old" : "new");
    if (!part) return type_error("replace: two texts are needed");
    ASSIGN_OR_RETURN(std::string as_string, context.to_text(*part));
    texts.positional.emplace_back(std::move(as_string));
  }
  if (const Value* count = arguments.find(2, "count"); count && !count->is_none()) {
    texts.positional.push_back(*count);
  }
  return call_text_method(context, text, "replace", texts);
}

ValueResult apply(Context& context, std::string_view name, const Value& input, const Value& text,
                  const Arguments& arguments) {
  const bool markup = text.is_markup();
  if (name == "trim") {
    Arguments chars;
    if (const Value* set = arguments.find(0, "chars")) chars.positional.push_back(*set);
    return call_text_method(context, text, "strip", chars);
  }
  if (name == "upper" || name == "lower" || name == "capitalize") {
    return call_text_method(context, text, name, {});
  }
  if (name == "string") return text;
  if (name == "replace") return filter_replace(context, text, arguments);
  if (name == "title") return Value(title_case(text.text()), markup);
  if (name == "safe") return Value(text.text(), true);
  if (name == "escape" || name == "e" || name == "forceescape") {
    if (markup && name != "forceescape") return text;
    RETURN_IF_ERROR(context.charge(static_cast<int64_t>(text.text().size()) * 5));
    return Value(escape_html(text.text()), true);
  }
  if (name == "indent") return filter_indent(context, input, arguments);
  if (name == "truncate") return filter_truncate(context, input, arguments);
  if (name == "xmlattr") return filter_xmlattr(context, input, arguments);
  if (name == "wordwrap") return filter_wordwrap(context, input, arguments);
  if (name == "urlencode") return filter_urlencode(context, input);
  if (name == "wordcount") return Value(count_words(text.text()));
  if (name == "striptags") return Value(strip_tags(text.text()));
  if (name == "center") {
    Arguments width;
    const Value* wanted = arguments.find(0, "width");
    width.positional.push_back(wanted ? *wanted : Value(int64_t{80}));
    return call_text_method(context, text, "center", width);
  }
  if (!arguments.named.empty() && !arguments.positional.empty()) {
    return type_error("can't handle positional and keyword arguments at the same time");
  }
  if (arguments.named.empty()) {
    ASSIGN_OR_RETURN(const Value tuple, make_tuple(arguments.positional));
    return format_percent(context, text, tuple);
  }
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, value] : arguments.named) dict->set(make_text(key), value);
  ASSIGN_OR_RETURN(const Value mapping, make_dict(std::move(dict)));
  return format_percent(context, text, mapping);
}

}  // namespace

MaybeValue text_filter(Context& context, std::string_view name, const Value& input,
                       const Arguments& arguments) {
  constexpr std::string_view kNames[] = {
      "trim",      "upper",     "lower",  "capitalize",  "string",  "replace",  "title",
      "safe",      "escape",    "e",      "forceescape", "indent",  "truncate", "urlencode",
      "wordcount", "striptags", "center", "format",      "xmlattr", "wordwrap"};
  if (std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames)) {
    return MaybeValue(nullptr);
  }
  ASSIGN_OR_RETURN(const Value text, as_text(context, input));
  ASSIGN_OR_RETURN(Value result, apply(context, name, input, text, arguments));
  return std::make_shared<const Value>(std::move(result));
}

}  // namespace pagoda::jinja
