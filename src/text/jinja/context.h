// Context: the budget of one render, and lookups on values with the sandbox's rules.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/jinja/value.h"

namespace pagoda::jinja {

// What one render may use up before it is refused.
struct Limits {
  int64_t max_steps = 10'000'000;          // expressions and elements visited
  int64_t max_bytes = int64_t{256} << 20;  // of all texts and lists made, temporary ones too
  int32_t max_depth = 500;                 // nesting of evaluation, macros included
};

// State of one render that every operation shares. One thread.
class Context {
 public:
  explicit Context(const Limits& limits) : limits_(limits) {}
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Count work and memory against the budget; kInvalidArgument when it is used up.
  Result<void> step(int64_t count = 1);
  Result<void> charge(int64_t bytes);
  // Both, for a list of `count` values being made or walked.
  Result<void> charge_items(size_t count);

  // Counts a level of nesting while it lives.
  class Level {
   public:
    explicit Level(Context& context) : context_(context) { ++context_.depth_; }
    ~Level() { --context_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    Result<void> check() const;

   private:
    Context& context_;
  };

  // Objects that can be part of a reference cycle; cleared at the end of the render.
  void retain(std::shared_ptr<Object> object) { retained_.push_back(std::move(object)); }

  // `object.name` and `object[key]` of Jinja: attributes and items stand in for each other. A miss
  // is an Undefined value; an Undefined object is an error.
  ValueResult attribute(const Value& object, std::string_view name);
  ValueResult item(const Value& object, const Value& key);
  // `object.name` without the fallback to an item; null when there is none.
  Result<std::shared_ptr<const Value>> own_attribute(const Value& object, std::string_view name);
  // `object[start:stop:step]`; null pointers for parts left out.
  ValueResult slice(const Value& object, const Value& start, const Value& stop, const Value& step);

  ValueResult call(const Value& callee, Arguments arguments);
  // The items of an iterable; uses up an iterator.
  Result<std::vector<Value>> iterate(const Value& value);
  Result<int64_t> length(const Value& value);
  Result<bool> contains(const Value& container, const Value& item);

  // Python's str(). Charged.
  Result<std::string> to_text(const Value& value);

 private:
  Limits limits_;
  int64_t steps_ = 0;
  int64_t bytes_ = 0;
  int32_t depth_ = 0;
  std::vector<std::shared_ptr<Object>> retained_;
};

// Errors in Python's words.
Error type_error(std::string message);
Error unhashable(const Value& value);
Error undefined_error(const Value& undefined);
// The Undefined value for a missing name of an object.
Value missing(const Value& object, const Value& name);

// Byte offset of each code point of `text`, and its end.
std::vector<size_t> code_point_offsets(std::string_view text);

}  // namespace pagoda::jinja
