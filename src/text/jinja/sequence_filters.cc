// Filters over sequences: order, grouping, joining; and choosing by tests.
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "text/jinja/builtins.h"
#include "text/jinja/case.h"
#include "text/jinja/operators.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

using Items = std::vector<Value>;

MaybeValue answer(ValueResult result) {
  RETURN_IF_ERROR(result);
  return std::make_shared<const Value>(*std::move(result));
}

bool flag(const Arguments& arguments, size_t index, std::string_view name) {
  const Value* value = arguments.find(index, name);
  return value && truth(*value);
}

// The flag that sorted() of Python takes, which must be an integer or a bool.
Result<bool> reverse_flag(const Arguments& arguments, size_t index) {
  const Value* value = arguments.find(index, "reverse");
  if (!value) return false;
  if (value->is_integral()) return truth(*value);
  return type_error(
      fmt::format("'{}' object cannot be interpreted as an integer", type_name(*value)));
}

Value ignoring_case(const Value& value) {
  return value.is_text() ? Value(change_case(value.text(), Case::kLower)) : value;
}

// Keys of items for sorting and grouping: an attribute, with `default_value` for a missing one.
Result<Items> keys_of(Context& context, const Items& items, const Value* path, bool fold,
                      const Value* default_value = nullptr) {
  Items keys;
  keys.reserve(items.size());
  for (const Value& item : items) {
    Value key = item;
    if (path && !path->is_none()) {
      ASSIGN_OR_RETURN(key, follow_path(context, item, *path));
      if (default_value && key.is_undefined()) key = *default_value;
    }
    keys.push_back(fold ? ignoring_case(key) : key);
  }
  return keys;
}

// Order of `keys`, stable. `equals_have_order`: values without an order may meet their equals.
// kInvalidArgument for keys that have no order.
Result<std::vector<size_t>> sorted_order(Context& context, const Items& keys, bool reverse,
                                         bool equals_have_order = false) {
  std::vector<size_t> order(keys.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  int64_t steps = 1;
  for (const Value& key : keys) steps += 16 + key.weight() / 4;
  RETURN_IF_ERROR(context.step(steps / 4));
  std::optional<Error> failure;
  std::stable_sort(order.begin(), order.end(), [&](size_t left, size_t right) {
    int result = 0;
    if (equals_have_order && equal(keys[left], keys[right])) return false;
    if (!compare(keys[left], keys[right], result) && !failure) {
      const Value& bad = keys[left].is_undefined() ? keys[left] : keys[right];
      failure = bad.is_undefined()
                    ? undefined_error(bad)
                    : type_error(fmt::format("'<' not supported between instances of '{}' and '{}'",
                                             type_name(keys[right]), type_name(keys[left])));
    }
    return reverse ? result > 0 : result < 0;
  });
  if (failure) return *failure;
  return order;
}

ValueResult filter_sort(Context& context, const Value& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  ASSIGN_OR_RETURN(const bool reverse, reverse_flag(arguments, 0));
  const bool fold = !flag(arguments, 1, "case_sensitive");
  const Value* attribute = arguments.find(2, "attribute");
  std::vector<size_t> order(items.size());
  if (attribute && attribute->is_text() && attribute->text().find(',') != std::string::npos) {
    // "a,b": tuples of keys.
    Items keys(items.size());
    for (size_t i = 0; i < items.size(); ++i) {
      Items parts;
      std::string_view rest = attribute->text();
      while (true) {
        const size_t comma = rest.find(',');
        ASSIGN_OR_RETURN(const Value part,
                         follow_path(context, items[i], make_text(rest.substr(0, comma))));
        parts.push_back(fold ? ignoring_case(part) : part);
        if (comma == std::string_view::npos) break;
        rest = rest.substr(comma + 1);
      }
      ASSIGN_OR_RETURN(keys[i], make_tuple(std::move(parts)));
    }
    ASSIGN_OR_RETURN(order, sorted_order(context, keys, reverse, true));
  } else {
    ASSIGN_OR_RETURN(const Items keys, keys_of(context, items, attribute, fold));
    ASSIGN_OR_RETURN(order, sorted_order(context, keys, reverse, true));
  }
  Items sorted;
  for (const size_t i : order) sorted.push_back(items[i]);
  return make_list(std::move(sorted));
}

ValueResult filter_dictsort(Context& context, const Value& input, const Arguments& arguments) {
  if (input.is_undefined()) return undefined_error(input);
  const Dict* dict = input.dict();
  if (!dict) {
    return type_error(fmt::format("'{}' object has no attribute 'items'", type_name(input)));
  }
  const bool fold = !flag(arguments, 0, "case_sensitive");
  const Value* by = arguments.find(1, "by");
  const std::string which = !by ? "key" : by->is_text() ? by->text() : "";
  if (which != "key" && which != "value") {
    return type_error("You can only sort by either \"key\" or \"value\"");
  }
  Items keys, pairs;
  for (const auto& [key, value] : dict->items) {
    const Value& sort_key = which == "key" ? key : value;
    keys.push_back(fold ? ignoring_case(sort_key) : sort_key);
    ASSIGN_OR_RETURN(Value pair, make_tuple({key, value}));
    pairs.push_back(std::move(pair));
  }
  ASSIGN_OR_RETURN(const bool reverse, reverse_flag(arguments, 2));
  ASSIGN_OR_RETURN(const auto order, sorted_order(context, keys, reverse));
  Items sorted;
  for (const size_t i : order) sorted.push_back(pairs[i]);
  return make_list(std::move(sorted));
}

ValueResult filter_groupby(Context& context, const Value& input, const Arguments& arguments) {
  const Value* attribute = arguments.find(0, "attribute");
  if (!attribute) return type_error("groupby: an attribute is needed");
  const Value* default_value = arguments.find(1, "default");
  const bool fold = !flag(arguments, 2, "case_sensitive");
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  ASSIGN_OR_RETURN(const Items real, keys_of(context, items, attribute, false, default_value));
  Items keys;
  for (const Value& key : real) keys.push_back(fold ? ignoring_case(key) : key);
  ASSIGN_OR_RETURN(const auto order, sorted_order(context, keys, false));
  Items groups;
  for (size_t i = 0; i < order.size();) {
    Items members;
    const size_t first = order[i];
    for (; i < order.size() && equal(keys[order[i]], keys[first]); ++i) {
      members.push_back(items[order[i]]);
    }
    ASSIGN_OR_RETURN(Value list, make_list(std::move(members)));
    ASSIGN_OR_RETURN(Value group, make_tuple({real[first], std::move(list)}));
    group.sequence()->is_group = true;
    groups.push_back(std::move(group));
  }
  return make_list(std::move(groups));
}

ValueResult filter_unique(Context& context, const Value& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  ASSIGN_OR_RETURN(const Items keys, keys_of(context, items, arguments.find(1, "attribute"),
                                             !flag(arguments, 0, "case_sensitive")));
  Dict seen;
  Items kept;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!hashable(keys[i])) {
      return unhashable(keys[i]);
    }
    if (seen.find(keys[i])) continue;
    seen.set(keys[i], Value(true));
    kept.push_back(items[i]);
  }
  return make_sequence(Sequence::Type::kIterator, std::move(kept));
}

ValueResult filter_extreme(Context& context, const Value& input, const Arguments& arguments,
                           bool want_max) {
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  ASSIGN_OR_RETURN(const Items keys, keys_of(context, items, arguments.find(1, "attribute"),
                                             !flag(arguments, 0, "case_sensitive")));
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    ASSIGN_OR_RETURN(const bool better,
                     comparison(context, want_max ? ">" : "<", keys[i], keys[best]));
    if (better) best = i;
  }
  return items[best];
}

ValueResult filter_join(Context& context, const Value& input, const Arguments& arguments) {
  const Value* separator_value = arguments.find(0, "d");
  const Value* attribute = arguments.find(1, "attribute");
  std::string separator;
  if (separator_value) {
    ASSIGN_OR_RETURN(separator, context.to_text(*separator_value));
  }
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  std::string out;
  bool first = true;
  for (const Value& item : items) {
    if (!first) {
      RETURN_IF_ERROR(context.charge(static_cast<int64_t>(separator.size())));
      out += separator;
    }
    first = false;
    Value part = item;
    if (attribute && !attribute->is_none()) {
      ASSIGN_OR_RETURN(part, follow_path(context, item, *attribute));
    }
    ASSIGN_OR_RETURN(const std::string text, context.to_text(part));
    out += text;
  }
  return Value(std::move(out));
}

ValueResult filter_first(Context& context, const Value& input) {
  if (Sequence* s = input.sequence(); s && s->type == Sequence::Type::kIterator) {
    if (s->items.empty()) return Value::undefined("No first item, sequence was empty.");
    RETURN_IF_ERROR(context.step(static_cast<int64_t>(s->items.size()) / 8));
    Value first = s->items.front();
    s->items.erase(s->items.begin());
    return first;
  }
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  if (items.empty()) return Value::undefined("No first item, sequence was empty.");
  return items.front();
}

ValueResult filter_last(Context& context, const Value& input) {
  const Sequence* s = input.sequence();
  if (s && s->type == Sequence::Type::kIterator) {
    return type_error("'generator' object is not reversible");
  }
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  if (items.empty()) return Value::undefined("No last item, sequence was empty.");
  return items.back();
}

ValueResult filter_reverse(Context& context, const Value& input) {
  if (input.is_text()) return context.slice(input, Value(), Value(), Value(int64_t{-1}));
  ASSIGN_OR_RETURN(Items items, context.iterate(input));
  std::reverse(items.begin(), items.end());
  return make_sequence(Sequence::Type::kIterator, std::move(items));
}

ValueResult filter_sum(Context& context, const Value& input, const Arguments& arguments) {
  const Value* attribute = arguments.find(0, "attribute");
  const Value* start = arguments.find(1, "start");
  Value total = start ? *start : Value(int64_t{0});
  if (total.is_text()) return type_error("sum() can't sum strings [use ''.join(seq) instead]");
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  for (const Value& item : items) {
    Value part = item;
    if (attribute && !attribute->is_none()) {
      ASSIGN_OR_RETURN(part, follow_path(context, item, *attribute));
    }
    ASSIGN_OR_RETURN(total, binary_operation(context, "+", total, part));
  }
  return total;
}

Result<int64_t> count_argument(const Arguments& arguments, std::string_view name) {
  const Value* count = arguments.find(0, name);
  if (!count || !count->is_integral() || count->integer() < 1 || count->integer() > 100'000) {
    return type_error(fmt::format("{} must be 1..100000", name));
  }
  return count->integer();
}

ValueResult filter_batch(Context& context, const Value& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const int64_t count, count_argument(arguments, "linecount"));
  const Value* fill = arguments.find(1, "fill_with");
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  Items batches;
  for (size_t i = 0; i < items.size(); i += static_cast<size_t>(count)) {
    const size_t end = std::min(items.size(), i + static_cast<size_t>(count));
    Items batch(items.begin() + static_cast<std::ptrdiff_t>(i),
                items.begin() + static_cast<std::ptrdiff_t>(end));
    if (fill && !fill->is_none()) {
      RETURN_IF_ERROR(context.step(count));
      batch.resize(static_cast<size_t>(count), *fill);
    }
    ASSIGN_OR_RETURN(Value list, make_list(std::move(batch)));
    batches.push_back(std::move(list));
  }
  return make_sequence(Sequence::Type::kIterator, std::move(batches));
}

ValueResult filter_slice(Context& context, const Value& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const int64_t count, count_argument(arguments, "slices"));
  const Value* fill = arguments.find(1, "fill_with");
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  RETURN_IF_ERROR(context.step(count));
  const auto slices = static_cast<size_t>(count);
  const size_t each = items.size() / slices, longer = items.size() % slices;
  Items columns;
  size_t at = 0;
  for (size_t i = 0; i < slices; ++i) {
    const size_t size = each + (i < longer ? 1 : 0);
    Items column(items.begin() + static_cast<std::ptrdiff_t>(at),
                 items.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
    if (fill && !fill->is_none() && i >= longer) column.push_back(*fill);
    ASSIGN_OR_RETURN(Value list, make_list(std::move(column)));
    columns.push_back(std::move(list));
  }
  return make_sequence(Sequence::Type::kIterator, std::move(columns));
}

ValueResult filter_map(Context& context, const Value& input, const Arguments& arguments) {
  Items mapped;
  if (!truth(input)) return make_sequence(Sequence::Type::kIterator, std::move(mapped));
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  const Value* attribute = arguments.find(SIZE_MAX, "attribute");
  const Value* default_value = arguments.find(SIZE_MAX, "default");
  const bool by_attribute = arguments.positional.empty() && attribute;
  if (!by_attribute && (arguments.positional.empty() || !arguments.positional[0].is_text())) {
    return type_error("map requires a filter argument");
  }
  if (by_attribute && arguments.named.size() > (default_value ? 2U : 1U)) {
    return type_error("map got an unexpected keyword argument");
  }
  Arguments rest;
  if (!by_attribute) {
    rest.positional.assign(arguments.positional.begin() + 1, arguments.positional.end());
    rest.named = arguments.named;
  }
  for (const Value& item : items) {
    Value result;
    if (by_attribute) {
      ASSIGN_OR_RETURN(result, follow_path(context, item, *attribute));
      if (default_value && result.is_undefined()) result = *default_value;
    } else {
      ASSIGN_OR_RETURN(result, apply_filter(context, arguments.positional[0].text(), item, rest));
    }
    mapped.push_back(std::move(result));
  }
  return make_sequence(Sequence::Type::kIterator, std::move(mapped));
}

// select, reject, selectattr and rejectattr.
ValueResult filter_choose(Context& context, const Value& input, const Arguments& arguments,
                          bool by_attribute, bool keep) {
  Items kept;
  if (!truth(input)) return make_sequence(Sequence::Type::kIterator, std::move(kept));
  const size_t offset = by_attribute ? 1 : 0;
  if (arguments.positional.size() < offset) {
    return type_error("Missing parameter for attribute name");
  }
  const Value* test = arguments.find(offset, "");
  if (test && !test->is_text()) return type_error("the name of a test must be a text");
  Arguments rest;
  if (arguments.positional.size() > offset + 1) {
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(offset) + 1,
                           arguments.positional.end());
  }
  rest.named = arguments.named;
  ASSIGN_OR_RETURN(const Items items, context.iterate(input));
  for (const Value& item : items) {
    Value tested = item;
    if (by_attribute) {
      ASSIGN_OR_RETURN(tested, follow_path(context, item, arguments.positional[0]));
    }
    bool passed = truth(tested);
    if (test) {
      ASSIGN_OR_RETURN(passed, apply_test(context, test->text(), tested, rest));
    }
    if (passed == keep) kept.push_back(item);
  }
  return make_sequence(Sequence::Type::kIterator, std::move(kept));
}

}  // namespace

ValueResult follow_path(Context& context, const Value& value, const Value& path) {
  if (path.is_none()) return value;
  if (path.is_integral()) return context.item(value, path);
  if (!path.is_text()) return type_error("an attribute must be a name or a number");
  Value current = value;
  std::string_view rest = path.text();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const bool number = !part.empty() && part.size() < 10 &&
                        part.find_first_not_of("0123456789") == std::string_view::npos;
    ASSIGN_OR_RETURN(current,
                     context.item(current, number ? Value(int64_t{std::stoll(std::string(part))})
                                                  : make_text(part)));
    if (dot == std::string_view::npos) return current;
    rest = rest.substr(dot + 1);
  }
}

MaybeValue sequence_filter(Context& context, std::string_view name, const Value& input,
                           const Arguments& arguments) {
  if (name == "list") {
    ASSIGN_OR_RETURN(Items items, context.iterate(input));
    return answer(make_list(std::move(items)));
  }
  if (name == "join") return answer(filter_join(context, input, arguments));
  if (name == "first") return answer(filter_first(context, input));
  if (name == "last") return answer(filter_last(context, input));
  if (name == "reverse") return answer(filter_reverse(context, input));
  if (name == "sort") return answer(filter_sort(context, input, arguments));
  if (name == "dictsort") return answer(filter_dictsort(context, input, arguments));
  if (name == "groupby") return answer(filter_groupby(context, input, arguments));
  if (name == "unique") return answer(filter_unique(context, input, arguments));
  if (name == "min") return answer(filter_extreme(context, input, arguments, false));
  if (name == "max") return answer(filter_extreme(context, input, arguments, true));
  if (name == "sum") return answer(filter_sum(context, input, arguments));
  if (name == "batch") return answer(filter_batch(context, input, arguments));
  if (name == "slice") return answer(filter_slice(context, input, arguments));
  return MaybeValue(nullptr);
}

MaybeValue selection_filter(Context& context, std::string_view name, const Value& input,
                            const Arguments& arguments) {
  if (name == "map") return answer(filter_map(context, input, arguments));
  if (name == "select") return answer(filter_choose(context, input, arguments, false, true));
  if (name == "reject") return answer(filter_choose(context, input, arguments, false, false));
  if (name == "selectattr") return answer(filter_choose(context, input, arguments, true, true));
  if (name == "rejectattr") return answer(filter_choose(context, input, arguments, true, false));
  return MaybeValue(nullptr);
}

}  // namespace pagoda::jinja
