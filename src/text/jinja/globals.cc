// Functions every template can call.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <functional>
#include <string>
#include <utility>

#include "text/jinja/builtins.h"
#include "text/jinja/text_form.h"

namespace pagoda::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // Jinja2's sandbox has the same

// The attributes of a namespace() can be set. Shared: every copy of the value sees the change.
class Namespace final : public Object {
 public:
  explicit Namespace(std::shared_ptr<Dict> attributes) : attributes_(std::move(attributes)) {}
  std::string type_name() const override { return "Namespace"; }
  // Only the names: a namespace may hold itself.
  std::string repr() const override {
    std::string names;
    for (const auto& [key, unused] : attributes_->items) {
      names += (names.empty() ? "" : ", ") + repr_of(key);
    }
    return "<Namespace {" + names + "}>";
  }
  std::shared_ptr<const Value> attribute(Context&, std::string_view name) override {
    const Value* found = attributes_->find(name);
    return found ? std::make_shared<const Value>(*found) : nullptr;
  }
  bool set_attribute(std::string_view name, const Value& value) override {
    attributes_->set(make_text(name), value);
    return true;
  }
  void clear() override { attributes_ = std::make_shared<Dict>(); }

 private:
  static std::string repr_of(const Value& key) { return jinja::repr(key); }
  std::shared_ptr<Dict> attributes_;
};

// cycler(a, b, ...): .next(), .reset(), .current.
class Cycler final : public Object, public std::enable_shared_from_this<Cycler> {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}
  std::string type_name() const override { return "Cycler"; }
  std::shared_ptr<const Value> attribute(Context& context, std::string_view name) override;
  const Value& advance() {
    const Value& item = items_[at_];
    at_ = (at_ + 1) % items_.size();
    return item;
  }
  void reset() { at_ = 0; }

 private:
  std::vector<Value> items_;
  size_t at_ = 0;
};

class Function final : public Object {
 public:
  using Body = std::function<ValueResult(Context& context, const Arguments& arguments)>;
  Function(std::string name, Body body) : name_(std::move(name)), body_(std::move(body)) {}
  std::string type_name() const override { return "function"; }
  std::string repr() const override { return fmt::format("<function {}>", name_); }
  bool callable() const override { return true; }
  ValueResult call(Context& context, Arguments arguments) override {
    return body_(context, arguments);
  }

 private:
  std::string name_;
  Body body_;
};

Value object_value(std::shared_ptr<Object> object) {
  return Value(std::move(object));
}

// cycler.next and cycler.reset.
class CyclerMethod final : public Object {
 public:
  CyclerMethod(std::shared_ptr<Cycler> cycler, bool is_next)
      : cycler_(std::move(cycler)), is_next_(is_next) {}
  std::string type_name() const override { return "method"; }
  bool callable() const override { return true; }
  ValueResult call(Context&, Arguments) override {
    Value result;
    if (is_next_) {
      result = cycler_->advance();
    } else {
      cycler_->reset();
    }
    return result;
  }

 private:
  std::shared_ptr<Cycler> cycler_;
  bool is_next_;
};

std::shared_ptr<const Value> Cycler::attribute(Context&, std::string_view name) {
  if (name == "current") return std::make_shared<const Value>(items_[at_]);
  if (name != "next" && name != "reset") return nullptr;
  return std::make_shared<const Value>(
      object_value(std::make_shared<CyclerMethod>(shared_from_this(), name == "next")));
}

ValueResult call_range(Context& context, const Arguments& arguments) {
  const size_t count = arguments.positional.size();
  if (count < 1 || count > 3) return type_error("range expected 1 to 3 arguments");
  for (const Value& value : arguments.positional) {
    if (value.is_undefined()) return undefined_error(value);
    if (!value.is_integral()) {
      return type_error(
          fmt::format("'{}' object cannot be interpreted as an integer", type_name(value)));
    }
  }
  const int64_t start = count > 1 ? arguments.positional[0].integer() : 0;
  const int64_t stop = arguments.positional[count > 1 ? 1 : 0].integer();
  const int64_t step = count > 2 ? arguments.positional[2].integer() : 1;
  if (step == 0) return type_error("range() arg 3 must not be zero");
  // The distance may need 65 bits, so it is measured in double first.
  const double distance =
      (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
  if (distance > static_cast<double>(kMaxRange)) {
    return type_error(fmt::format(
        "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaxRange));
  }
  std::vector<Value> items;
  // Steps near the ends of int64 would overflow, so the sum is checked.
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  RETURN_IF_ERROR(context.charge_items(items.size()));
  ASSIGN_OR_RETURN(Value range, make_sequence(Sequence::Type::kRange, std::move(items)));
  range.sequence()->range_start = start;
  range.sequence()->range_stop = stop;
  range.sequence()->range_step = step;
  return range;
}

// dict(mapping or pairs, name=value, ...).
Result<std::shared_ptr<Dict>> collect_dict(Context& context, const Arguments& arguments) {
  auto dict = std::make_shared<Dict>();
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is_undefined()) return undefined_error(source);
    if (const Dict* other = source.dict()) {
      RETURN_IF_ERROR(context.charge_items(other->items.size() * 4));
      *dict = *other;
    } else {
      ASSIGN_OR_RETURN(const std::vector<Value> pairs, context.iterate(source));
      for (const Value& pair_value : pairs) {
        ASSIGN_OR_RETURN(const std::vector<Value> pair, context.iterate(pair_value));
        if (pair.size() != 2 || !hashable(pair[0])) {
          return type_error("dict() wants pairs of a hashable key and a value");
        }
        dict->set(pair[0], pair[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict->set(make_text(name), value);
  return dict;
}

ValueResult call_dict(Context& context, const Arguments& arguments) {
  ASSIGN_OR_RETURN(std::shared_ptr<Dict> dict, collect_dict(context, arguments));
  return make_dict(std::move(dict));
}

ValueResult call_namespace(Context& context, const Arguments& arguments) {
  ASSIGN_OR_RETURN(std::shared_ptr<Dict> attributes, collect_dict(context, arguments));
  auto space = std::make_shared<Namespace>(std::move(attributes));
  context.retain(space);  // it can come to hold itself
  return object_value(std::move(space));
}

ValueResult call_cycler(Context&, const Arguments& arguments) {
  if (arguments.positional.empty()) return type_error("at least one item has to be provided");
  return object_value(std::make_shared<Cycler>(arguments.positional));
}

ValueResult call_joiner(Context&, const Arguments& arguments) {
  const Value* separator = arguments.find(0, "sep");
  return object_value(
      std::make_shared<Function>("joiner",
                                 [separator = separator ? *separator : make_text(", "),
                                  used = false](Context&, const Arguments&) mutable -> ValueResult {
                                   return std::exchange(used, true) ? separator : make_text("");
                                 }));
}

ValueResult call_raise_exception(Context& context, const Arguments& arguments) {
  const Value* message = arguments.find(0, "message");
  if (!message) return type_error("raise_exception() misses its message");
  ASSIGN_OR_RETURN(std::string text, context.to_text(*message));
  // A client must be told something.
  if (text.empty()) text = "the chat template refused the messages and gave no reason";
  return invalid_argument(std::move(text));
}

// Local time, as Python's datetime.now().strftime().
ValueResult call_strftime_now(Context&, const Arguments& arguments) {
  const Value* format = arguments.find(0, "format");
  if (!format || !format->is_text()) return type_error("strftime_now: a format is needed");
  if (format->text().size() > 1000) return type_error("strftime_now: the format is too long");
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  // A conversion takes at most some 60 bytes; padding widths such as %999d are a glibc extension.
  std::string out(format->text().size() * 64 + 64, '\0');
  // The space tells an empty result from one that did not fit.
  const std::string spaced = format->text() + " ";
  const size_t size = std::strftime(out.data(), out.size(), spaced.c_str(), &local);
  if (size == 0) return type_error("strftime_now: the result is too long");
  out.resize(size - 1);
  return Value(std::move(out));
}

}  // namespace

std::shared_ptr<Object> global_function(std::string_view name) {
  static constexpr std::array<
      std::pair<std::string_view, ValueResult (*)(Context&, const Arguments&)>, 7>
      kFunctions = {{{"range", call_range},
                     {"dict", call_dict},
                     {"namespace", call_namespace},
                     {"cycler", call_cycler},
                     {"joiner", call_joiner},
                     {"raise_exception", call_raise_exception},
                     {"strftime_now", call_strftime_now}}};
  for (const auto& [key, function] : kFunctions) {
    if (key == name) return std::make_shared<Function>(std::string(name), function);
  }
  return nullptr;
}

}  // namespace pagoda::jinja
