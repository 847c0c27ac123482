// Loop: the `loop` variable of a for block.
#include "text/jinja/loop.h"

#include <fmt/core.h>

#include <algorithm>

namespace pagoda::jinja {
namespace {

// loop.cycle and loop.changed.
class LoopMethod final : public Object {
 public:
  LoopMethod(std::shared_ptr<Loop> loop, bool is_cycle)
      : loop_(std::move(loop)), is_cycle_(is_cycle) {}
  std::string type_name() const override { return "method"; }
  bool callable() const override { return true; }
  ValueResult call(Context& context, Arguments arguments) override {
    if (!is_cycle_) return Value(loop_->changed(context, arguments.positional));
    if (arguments.positional.empty()) return type_error("no items for cycling given");
    return arguments.positional[static_cast<size_t>(loop_->index()) % arguments.positional.size()];
  }

 private:
  std::shared_ptr<Loop> loop_;
  bool is_cycle_;
};

}  // namespace

std::string Loop::repr() const {
  return fmt::format("<LoopContext {}/{}>", index_ + 1, items_.size());
}

ValueResult Loop::call(Context&, Arguments arguments) {
  if (!recurse_) {
    return type_error("The loop must have the 'recursive' marker to be called recursively.");
  }
  if (arguments.positional.size() != 1) return type_error("loop() takes one iterable");
  return recurse_(arguments.positional[0], depth_ + 1);
}

std::shared_ptr<const Value> Loop::attribute(Context&, std::string_view name) {
  const auto length = static_cast<int64_t>(items_.size());
  const auto answer = [](Value value) { return std::make_shared<const Value>(std::move(value)); };
  if (name == "index") return answer(index_ + 1);
  if (name == "index0") return answer(index_);
  if (name == "revindex") return answer(length - index_);
  if (name == "revindex0") return answer(length - index_ - 1);
  if (name == "first") return answer(index_ == 0);
  if (name == "last") return answer(index_ + 1 >= length);
  if (name == "length") return answer(length);
  if (name == "depth") return answer(depth_);
  if (name == "depth0") return answer(depth_ - 1);
  if (name == "previtem") {
    return answer(index_ > 0 ? items_[static_cast<size_t>(index_ - 1)]
                             : Value::undefined("there is no previous item"));
  }
  if (name == "nextitem") {
    return answer(index_ + 1 < length ? items_[static_cast<size_t>(index_ + 1)]
                                      : Value::undefined("there is no next item"));
  }
  if (name == "cycle" || name == "changed") {
    return answer(Value(std::shared_ptr<Object>(
        std::make_shared<LoopMethod>(shared_from_this(), name == "cycle"))));
  }
  return nullptr;
}

bool Loop::changed(Context& context, const std::vector<Value>& values) {
  const bool same = has_changed_ && values.size() == last_changed_.size() &&
                    std::equal(values.begin(), values.end(), last_changed_.begin(), equal);
  if (same) return false;
  // The values may hold this loop itself.
  if (!has_changed_) context.retain(shared_from_this());
  has_changed_ = true;
  last_changed_ = values;
  return true;
}

}  // namespace pagoda::jinja
