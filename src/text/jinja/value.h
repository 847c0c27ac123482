// Value: what a Jinja expression evaluates to, with Python's semantics.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace pagoda::jinja {

class Value;
class Object;
struct Sequence;
struct Dict;

// The result of a lookup that found nothing. Renders as "", is false and empty; any other use is an
// error with this message.
struct Undefined {
  std::shared_ptr<const std::string> message;
};

struct None {};

struct Text {
  std::shared_ptr<const std::string> text;  // valid UTF-8
  bool markup = false;  // made by `safe` or `escape`: `+` escapes the other side
};

// One value of a template. Copying is cheap: containers are shared, as in Python. Values belong to
// one render and one thread.
class Value {
 public:
  Value() : state_(None{}) {}
  Value(bool value) : state_(value) {}          // NOLINT(google-explicit-constructor)
  Value(int64_t value) : state_(value) {}       // NOLINT(google-explicit-constructor)
  Value(double value) : state_(value) {}        // NOLINT(google-explicit-constructor)
  Value(std::string text, bool markup = false)  // NOLINT(google-explicit-constructor)
      : state_(Text{std::make_shared<const std::string>(std::move(text)), markup}) {}
  Value(const char*) = delete;                                          // would become bool
  Value(std::shared_ptr<Sequence> value) : state_(std::move(value)) {}  // NOLINT
  Value(std::shared_ptr<Dict> value) : state_(std::move(value)) {}      // NOLINT
  Value(std::shared_ptr<Object> value) : state_(std::move(value)) {}    // NOLINT
  static Value undefined(std::string message);

  bool is_undefined() const { return std::holds_alternative<Undefined>(state_); }
  bool is_none() const { return std::holds_alternative<None>(state_); }
  bool is_bool() const { return std::holds_alternative<bool>(state_); }
  bool is_int() const { return std::holds_alternative<int64_t>(state_); }  // not bool
  bool is_float() const { return std::holds_alternative<double>(state_); }
  bool is_text() const { return std::holds_alternative<Text>(state_); }
  bool is_integral() const { return is_int() || is_bool(); }  // Python's int, of which bool is one
  bool is_number() const { return is_integral() || is_float(); }

  // REQUIRES: the matching is_*().
  const std::string& text() const { return *std::get<Text>(state_).text; }
  bool is_markup() const { return is_text() && std::get<Text>(state_).markup; }
  int64_t integer() const { return is_bool() ? std::get<bool>(state_) : std::get<int64_t>(state_); }
  double number() const {
    return is_float() ? std::get<double>(state_) : static_cast<double>(integer());
  }
  const std::string& undefined_message() const { return *std::get<Undefined>(state_).message; }

  // Null when it is something else. The pointee is shared with every copy of this value.
  Sequence* sequence() const;
  Dict* dict() const;
  Object* object() const;
  std::shared_ptr<Object> shared_object() const;

  // Python's `is`.
  bool same_as(const Value& other) const;
  // Nesting of containers: 0 for a scalar.
  int32_t depth() const;
  // About how many bytes this value takes when written out, shared parts counted each time.
  int64_t weight() const;

 private:
  std::variant<Undefined, None, bool, int64_t, double, Text, std::shared_ptr<Sequence>,
               std::shared_ptr<Dict>, std::shared_ptr<Object>>
      state_;
};

using ValueResult = Result<Value>;

// Python's ordered sequences and iterators. An iterator gives its items once.
struct Sequence {
  enum class Type { kList, kTuple, kRange, kDictKeys, kDictValues, kDictItems, kIterator };
  Type type = Type::kList;
  std::vector<Value> items;
  int32_t depth = 1;
  int64_t weight = 1;
  int64_t range_start = 0, range_stop = 0, range_step = 1;  // kRange: what it was made of
  bool is_group = false;  // a tuple of the groupby filter: has .grouper and .list

  bool indexable() const {
    return type == Type::kList || type == Type::kTuple || type == Type::kRange;
  }
};

// Insertion-ordered mapping; keys are scalars or tuples of them.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  int32_t depth = 1;
  int64_t weight = 1;

  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  // Adds or overwrites.
  void set(const Value& key, Value value);

 private:
  template <typename Matches>
  int64_t position(size_t hash, const Matches& matches) const;
  std::unordered_multimap<size_t, size_t> places_;  // hash of a key to its place in items
};

// Arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The positional argument at `index`, else the one named `name`; null when there is neither.
  const Value* find(size_t index, std::string_view name) const;
};

class Context;

// Something with behaviour: macro, loop, namespace, bound method, function.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;  // as in Python's messages
  virtual std::string repr() const { return "<" + type_name() + " object>"; }
  virtual bool callable() const { return false; }
  virtual ValueResult call(Context& context, Arguments arguments);
  // Null when there is no such attribute.
  virtual std::shared_ptr<const Value> attribute(Context& context, std::string_view name);
  // False when this object's attributes cannot be set.
  virtual bool set_attribute(std::string_view, const Value&) { return false; }
  // Drops references to other values: breaks cycles at the end of a render.
  virtual void clear() {}
};

// Containers share their parts, so a small template can build a value that is astronomically large
// when walked. These limits hold when a container is made; whatever walks it is then bounded.
inline constexpr int32_t kMaxValueDepth = 100;
inline constexpr int64_t kMaxValueWeight = int64_t{64} << 20;

// Makes containers; kInvalidArgument beyond the limits above.
ValueResult make_sequence(Sequence::Type type, std::vector<Value> items);
ValueResult make_list(std::vector<Value> items);
ValueResult make_tuple(std::vector<Value> items);
// Wraps a finished dict, after measuring it.
ValueResult make_dict(std::shared_ptr<Dict> dict);
Value make_text(std::string_view text);

// Deep copy of a JSON value. kInvalidArgument beyond the limits above.
ValueResult from_json(const Json& json, int32_t depth = 0);

// Python's bool(), ==, and type(x).__name__.
bool truth(const Value& value);
bool equal(const Value& left, const Value& right);
std::string type_name(const Value& value);
bool hashable(const Value& value);
// Equal values have equal hashes. REQUIRES: hashable(value).
size_t hash_of(const Value& value);

// Python's <: sets `out` to -1, 0 or 1. False when the types have no order.
bool compare(const Value& left, const Value& right, int& out);

}  // namespace pagoda::jinja
