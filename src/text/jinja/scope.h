// Scope: the variables of one stretch of a template.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace pagoda::jinja {

// A chain of scopes; a lookup falls through to the parent, an assignment stays here. An Object only
// so that the context can clear it: a macro and the scope it was defined in refer to each other.
class Scope final : public Object {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}

  std::string type_name() const override { return "scope"; }
  void clear() override {
    variables_.clear();
    parent_ = nullptr;
  }

  const Value* find(std::string_view name) const {
    for (const Scope* scope = this; scope; scope = scope->parent_.get()) {
      for (const auto& [key, value] : scope->variables_) {
        if (key == name) return &value;
      }
    }
    return nullptr;
  }
  void set(std::string_view name, Value value) {
    for (auto& [key, old] : variables_) {
      if (key == name) {
        old = std::move(value);
        return;
      }
    }
    variables_.emplace_back(name, std::move(value));
  }

 private:
  std::vector<std::pair<std::string, Value>> variables_;
  std::shared_ptr<Scope> parent_;
};

}  // namespace pagoda::jinja
