// Loop: the `loop` variable of a for block.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/context.h"
#include "text/jinja/value.h"

namespace pagoda::jinja {

// Position and neighbours of the current item. The interpreter moves it on.
class Loop final : public Object, public std::enable_shared_from_this<Loop> {
 public:
  // Renders the body over other items, one level deeper; null unless the loop is recursive.
  using Recurse = std::function<ValueResult(const Value& items, int64_t depth)>;

  Loop(std::vector<Value> items, int64_t depth, Recurse recurse)
      : items_(std::move(items)), depth_(depth), recurse_(std::move(recurse)) {}

  bool next() { return ++index_ < static_cast<int64_t>(items_.size()); }
  const Value& item() const { return items_[static_cast<size_t>(index_)]; }

  std::string type_name() const override { return "LoopContext"; }
  std::string repr() const override;
  bool callable() const override { return true; }
  ValueResult call(Context& context, Arguments arguments) override;
  std::shared_ptr<const Value> attribute(Context& context, std::string_view name) override;
  void clear() override {
    last_changed_.clear();
    items_.clear();
  }

  // loop.changed(...): true when the values differ from those of the last call.
  bool changed(Context& context, const std::vector<Value>& values);
  int64_t index() const { return index_; }

 private:
  std::vector<Value> items_;
  int64_t index_ = -1;
  int64_t depth_;  // 1 for the outermost level
  Recurse recurse_;
  bool has_changed_ = false;  // changed() was called
  std::vector<Value> last_changed_;
};

}  // namespace pagoda::jinja
