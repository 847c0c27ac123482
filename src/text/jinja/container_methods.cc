// Methods of Python's list, tuple, dict and numbers, and binding of methods to values.
#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>

#include "text/jinja/methods.h"
#include "text/jinja/text_form.h"

namespace pagoda::jinja {
namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

enum class Access { kNone, kAllowed, kForbidden };

// What Jinja2's immutable sandbox thinks of a method: it forbids those that change a list or dict.
Access method_access(const Value& self, std::string_view name) {
  if (self.is_text()) return has_text_method(name) ? Access::kAllowed : Access::kNone;
  if (self.dict()) {
    if (is_one_of(name, {"clear", "pop", "popitem", "setdefault", "update"})) {
      return Access::kForbidden;
    }
    return is_one_of(name, {"get", "items", "keys", "values", "copy"}) ? Access::kAllowed
                                                                       : Access::kNone;
  }
  if (const Sequence* s = self.sequence()) {
    const bool counted = is_one_of(name, {"count", "index"});
    if (s->type == Sequence::Type::kTuple) return counted ? Access::kAllowed : Access::kNone;
    if (s->type != Sequence::Type::kList) return Access::kNone;
    if (is_one_of(name,
                  {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"})) {
      return Access::kForbidden;
    }
    return counted || name == "copy" ? Access::kAllowed : Access::kNone;
  }
  if (self.is_float() && name == "is_integer") return Access::kAllowed;
  return Access::kNone;
}

class BoundMethod final : public Object {
 public:
  BoundMethod(Value self, std::string name) : self_(std::move(self)), name_(std::move(name)) {}
  std::string type_name() const override { return "builtin_function_or_method"; }
  std::string repr() const override {
    return fmt::format("<built-in method {} of {} object>", name_, jinja::type_name(self_));
  }
  bool callable() const override { return true; }
  ValueResult call(Context& context, Arguments arguments) override {
    return self_.is_text() ? call_text_method(context, self_, name_, arguments)
                           : call_container_method(context, self_, name_, arguments);
  }

 private:
  Value self_;
  std::string name_;
};

Result<void> check_arguments(std::string_view name, const Arguments& arguments) {
  const size_t count = arguments.positional.size();
  const size_t low = is_one_of(name, {"get", "count", "index"}) ? 1 : 0;
  const size_t high = name == "get" ? 2 : name == "index" ? 3 : low;
  if (count >= low && count <= high && arguments.named.empty()) return {};
  return type_error(fmt::format("{} expected {} to {} arguments, got {}", name, low, high,
                                count + arguments.named.size()));
}

ValueResult call_dict_method(const Dict& dict, std::string_view name, const Arguments& arguments) {
  if (name == "get") {
    const Value* key = arguments.find(0, "key");
    if (!key) return type_error("get expected at least 1 argument, got 0");
    if (!hashable(*key)) return unhashable(*key);
    if (const Value* found = dict.find(*key)) return *found;
    const Value* otherwise = arguments.find(1, "default");
    return otherwise ? *otherwise : Value();
  }
  if (name == "copy") return make_dict(std::make_shared<Dict>(dict));
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items) {
    if (name == "items") {
      ASSIGN_OR_RETURN(Value pair, make_tuple({key, value}));
      items.push_back(std::move(pair));
    } else {
      items.push_back(name == "keys" ? key : value);
    }
  }
  return make_sequence(name == "items"  ? Sequence::Type::kDictItems
                       : name == "keys" ? Sequence::Type::kDictKeys
                                        : Sequence::Type::kDictValues,
                       std::move(items));
}

ValueResult call_list_method(const Sequence& list, std::string_view name,
                             const Arguments& arguments) {
  if (name == "copy") return make_list(list.items);
  if (arguments.positional.empty()) return type_error(fmt::format("{}() misses an argument", name));
  const Value& wanted = arguments.positional[0];
  if (name == "count") {
    return Value(static_cast<int64_t>(std::count_if(
        list.items.begin(), list.items.end(), [&](const Value& v) { return equal(v, wanted); })));
  }
  const auto found = std::find_if(list.items.begin(), list.items.end(),
                                  [&](const Value& v) { return equal(v, wanted); });
  if (found == list.items.end()) return type_error(repr(wanted) + " is not in list");
  return Value(static_cast<int64_t>(found - list.items.begin()));
}

}  // namespace

std::shared_ptr<const Value> bound_method(const Value& self, std::string_view name) {
  switch (method_access(self, name)) {
    case Access::kNone: return nullptr;
    case Access::kForbidden:
      return std::make_shared<const Value>(Value::undefined(fmt::format(
          "access to attribute '{}' of '{}' object is unsafe.", name, type_name(self))));
    case Access::kAllowed: break;
  }
  return std::make_shared<const Value>(
      std::shared_ptr<Object>(std::make_shared<BoundMethod>(self, std::string(name))));
}

ValueResult call_container_method(Context& context, const Value& self, std::string_view name,
                                  const Arguments& arguments) {
  RETURN_IF_ERROR(check_arguments(name, arguments));
  if (const Dict* dict = self.dict()) {
    if (name != "get") RETURN_IF_ERROR(context.charge_items(dict->items.size() * 4));
    return call_dict_method(*dict, name, arguments);
  }
  if (const Sequence* s = self.sequence()) {
    RETURN_IF_ERROR(context.step(s->weight / 64 + static_cast<int64_t>(s->items.size()) / 8));
    return call_list_method(*s, name, arguments);
  }
  if (name == "is_integer" && self.is_float()) {
    return Value(self.number() == static_cast<double>(static_cast<int64_t>(self.number())));
  }
  return type_error(fmt::format("{} has no method {}", type_name(self), quote_text(name)));
}

}  // namespace pagoda::jinja
