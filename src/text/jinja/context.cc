// Context: budgets, attribute and item lookup, iteration.
#include "text/jinja/context.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "text/jinja/methods.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

// A short text of its own: the value, its string, their allocation.
constexpr int64_t kBytesPerText = 100;

}  // namespace

Error type_error(std::string message) {
  return invalid_argument(std::move(message));
}

Error unhashable(const Value& value) {
  return type_error(fmt::format("unhashable type: '{}'", type_name(value)));
}

Error undefined_error(const Value& undefined) {
  return invalid_argument(undefined.undefined_message());
}

Value missing(const Value& object, const Value& name) {
  const std::string owner = object.is_none() ? "None" : type_name(object) + " object";
  if (name.is_text()) {
    return Value::undefined(
        fmt::format("'{}' has no attribute {}", owner, quote_text(name.text())));
  }
  return Value::undefined(fmt::format("{} has no element {}", owner, repr(name)));
}

std::vector<size_t> code_point_offsets(std::string_view text) {
  std::vector<size_t> offsets;
  offsets.reserve(text.size() + 1);
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<uint8_t>(text[i]) & 0xC0U) != 0x80U) offsets.push_back(i);
  }
  offsets.push_back(text.size());
  return offsets;
}

Context::~Context() {
  for (const auto& object : retained_) object->clear();
}

Result<void> Context::step(int64_t count) {
  steps_ += count;
  if (steps_ > limits_.max_steps) {
    return invalid_argument(
        fmt::format("the template takes more than {} steps", limits_.max_steps));
  }
  return {};
}

Result<void> Context::charge(int64_t bytes) {
  // Compared before adding: `bytes` may be near the limits of its type.
  if (bytes > limits_.max_bytes - bytes_) {
    return invalid_argument(
        fmt::format("the template makes more than {} bytes of text", limits_.max_bytes));
  }
  bytes_ += bytes;
  return {};
}

Result<void> Context::charge_items(size_t count) {
  RETURN_IF_ERROR(step(static_cast<int64_t>(count) / 4));
  return charge(static_cast<int64_t>(count * sizeof(Value)));
}

Result<void> Context::Level::check() const {
  if (context_.depth_ > context_.limits_.max_depth) {
    return invalid_argument("maximum recursion depth exceeded in the template");
  }
  return {};
}

Result<std::shared_ptr<const Value>> Context::own_attribute(const Value& object,
                                                            std::string_view name) {
  using Found = std::shared_ptr<const Value>;
  if (Object* o = object.object()) {
    if (Found found = o->attribute(*this, name)) return found;
  }
  if (name.starts_with("__") && name.ends_with("__")) {
    return std::make_shared<const Value>(Value::undefined(fmt::format(
        "access to attribute '{}' of '{}' object is unsafe.", name, type_name(object))));
  }
  const Sequence* s = object.sequence();
  if (s && s->is_group && (name == "grouper" || name == "list")) {
    return std::make_shared<const Value>(s->items[name == "grouper" ? 0 : 1]);
  }
  return bound_method(object, name);
}

ValueResult Context::attribute(const Value& object, std::string_view name) {
  RETURN_IF_ERROR(step());
  if (object.is_undefined()) return undefined_error(object);
  ASSIGN_OR_RETURN(const std::shared_ptr<const Value> own, own_attribute(object, name));
  if (own) return *own;
  if (const Dict* d = object.dict()) {
    if (const Value* found = d->find(name)) return *found;
  }
  return missing(object, make_text(name));
}

ValueResult Context::item(const Value& object, const Value& key) {
  RETURN_IF_ERROR(step());
  if (object.is_undefined()) return undefined_error(object);
  if (const Dict* d = object.dict()) {
    if (hashable(key)) {
      RETURN_IF_ERROR(step(key.weight() / 16));
      if (const Value* found = d->find(key)) return *found;
    }
  } else if (key.is_integral()) {
    int64_t index = key.integer();
    const Sequence* s = object.sequence();
    if (s && s->indexable()) {
      const auto count = static_cast<int64_t>(s->items.size());
      if (index < 0) index += count;
      if (index >= 0 && index < count) return s->items[static_cast<size_t>(index)];
    } else if (object.is_text()) {
      RETURN_IF_ERROR(step(static_cast<int64_t>(object.text().size()) / 64));
      const std::vector<size_t> offsets = code_point_offsets(object.text());
      const auto count = static_cast<int64_t>(offsets.size()) - 1;
      if (index < 0) index += count;
      if (index >= 0 && index < count) {
        const auto at = static_cast<size_t>(index);
        return make_text(
            std::string_view(object.text()).substr(offsets[at], offsets[at + 1] - offsets[at]));
      }
    }
  }
  if (key.is_text()) {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Value> own, own_attribute(object, key.text()));
    if (own) return *own;
  }
  return missing(object, key);
}

namespace {

struct SliceRange {
  int64_t start = 0, stop = 0, step = 1, count = 0;
};

// Python's slice.indices().
Result<SliceRange> resolve_slice(int64_t length, const Value& start, const Value& stop,
                                 const Value& step) {
  for (const Value* bound : {&start, &stop, &step}) {
    if (bound->is_undefined()) return undefined_error(*bound);
    if (!bound->is_none() && !bound->is_integral()) {
      return type_error("slice indices must be integers or None");
    }
  }
  SliceRange range;
  range.step = step.is_none() ? 1 : step.integer();
  if (range.step == 0) return type_error("slice step cannot be zero");
  const bool backwards = range.step < 0;
  const int64_t low = backwards ? -1 : 0, high = backwards ? length - 1 : length;
  const auto clamp = [&](const Value& bound, int64_t otherwise) {
    if (bound.is_none()) return otherwise;
    const int64_t i = bound.integer();
    return std::clamp(i < 0 ? std::max(i, -length - 1) + length : i, low, high);
  };
  range.start = clamp(start, backwards ? high : low);
  const int64_t end = clamp(stop, backwards ? low : high);
  range.stop = end;
  const int64_t distance = backwards ? range.start - end : end - range.start;
  // A step beyond the length takes one element, and must not overflow on the way.
  const int64_t stride = range.step < -length ? length + 1 : std::abs(range.step);
  range.count = distance <= 0 ? 0 : (distance - 1) / stride + 1;
  return range;
}

}  // namespace

ValueResult Context::slice(const Value& object, const Value& start, const Value& stop,
                           const Value& step_by) {
  if (object.is_undefined()) return undefined_error(object);
  if (object.is_text()) {
    const std::string& text = object.text();
    RETURN_IF_ERROR(charge(static_cast<int64_t>(text.size())));
    const std::vector<size_t> offsets = code_point_offsets(text);
    ASSIGN_OR_RETURN(const SliceRange range,
                     resolve_slice(static_cast<int64_t>(offsets.size()) - 1, start, stop, step_by));
    std::string out;
    for (int64_t i = 0, at = range.start; i < range.count; ++i, at += range.step) {
      const auto index = static_cast<size_t>(at);
      out.append(text, offsets[index], offsets[index + 1] - offsets[index]);
      if (i + 1 == range.count) break;  // `at` must not step over the end of its type
    }
    return Value(std::move(out), object.is_markup());
  }
  const Sequence* s = object.sequence();
  if (!s || !s->indexable()) {
    return type_error(fmt::format("'{}' object is not subscriptable", type_name(object)));
  }
  RETURN_IF_ERROR(charge_items(s->items.size() / 4));
  ASSIGN_OR_RETURN(const SliceRange range,
                   resolve_slice(static_cast<int64_t>(s->items.size()), start, stop, step_by));
  std::vector<Value> items;
  for (int64_t i = 0, at = range.start; i < range.count; ++i, at += range.step) {
    items.push_back(s->items[static_cast<size_t>(at)]);
    if (i + 1 == range.count) break;
  }
  ASSIGN_OR_RETURN(Value result, make_sequence(s->type, std::move(items)));
  if (s->type == Sequence::Type::kRange) {
    // An extreme step may wrap around, which only its repr() would show.
    const auto times = [](int64_t a, int64_t b) {
      return static_cast<uint64_t>(a) * static_cast<uint64_t>(b);
    };
    const auto at_index = [&](int64_t index) {
      return static_cast<int64_t>(static_cast<uint64_t>(s->range_start) +
                                  times(index, s->range_step));
    };
    Sequence& made = *result.sequence();
    made.range_start = at_index(range.start);
    made.range_stop = at_index(range.stop);
    made.range_step = static_cast<int64_t>(times(s->range_step, range.step));
  }
  return result;
}

ValueResult Context::call(const Value& callee, Arguments arguments) {
  RETURN_IF_ERROR(step());
  if (callee.is_undefined()) return undefined_error(callee);
  const std::shared_ptr<Object> object = callee.shared_object();
  if (!object) return type_error(fmt::format("'{}' object is not callable", type_name(callee)));
  return object->call(*this, std::move(arguments));
}

Result<std::vector<Value>> Context::iterate(const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (value.is_text()) {
    const std::string_view text = value.text();
    const auto size = static_cast<int64_t>(text.size());
    RETURN_IF_ERROR(step(size / 4));
    RETURN_IF_ERROR(charge(size * kBytesPerText));
    for (size_t offset = 0; offset < text.size();) {
      const size_t begin = offset;
      next_code_point(text, offset);
      items.push_back(make_text(text.substr(begin, offset - begin)));
    }
    return items;
  }
  if (Sequence* s = value.sequence()) {
    RETURN_IF_ERROR(charge_items(s->items.size()));
    if (s->type == Sequence::Type::kIterator) return std::exchange(s->items, {});
    return s->items;
  }
  if (const Dict* d = value.dict()) {
    RETURN_IF_ERROR(charge_items(d->items.size()));
    for (const auto& [key, unused] : d->items) items.push_back(key);
    return items;
  }
  return type_error(fmt::format("'{}' object is not iterable", type_name(value)));
}

Result<int64_t> Context::length(const Value& value) {
  if (value.is_undefined()) return int64_t{0};
  if (value.is_text()) {
    RETURN_IF_ERROR(step(static_cast<int64_t>(value.text().size()) / 256));
    return count_code_points(value.text());
  }
  if (const Dict* d = value.dict()) return static_cast<int64_t>(d->items.size());
  const Sequence* s = value.sequence();
  if (s && s->type != Sequence::Type::kIterator) return static_cast<int64_t>(s->items.size());
  if (Object* o = value.object()) {
    const std::shared_ptr<const Value> count = o->attribute(*this, "length");
    if (count && count->is_int()) return count->integer();
  }
  return type_error(fmt::format("object of type '{}' has no len()", type_name(value)));
}

Result<bool> Context::contains(const Value& container, const Value& item) {
  if (container.is_text()) {
    if (!item.is_text()) {
      return type_error(
          fmt::format("'in <string>' requires string as left operand, not {}", type_name(item)));
    }
    RETURN_IF_ERROR(step(static_cast<int64_t>(container.text().size()) / 64));
    return container.text().find(item.text()) != std::string::npos;
  }
  if (const Dict* d = container.dict()) {
    if (!hashable(item)) {
      return unhashable(item);
    }
    RETURN_IF_ERROR(step(item.weight() / 16));
    return d->find(item) != nullptr;
  }
  if (!container.is_undefined() && !container.sequence()) {
    return type_error(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  }
  const Sequence* s = container.sequence();
  if (!s) return false;
  const auto num_items = static_cast<int64_t>(s->items.size());
  RETURN_IF_ERROR(step(num_items / 4 + std::min(container.weight(), item.weight()) / 16));
  const auto found = std::find_if(s->items.begin(), s->items.end(),
                                  [&](const Value& other) { return equal(other, item); });
  const bool result = found != s->items.end();
  if (s->type == Sequence::Type::kIterator) {
    // The search used up what it passed.
    container.sequence()->items.erase(s->items.begin(), result ? found + 1 : found);
  }
  return result;
}

Result<std::string> Context::to_text(const Value& value) {
  RETURN_IF_ERROR(step(value.weight() / 64));
  // Quotes and escapes at most quadruple it, braces and commas add two a part.
  RETURN_IF_ERROR(charge(value.weight()));
  return text_form(value);
}

}  // namespace pagoda::jinja
