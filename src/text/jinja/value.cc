// Value: equality, order, truth and conversion.
#include "text/jinja/value.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/unicode.h"

namespace pagoda::jinja {

Value Value::undefined(std::string message) {
  Value value;
  value.state_ = Undefined{std::make_shared<const std::string>(std::move(message))};
  return value;
}

Sequence* Value::sequence() const {
  const auto* pointer = std::get_if<std::shared_ptr<Sequence>>(&state_);
  return pointer ? pointer->get() : nullptr;
}

Dict* Value::dict() const {
  const auto* pointer = std::get_if<std::shared_ptr<Dict>>(&state_);
  return pointer ? pointer->get() : nullptr;
}

Object* Value::object() const {
  return shared_object().get();
}

std::shared_ptr<Object> Value::shared_object() const {
  const auto* pointer = std::get_if<std::shared_ptr<Object>>(&state_);
  return pointer ? *pointer : nullptr;
}

bool Value::same_as(const Value& other) const {
  if (state_.index() != other.state_.index()) return false;
  if (sequence()) return sequence() == other.sequence();
  if (dict()) return dict() == other.dict();
  if (object()) return object() == other.object();
  if (is_text()) {
    // Python interns most short strings of a template; equal text is the useful answer.
    return text() == other.text();
  }
  return equal(*this, other);
}

int32_t Value::depth() const {
  if (const Sequence* s = sequence()) return s->depth;
  if (const Dict* d = dict()) return d->depth;
  return 0;
}

int64_t Value::weight() const {
  if (is_text()) return static_cast<int64_t>(text().size()) + 1;
  if (const Sequence* s = sequence()) return s->weight;
  if (const Dict* d = dict()) return d->weight;
  return 1;
}

template <typename Matches>
int64_t Dict::position(size_t hash, const Matches& matches) const {
  const auto [begin, end] = places_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (matches(items[it->second].first)) return static_cast<int64_t>(it->second);
  }
  return -1;
}

const Value* Dict::find(const Value& key) const {
  const int64_t at = position(hash_of(key), [&](const Value& other) { return equal(other, key); });
  return at < 0 ? nullptr : &items[static_cast<size_t>(at)].second;
}

const Value* Dict::find(std::string_view key) const {
  const int64_t at = position(std::hash<std::string_view>()(key), [&](const Value& other) {
    return other.is_text() && other.text() == key;
  });
  return at < 0 ? nullptr : &items[static_cast<size_t>(at)].second;
}

void Dict::set(const Value& key, Value value) {
  const size_t hash = hash_of(key);
  const int64_t at = position(hash, [&](const Value& other) { return equal(other, key); });
  if (at >= 0) {
    items[static_cast<size_t>(at)].second = std::move(value);
    return;
  }
  places_.emplace(hash, items.size());
  items.emplace_back(key, std::move(value));
}

const Value* Arguments::find(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

ValueResult Object::call(Context&, Arguments) {
  return invalid_argument(fmt::format("'{}' object is not callable", type_name()));
}

std::shared_ptr<const Value> Object::attribute(Context&, std::string_view) {
  return nullptr;
}

namespace {

Error too_deep() {
  return invalid_argument(fmt::format("a value is nested deeper than {} levels", kMaxValueDepth));
}

// Refuses a container beyond the limits.
Result<void> check_limits(int32_t depth, int64_t weight) {
  if (depth > kMaxValueDepth) return too_deep();
  if (weight > kMaxValueWeight) {
    return invalid_argument(fmt::format("a value is larger than {} bytes", kMaxValueWeight));
  }
  return {};
}

}  // namespace

ValueResult make_sequence(Sequence::Type type, std::vector<Value> items) {
  auto sequence = std::make_shared<Sequence>();
  sequence->type = type;
  for (const Value& item : items) {
    sequence->depth = std::max(sequence->depth, item.depth() + 1);
    sequence->weight = std::min(sequence->weight + item.weight(), kMaxValueWeight + 1);
  }
  RETURN_IF_ERROR(check_limits(sequence->depth, sequence->weight));
  sequence->items = std::move(items);
  return Value(std::move(sequence));
}

ValueResult make_list(std::vector<Value> items) {
  return make_sequence(Sequence::Type::kList, std::move(items));
}

ValueResult make_tuple(std::vector<Value> items) {
  return make_sequence(Sequence::Type::kTuple, std::move(items));
}

ValueResult make_dict(std::shared_ptr<Dict> dict) {
  for (const auto& [key, value] : dict->items) {
    dict->depth = std::max({dict->depth, key.depth() + 1, value.depth() + 1});
    dict->weight = std::min(dict->weight + key.weight() + value.weight(), kMaxValueWeight + 1);
  }
  RETURN_IF_ERROR(check_limits(dict->depth, dict->weight));
  return Value(std::move(dict));
}

Value make_text(std::string_view text) {
  return Value(std::string(text));
}

ValueResult from_json(const Json& json, int32_t depth) {
  if (depth > kMaxValueDepth) return too_deep();
  switch (json.type()) {
    case Json::value_t::boolean: return Value(json.get<bool>());
    case Json::value_t::number_integer: return Value(json.get<int64_t>());
    case Json::value_t::number_unsigned: {
      const auto number = json.get<uint64_t>();
      if (number > static_cast<uint64_t>(INT64_MAX)) return Value(static_cast<double>(number));
      return Value(static_cast<int64_t>(number));
    }
    case Json::value_t::number_float: return Value(json.get<double>());
    case Json::value_t::string: {
      const std::string& text = json.get_ref<const std::string&>();
      if (is_valid_utf8(text)) return Value(text);
      std::string repaired;
      if (append_utf8_lossy(text, repaired) < text.size()) repaired += kReplacementCharacter;
      return Value(std::move(repaired));
    }
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) {
        ASSIGN_OR_RETURN(Value value, from_json(item, depth + 1));
        items.push_back(std::move(value));
      }
      return make_list(std::move(items));
    }
    case Json::value_t::object: {
      auto dict = std::make_shared<Dict>();
      for (const auto& [key, item] : json.items()) {
        ASSIGN_OR_RETURN(Value value, from_json(item, depth + 1));
        dict->set(make_text(key), std::move(value));
      }
      return make_dict(std::move(dict));
    }
    default: return Value();
  }
}

bool truth(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_integral()) return value.integer() != 0;
  if (value.is_float()) return value.number() != 0.0;
  if (value.is_text()) return !value.text().empty();
  if (const Sequence* s = value.sequence()) {
    return s->type == Sequence::Type::kIterator || !s->items.empty();
  }
  if (const Dict* d = value.dict()) return !d->items.empty();
  return true;
}

namespace {

bool equal_items(const std::vector<Value>& left, const std::vector<Value>& right) {
  return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin(), equal);
}

int order(double left, double right) {
  return left < right ? -1 : left > right ? 1 : 0;
}

int order(int64_t left, int64_t right) {
  return left < right ? -1 : left > right ? 1 : 0;
}

}  // namespace

bool equal(const Value& left, const Value& right) {
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral()) return left.integer() == right.integer();
    return left.number() == right.number();
  }
  if (left.is_text() && right.is_text()) return left.text() == right.text();
  if (left.is_none() || right.is_none()) return left.is_none() && right.is_none();
  if (left.is_undefined() || right.is_undefined()) {
    return left.is_undefined() && right.is_undefined();
  }
  if (left.sequence() && right.sequence()) {
    if (left.sequence() == right.sequence()) return true;
    return left.sequence()->type == right.sequence()->type &&
           left.sequence()->type != Sequence::Type::kIterator &&
           equal_items(left.sequence()->items, right.sequence()->items);
  }
  if (left.dict() && right.dict()) {
    if (left.dict()->items.size() != right.dict()->items.size()) return false;
    return std::all_of(left.dict()->items.begin(), left.dict()->items.end(), [&](const auto& item) {
      const Value* other = right.dict()->find(item.first);
      return other && equal(item.second, *other);
    });
  }
  return left.object() != nullptr && left.object() == right.object();
}

bool compare(const Value& left, const Value& right, int& out) {
  if (left.is_number() && right.is_number()) {
    out = left.is_integral() && right.is_integral() ? order(left.integer(), right.integer())
                                                    : order(left.number(), right.number());
    return true;
  }
  if (left.is_text() && right.is_text()) {
    out = left.text().compare(right.text());  // UTF-8 sorts as its code points do
    return true;
  }
  const Sequence* a = left.sequence();
  const Sequence* b = right.sequence();
  if (!a || !b || a->type != b->type ||
      (a->type != Sequence::Type::kList && a->type != Sequence::Type::kTuple)) {
    return false;
  }
  for (size_t i = 0; i < std::min(a->items.size(), b->items.size()); ++i) {
    if (equal(a->items[i], b->items[i])) continue;
    return compare(a->items[i], b->items[i], out);
  }
  out = order(static_cast<int64_t>(a->items.size()), static_cast<int64_t>(b->items.size()));
  return true;
}

std::string type_name(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "NoneType";
  if (value.is_bool()) return "bool";
  if (value.is_int()) return "int";
  if (value.is_float()) return "float";
  if (value.is_text()) return value.is_markup() ? "Markup" : "str";
  if (value.dict()) return "dict";
  if (const Sequence* s = value.sequence()) {
    switch (s->type) {
      case Sequence::Type::kList: return "list";
      case Sequence::Type::kTuple: return "tuple";
      case Sequence::Type::kRange: return "range";
      case Sequence::Type::kDictKeys: return "dict_keys";
      case Sequence::Type::kDictValues: return "dict_values";
      case Sequence::Type::kDictItems: return "dict_items";
      case Sequence::Type::kIterator: return "generator";
    }
  }
  return value.object()->type_name();
}

bool hashable(const Value& value) {
  if (value.dict()) return false;
  if (const Sequence* s = value.sequence()) {
    if (s->type == Sequence::Type::kList) return false;
    if (s->type == Sequence::Type::kTuple) {
      return std::all_of(s->items.begin(), s->items.end(), hashable);
    }
  }
  return true;
}

size_t hash_of(const Value& value) {
  if (value.is_text()) return std::hash<std::string_view>()(value.text());
  // 1, 1.0 and true are one key; integers that a double cannot tell apart share a hash.
  if (value.is_number()) return std::hash<double>()(value.number());
  const Sequence* s = value.sequence();
  if (s && (s->type == Sequence::Type::kTuple || s->type == Sequence::Type::kRange)) {
    size_t hash = s->items.size();
    for (const Value& item : s->items) hash = hash * 1000003 + hash_of(item);
    return hash;
  }
  return std::hash<const void*>()(s ? static_cast<const void*>(s) : value.object());
}

}  // namespace pagoda::jinja
