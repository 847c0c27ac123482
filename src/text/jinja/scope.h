// Scope: the variables of one stretch of a template.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
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
    places_.clear();
    parent_ = nullptr;
  }

  const Value* find(std::string_view name) const {
    for (const Scope* scope = this; scope; scope = scope->parent_.get()) {
      if (const size_t at = scope->position(name); at < scope->variables_.size()) {
        return &scope->variables_[at].second;
      }
    }
    return nullptr;
  }
  void set(std::string_view name, Value value) {
    if (const size_t at = position(name); at < variables_.size()) {
      variables_[at].second = std::move(value);
      return;
    }
    variables_.emplace_back(name, std::move(value));
    if (variables_.size() < kMaxSearched) return;
    for (size_t i = places_.size(); i < variables_.size(); ++i) {
      places_.emplace(variables_[i].first, i);
    }
  }

 private:
  // Above this number of variables they are found by hash.
  static constexpr size_t kMaxSearched = 16;

  size_t position(std::string_view name) const {
    if (!places_.empty()) {
      const auto it = places_.find(std::string(name));
      return it == places_.end() ? variables_.size() : it->second;
    }
    size_t at = 0;
    while (at < variables_.size() && variables_[at].first != name) ++at;
    return at;
  }

  std::vector<std::pair<std::string, Value>> variables_;
  std::unordered_map<std::string, size_t> places_;  // empty for a small scope
  std::shared_ptr<Scope> parent_;
};

}  // namespace pagoda::jinja
