// str.format().
#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "text/jinja/number_format.h"
#include "text/jinja/operators.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

// [[fill]align][sign][#][0][width][grouping][.precision][type] of a replacement field.
Result<FormatSpec> read_spec(std::string_view text) {
  FormatSpec spec;
  size_t at = 0;
  const auto take = [&](std::string_view wanted) {
    const bool found = at < text.size() && wanted.find(text[at]) != std::string_view::npos;
    return found ? text[at++] : '\0';
  };
  if (!text.empty()) {
    size_t behind = 0;
    next_code_point(text, behind);
    if (behind < text.size() && std::string_view("<>^=").find(text[behind]) < 4) {
      spec.fill = text.substr(0, behind);
      spec.align = text[behind];
      at = behind + 1;
    } else {
      spec.align = take("<>^=");
    }
  }
  const bool filled = at > 1;
  spec.sign = take("+- ");
  spec.alternate = take("#") != '\0';
  if (!filled && take("0") != '\0') {
    spec.fill = "0";
    if (spec.align == '\0') spec.align = '0';  // '=' of numbers, '<' of texts
  }
  ASSIGN_OR_RETURN(spec.width, read_format_width(text, at));
  spec.grouping = take(",_");
  if (take(",_") != '\0') return type_error("Cannot specify both ',' and '_'.");
  if (take(".") != '\0') {
    const size_t begin = at;
    ASSIGN_OR_RETURN(spec.precision, read_format_width(text, at));
    if (at == begin) return type_error("Format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) return type_error("Invalid format specifier");
  return spec;
}

Error unknown_code(const FormatSpec& spec, const Value& value) {
  return type_error(
      fmt::format("Unknown format code '{}' for object of type '{}'", spec.type, type_name(value)));
}

Result<std::string> format_text(Context& context, const Value& value, const FormatSpec& spec) {
  if (spec.type != '\0' && spec.type != 's') return unknown_code(spec, value);
  if (spec.sign != '\0') return type_error("Sign not allowed in string format specifier");
  if (spec.alternate) {
    return type_error("Alternate form (#) not allowed in string format specifier");
  }
  if (spec.align == '=') {
    return type_error("'=' alignment not allowed in string format specifier");
  }
  if (spec.grouping != '\0') {
    return type_error(fmt::format("Cannot specify '{}' with 's'.", spec.grouping));
  }
  ASSIGN_OR_RETURN(std::string text, context.to_text(value));
  const bool unset = spec.align == '\0' || spec.align == '0';
  return pad_format(first_characters(std::move(text), spec.precision), spec,
                    unset ? '<' : spec.align);
}

Result<std::string> format_character(const Value& value, const FormatSpec& spec) {
  if (spec.sign != '\0' || spec.alternate || spec.grouping != '\0') {
    return type_error("Sign, # and grouping are not allowed with integer format specifier 'c'");
  }
  const int64_t code = value.integer();
  if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    return type_error("%c arg not in range(0x110000)");
  }
  std::string text;
  append_utf8(text, static_cast<char32_t>(code));
  return pad_format(std::move(text), spec, spec.align == '\0' ? '<' : spec.align);
}

Result<std::string> format_number(const Value& value, FormatSpec spec) {
  if (spec.align == '0') spec.align = '=';
  const auto is_one_of = [&](std::string_view types) {
    return spec.type == '\0' ? types.find('d') != std::string_view::npos
                             : types.find(spec.type) != std::string_view::npos;
  };
  std::string out;
  if (value.is_integral() && is_one_of("dxXobnc")) {
    if (spec.precision >= 0) {
      return type_error("Precision not allowed in integer format specifier");
    }
    if (spec.type == 'c') return format_character(value, spec);
    if (spec.grouping != '\0' && (spec.type == 'n' || (spec.grouping == ',' && !is_one_of("d")))) {
      return type_error(fmt::format("Cannot specify '{}' with '{}'.", spec.grouping, spec.type));
    }
    if (spec.type == 'n') spec.type = 'd';
    out = format_integer(value.integer(), spec);
  } else if (spec.type == '\0' || is_one_of("eEfFgG%n")) {
    if (spec.type == 'n' && spec.grouping != '\0') {
      return type_error(fmt::format("Cannot specify '{}' with 'n'.", spec.grouping));
    }
    if (spec.type == 'n') spec.type = 'g';
    out = format_float(value.number(), spec);
  } else {
    return unknown_code(spec, value);
  }
  return pad_format(std::move(out), spec, spec.align == '\0' ? '>' : spec.align);
}

Result<std::string> format_field(Context& context, const Value& value, std::string_view text) {
  if (text.empty()) return context.to_text(value);
  ASSIGN_OR_RETURN(const FormatSpec spec, read_spec(text));
  RETURN_IF_ERROR(context.charge(spec.width * static_cast<int64_t>(spec.fill.size())));
  if (value.is_text()) return format_text(context, value, spec);
  if (value.is_number()) return format_number(value, spec);
  return type_error(
      fmt::format("unsupported format string passed to {}.__format__", type_name(value)));
}

// How the fields of one text name their arguments: all by numbers, or all in turn.
struct Numbering {
  int64_t next = 0;
  bool automatic = false;
  bool manual = false;
};

// name, index or nothing, then .attribute and [item] parts.
ValueResult resolve_field(Context& context, std::string_view field, const Arguments& arguments,
                          Numbering& numbering) {
  const size_t end = std::min(field.find_first_of(".["), field.size());
  const std::string_view first = field.substr(0, end);
  int64_t index = -1;
  if (first.empty()) {
    index = numbering.next++;
    numbering.automatic = true;
  } else if (first.find_first_not_of("0123456789") == std::string_view::npos && first.size() < 9) {
    index = std::stoll(std::string(first));
    numbering.manual = true;
  }
  if (numbering.automatic && numbering.manual) {
    return type_error("cannot mix automatic and manual numbering of format fields");
  }
  const Value* found = index >= 0 ? (static_cast<size_t>(index) < arguments.positional.size()
                                         ? &arguments.positional[static_cast<size_t>(index)]
                                         : nullptr)
                                  : arguments.find(SIZE_MAX, first);
  if (!found) {
    return type_error(index >= 0 ? "Replacement index out of range for positional args tuple"
                                 : "KeyError: " + quote_text(first));
  }
  Value value = *found;
  std::string_view rest = field.substr(end);
  while (!rest.empty()) {
    const bool bracket = rest[0] == '[';
    const size_t stop =
        bracket ? rest.find(']') : std::min(rest.find_first_of(".[", 1), rest.size());
    if (stop == std::string_view::npos || (!bracket && rest[0] != '.')) {
      return type_error("malformed field in format string");
    }
    const std::string_view name = rest.substr(1, stop - 1);
    if (name.empty()) return type_error("Empty attribute in format string");
    const bool number = bracket && !name.empty() && name.size() < 9 &&
                        name.find_first_not_of("0123456789") == std::string_view::npos;
    ASSIGN_OR_RETURN(value, number
                                ? context.item(value, Value(int64_t{std::stoll(std::string(name))}))
                                : context.attribute(value, name));
    rest = rest.substr(bracket ? stop + 1 : stop);
  }
  return value;
}

// The end of the field that begins behind `at`'s brace: its closing brace.
size_t field_end(std::string_view format, size_t at) {
  int64_t open = 1;
  bool in_brackets = false;
  for (size_t i = at + 1; i < format.size(); ++i) {
    if (format[i] == '[') in_brackets = true;
    if (format[i] == ']') in_brackets = false;
    if (in_brackets) continue;
    if (format[i] == '{') ++open;
    if (format[i] == '}' && --open == 0) return i;
  }
  return std::string_view::npos;
}

struct Field {
  std::string_view name, spec;
  char conversion = '\0';
};

Result<Field> split_field(std::string_view text) {
  Field field;
  size_t end = 0;
  for (bool in_brackets = false; end < text.size(); ++end) {
    if (text[end] == '[') in_brackets = true;
    if (text[end] == ']') in_brackets = false;
    if (!in_brackets && (text[end] == ':' || text[end] == '!')) break;
  }
  field.name = text.substr(0, end);
  if (field.name.find_first_of("{}") != std::string_view::npos) {
    return type_error("unexpected '{' in field name");
  }
  if (end < text.size() && text[end] == '!') {
    if (end + 1 >= text.size()) return type_error("end of string while looking for conversion");
    field.conversion = text[end + 1];
    end += 2;
    if (end < text.size() && text[end] != ':') {
      return type_error("expected ':' after conversion specifier");
    }
  }
  if (end < text.size()) field.spec = text.substr(end + 1);
  return field;
}

class BraceFormatter {
 public:
  BraceFormatter(Context& context, const Arguments& arguments)
      : context_(context), arguments_(arguments) {}

  // `depth`: how many fields enclose `format`; a field's format may hold fields once.
  Result<std::string> run(std::string_view format, int32_t depth);

 private:
  Result<std::string> convert(std::string_view text, int32_t depth);

  Context& context_;
  const Arguments& arguments_;
  Numbering numbering_;
};

Result<std::string> BraceFormatter::convert(std::string_view text, int32_t depth) {
  if (depth > 1) return type_error("Max string recursion exceeded");
  ASSIGN_OR_RETURN(const Field field, split_field(text));
  ASSIGN_OR_RETURN(Value value, resolve_field(context_, field.name, arguments_, numbering_));
  if (field.conversion != '\0') {
    ASSIGN_OR_RETURN(std::string as_text, context_.to_text(value));
    if (field.conversion == 'r') as_text = repr(value);
    if (field.conversion == 'a') as_text = ascii_only(repr(value));
    if (std::string_view("sra").find(field.conversion) == std::string_view::npos) {
      return type_error(fmt::format("Unknown conversion specifier {}", field.conversion));
    }
    value = Value(std::move(as_text));
  }
  ASSIGN_OR_RETURN(const std::string spec, run(field.spec, depth + 1));
  RETURN_IF_ERROR(context_.step());
  return format_field(context_, value, spec);
}

Result<std::string> BraceFormatter::run(std::string_view format, int32_t depth) {
  std::string out;
  for (size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (at + 1 < format.size() && format[at + 1] == c) {
      out += c;
      ++at;
      continue;
    }
    if (c == '}' || at + 1 == format.size()) {
      return type_error(fmt::format("Single '{}' encountered in format string", c));
    }
    const size_t end = field_end(format, at);
    if (end == std::string_view::npos) return type_error("expected '}' before end of string");
    ASSIGN_OR_RETURN(const std::string text, convert(format.substr(at + 1, end - at - 1), depth));
    out += text;
    at = end;
  }
  return out;
}

}  // namespace

ValueResult format_braces(Context& context, const Value& format, const Arguments& arguments) {
  RETURN_IF_ERROR(context.charge(static_cast<int64_t>(format.text().size())));
  ASSIGN_OR_RETURN(std::string out, BraceFormatter(context, arguments).run(format.text(), 0));
  return Value(std::move(out), format.is_markup());
}

}  // namespace pagoda::jinja
