// Interpreter: walks the tree. Scoping follows what Jinja2 compiles: for, with, macro, call, filter
// and set blocks have scopes of their own, if has not, and each round of a loop starts afresh.
#include "text/jinja/interpreter.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "text/jinja/builtins.h"
#include "text/jinja/loop.h"
#include "text/jinja/operators.h"
#include "text/jinja/scope.h"
#include "text/jinja/text_form.h"

namespace pagoda::jinja {
namespace {

using ScopePtr = std::shared_ptr<Scope>;

Value undefined_name(const std::string& name) {
  return Value::undefined(fmt::format("{} is undefined", quote_text(name)));
}

ScopePtr make_scope(ScopePtr parent, const std::vector<std::string>& hidden) {
  auto scope = std::make_shared<Scope>(std::move(parent));
  for (const std::string& name : hidden) scope->set(name, undefined_name(name));
  return scope;
}

enum class Flow { kNormal, kBreak, kContinue };

class Interpreter {
 public:
  explicit Interpreter(const Limits& limits)
      : context_(limits), scope_(std::make_shared<Scope>(nullptr)) {}

  Result<std::string> run(const Template& parsed, const Json& variables);

  // Renders `body` in `scope` into a text of its own.
  Result<std::string> render_apart(const Body& body, ScopePtr scope);
  ValueResult evaluate(const Expr& expr);
  Context& context() { return context_; }
  ScopePtr exchange_scope(ScopePtr scope) { return std::exchange(scope_, std::move(scope)); }

 private:
  using Executed = Result<Flow>;

  Executed execute(const Body& body);
  Executed execute_in(const Body& body, ScopePtr scope);
  Executed execute(const Stmt& stmt);
  Executed execute_output(const Stmt& stmt);
  Executed execute_if(const Stmt& stmt);
  Executed execute_for(const Stmt& stmt);
  Executed execute_loop(const Stmt& stmt, const Value& iterable, const ScopePtr& outer,
                        int64_t depth);
  Executed execute_set_block(const Stmt& stmt);
  Executed execute_macro(const Stmt& stmt);
  Executed execute_call_block(const Stmt& stmt);
  Executed execute_filter_block(const Stmt& stmt);
  Executed execute_with(const Stmt& stmt);
  Result<void> assign(const Target& target, const Value& value);
  // What was assigned to `target`, as tuples. REQUIRES: it could be assigned.
  ValueResult unpacked(const Target& target, const Value& value);
  Result<void> write(const Value& value);
  // What a filter or call block came to, which must be a text.
  Executed write_block(const Value& value);

  ValueResult evaluate_unlimited(const Expr& expr);
  ValueResult look_up(const std::string& name);
  Result<std::vector<Value>> evaluate_all(const std::vector<ExprPtr>& exprs);
  ValueResult evaluate_dict(const Expr& expr);
  ValueResult evaluate_item(const Expr& expr);
  ValueResult evaluate_conditional(const Expr& expr);
  ValueResult evaluate_logic(const Expr& expr);
  ValueResult evaluate_concat(const Expr& expr);
  ValueResult evaluate_compare(const Expr& expr);
  ValueResult evaluate_binary(const Expr& expr);
  ValueResult evaluate_call(const Expr& expr);
  ValueResult evaluate_filter(const Expr& expr, const Value* block);
  Result<Arguments> evaluate_arguments(const std::vector<Argument>& nodes);

  Context context_;
  ScopePtr scope_;
  std::string* out_ = nullptr;
};

// A macro, or the body of a call block. The interpreter and the tree outlive it: it lives at most
// as long as the render.
class Macro final : public Object {
 public:
  Macro(Interpreter& interpreter, const MacroNode& node, ScopePtr scope)
      : interpreter_(interpreter), node_(node), scope_(std::move(scope)) {}

  std::string type_name() const override { return "Macro"; }
  std::string repr() const override { return fmt::format("<Macro {}>", quote_text(node_.name)); }
  bool callable() const override { return true; }
  ValueResult call(Context& context, Arguments arguments) override;
  std::shared_ptr<const Value> attribute(Context&, std::string_view name) override {
    if (name == "name") return std::make_shared<const Value>(make_text(node_.name));
    if (name == "arguments") {
      std::vector<Value> names;
      for (const std::string& parameter : node_.parameters) names.push_back(make_text(parameter));
      ValueResult tuple = make_tuple(std::move(names));
      return tuple.ok() ? std::make_shared<const Value>(*std::move(tuple)) : nullptr;
    }
    if (name == "caller") return std::make_shared<const Value>(node_.uses_caller);
    if (name == "catch_kwargs") return std::make_shared<const Value>(node_.uses_kwargs);
    if (name == "catch_varargs") return std::make_shared<const Value>(node_.uses_varargs);
    return nullptr;
  }
  void clear() override { scope_ = nullptr; }

 private:
  Result<void> bind(Arguments& arguments, Scope& scope);

  Interpreter& interpreter_;
  const MacroNode& node_;
  ScopePtr scope_;  // where it was defined
};

// Takes the argument named `name` out of `arguments`.
std::shared_ptr<Value> take_named(Arguments& arguments, std::string_view name) {
  for (auto it = arguments.named.begin(); it != arguments.named.end(); ++it) {
    if (it->first != name) continue;
    auto value = std::make_shared<Value>(std::move(it->second));
    arguments.named.erase(it);
    return value;
  }
  return nullptr;
}

Result<void> Macro::bind(Arguments& arguments, Scope& scope) {
  const size_t count = node_.parameters.size();
  const size_t first_default = count - node_.defaults.size();
  bool explicit_caller = false;
  std::vector<size_t> left_to_defaults;
  // Each parameter may search all names given.
  RETURN_IF_ERROR(
      interpreter_.context().step(static_cast<int64_t>(count * arguments.named.size() / 16)));
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = node_.parameters[i];
    explicit_caller |= name == "caller";
    if (i < arguments.positional.size()) {
      scope.set(name, std::move(arguments.positional[i]));
    } else if (const auto value = take_named(arguments, name)) {
      scope.set(name, std::move(*value));
    } else {
      if (i >= first_default) left_to_defaults.push_back(i);
      scope.set(name,
                Value::undefined(fmt::format("parameter {} was not provided", quote_text(name))));
    }
  }
  for (const size_t i : left_to_defaults) {
    ASSIGN_OR_RETURN(Value fallback, interpreter_.evaluate(*node_.defaults[i - first_default]));
    scope.set(node_.parameters[i], std::move(fallback));
  }
  if (node_.uses_caller && !explicit_caller) {
    const auto caller = take_named(arguments, "caller");
    scope.set("caller", caller ? *caller : Value::undefined("No caller defined"));
  }
  if (node_.uses_kwargs) {
    auto rest = std::make_shared<Dict>();
    for (auto& [name, value] : arguments.named) rest->set(make_text(name), std::move(value));
    ASSIGN_OR_RETURN(Value kwargs, make_dict(std::move(rest)));
    scope.set("kwargs", std::move(kwargs));
  } else if (!arguments.named.empty()) {
    return type_error(fmt::format("macro {} takes no keyword argument {}", quote_text(node_.name),
                                  quote_text(arguments.named[0].first)));
  }
  std::vector<Value> extra;
  for (size_t i = count; i < arguments.positional.size(); ++i) {
    extra.push_back(std::move(arguments.positional[i]));
  }
  if (node_.uses_varargs) {
    ASSIGN_OR_RETURN(Value varargs, make_tuple(std::move(extra)));
    scope.set("varargs", std::move(varargs));
  } else if (!extra.empty()) {
    return type_error(
        fmt::format("macro {} takes not more than {} argument(s)", quote_text(node_.name), count));
  }
  return {};
}

ValueResult Macro::call(Context& context, Arguments arguments) {
  const Context::Level level(context);
  RETURN_IF_ERROR(level.check());
  const ScopePtr scope = make_scope(scope_, node_.hidden);
  // Defaults see the parameters before them.
  ScopePtr caller_scope = interpreter_.exchange_scope(scope);
  const Result<void> bound = bind(arguments, *scope);
  interpreter_.exchange_scope(std::move(caller_scope));
  RETURN_IF_ERROR(bound);
  ASSIGN_OR_RETURN(std::string text, interpreter_.render_apart(node_.body, scope));
  return Value(std::move(text));
}

Result<std::string> Interpreter::run(const Template& parsed, const Json& variables) {
  if (!variables.is_object()) return invalid_argument("template variables: not an object");
  for (const auto& [name, json] : variables.items()) {
    ASSIGN_OR_RETURN(Value value, from_json(json));
    scope_->set(name, std::move(value));
  }
  auto root = make_scope(scope_, parsed.hidden);
  auto text = render_apart(parsed.body, root);
  root->clear();
  scope_->clear();
  return text;
}

Result<std::string> Interpreter::render_apart(const Body& body, ScopePtr scope) {
  std::string text;
  std::string* outer = std::exchange(out_, &text);
  const auto flow = execute_in(body, std::move(scope));
  out_ = outer;
  RETURN_IF_ERROR(flow);
  return text;
}

Result<Flow> Interpreter::execute_in(const Body& body, ScopePtr scope) {
  ScopePtr outer = exchange_scope(std::move(scope));
  auto flow = execute(body);
  exchange_scope(std::move(outer));
  return flow;
}

Result<Flow> Interpreter::execute(const Body& body) {
  for (const auto& stmt : body) {
    ASSIGN_OR_RETURN(const Flow flow, execute(*stmt));
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Result<Flow> Interpreter::execute(const Stmt& stmt) {
  const Context::Level level(context_);
  RETURN_IF_ERROR(level.check());
  RETURN_IF_ERROR(context_.step());
  switch (stmt.kind) {
    case StmtKind::kData:
      RETURN_IF_ERROR(context_.charge(static_cast<int64_t>(stmt.text.size())));
      out_->append(stmt.text);
      return Flow::kNormal;
    case StmtKind::kOutput: return execute_output(stmt);
    case StmtKind::kIf: return execute_if(stmt);
    case StmtKind::kFor: return execute_for(stmt);
    case StmtKind::kSet: {
      ASSIGN_OR_RETURN(const Value value, evaluate(*stmt.expressions[0]));
      RETURN_IF_ERROR(assign(stmt.targets[0], value));
      return Flow::kNormal;
    }
    case StmtKind::kSetBlock: return execute_set_block(stmt);
    case StmtKind::kMacro: return execute_macro(stmt);
    case StmtKind::kCallBlock: return execute_call_block(stmt);
    case StmtKind::kFilterBlock: return execute_filter_block(stmt);
    case StmtKind::kWith: return execute_with(stmt);
    case StmtKind::kScope: return execute_in(stmt.body, make_scope(scope_, stmt.hidden));
    case StmtKind::kBreak: return Flow::kBreak;
    case StmtKind::kContinue: return Flow::kContinue;
  }
  return Flow::kNormal;
}

Result<void> Interpreter::write(const Value& value) {
  if (value.is_text()) {
    RETURN_IF_ERROR(context_.charge(static_cast<int64_t>(value.text().size())));
    out_->append(value.text());
    return {};
  }
  ASSIGN_OR_RETURN(const std::string text, context_.to_text(value));
  out_->append(text);
  return {};
}

Result<Flow> Interpreter::write_block(const Value& value) {
  if (!value.is_text()) {
    return type_error(fmt::format("expected str instance, {} found", type_name(value)));
  }
  RETURN_IF_ERROR(write(value));
  return Flow::kNormal;
}

Result<Flow> Interpreter::execute_output(const Stmt& stmt) {
  for (const ExprPtr& expr : stmt.expressions) {
    ASSIGN_OR_RETURN(const Value value, evaluate(*expr));
    RETURN_IF_ERROR(write(value));
  }
  return Flow::kNormal;
}

Result<Flow> Interpreter::execute_if(const Stmt& stmt) {
  for (const Branch& branch : stmt.branches) {
    if (branch.condition) {
      ASSIGN_OR_RETURN(const Value condition, evaluate(*branch.condition));
      if (!truth(condition)) continue;
    }
    return execute(branch.body);
  }
  return Flow::kNormal;
}

Result<Flow> Interpreter::execute_for(const Stmt& stmt) {
  ASSIGN_OR_RETURN(const Value iterable, evaluate(*stmt.expressions[0]));
  return execute_loop(stmt, iterable, scope_, 1);
}

Result<Flow> Interpreter::execute_loop(const Stmt& stmt, const Value& iterable,
                                       const ScopePtr& outer, int64_t depth) {
  const Context::Level level(context_);
  RETURN_IF_ERROR(level.check());
  ASSIGN_OR_RETURN(std::vector<Value> items, context_.iterate(iterable));
  if (const Expr* condition = stmt.expressions[1].get()) {
    std::vector<Value> kept;
    for (Value& item : items) {
      ScopePtr before = exchange_scope(std::make_shared<Scope>(outer));
      const Result<void> assigned = assign(stmt.targets[0], item);
      ValueResult wanted = assigned.ok() ? evaluate(*condition) : ValueResult(assigned.error());
      exchange_scope(std::move(before));
      RETURN_IF_ERROR(wanted);
      if (!truth(*wanted)) continue;
      // Jinja2 compiles this to a generator that packs the targets anew.
      if (!stmt.targets[0].elements.empty()) {
        ASSIGN_OR_RETURN(item, unpacked(stmt.targets[0], item));
      }
      kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  if (items.empty()) return execute_in(stmt.else_body, make_scope(outer, stmt.else_hidden));

  Loop::Recurse recurse;
  if (stmt.recursive) {
    recurse = [this, &stmt, outer](const Value& inner, int64_t inner_depth) -> ValueResult {
      std::string text;
      std::string* before = std::exchange(out_, &text);
      const auto flow = execute_loop(stmt, inner, outer, inner_depth);
      out_ = before;
      RETURN_IF_ERROR(flow);
      return Value(std::move(text));
    };
  }
  const auto loop = std::make_shared<Loop>(std::move(items), depth, std::move(recurse));
  const Value loop_value = Value(std::shared_ptr<Object>(loop));
  while (loop->next()) {
    RETURN_IF_ERROR(context_.step());
    const ScopePtr scope = make_scope(outer, stmt.hidden);
    ScopePtr before = exchange_scope(scope);
    const Result<void> assigned = assign(stmt.targets[0], loop->item());
    if (assigned.ok()) scope->set("loop", loop_value);
    auto flow = assigned.ok() ? execute(stmt.body) : Executed(assigned.error());
    exchange_scope(std::move(before));
    RETURN_IF_ERROR(flow);
    if (*flow == Flow::kBreak) break;
  }
  return Flow::kNormal;
}

Result<void> Interpreter::assign(const Target& target, const Value& value) {
  if (!target.attribute.empty()) {
    ASSIGN_OR_RETURN(const Value object, look_up(target.name));
    if (!object.object() || !object.object()->set_attribute(target.attribute, value)) {
      return type_error("cannot assign attribute on non-namespace object");
    }
    return {};
  }
  if (target.elements.empty()) {
    scope_->set(target.name, value);
    return {};
  }
  ASSIGN_OR_RETURN(const std::vector<Value> items, context_.iterate(value));
  if (items.size() > target.elements.size()) {
    return type_error(
        fmt::format("too many values to unpack (expected {})", target.elements.size()));
  }
  if (items.size() < target.elements.size()) {
    return type_error(fmt::format("not enough values to unpack (expected {}, got {})",
                                  target.elements.size(), items.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    RETURN_IF_ERROR(assign(target.elements[i], items[i]));
  }
  return {};
}

ValueResult Interpreter::unpacked(const Target& target, const Value& value) {
  if (target.elements.empty()) return value;
  ASSIGN_OR_RETURN(std::vector<Value> items, context_.iterate(value));
  for (size_t i = 0; i < items.size(); ++i) {
    ASSIGN_OR_RETURN(items[i], unpacked(target.elements[i], items[i]));
  }
  return make_tuple(std::move(items));
}

Result<Flow> Interpreter::execute_set_block(const Stmt& stmt) {
  ASSIGN_OR_RETURN(std::string text, render_apart(stmt.body, make_scope(scope_, stmt.hidden)));
  Value value(std::move(text));
  if (stmt.expressions[0]) {
    ASSIGN_OR_RETURN(value, evaluate_filter(*stmt.expressions[0], &value));
  }
  RETURN_IF_ERROR(assign(stmt.targets[0], value));
  return Flow::kNormal;
}

Result<Flow> Interpreter::execute_macro(const Stmt& stmt) {
  context_.retain(scope_);  // it refers to the macro, which refers to it
  scope_->set(stmt.macro->name,
              Value(std::shared_ptr<Object>(std::make_shared<Macro>(*this, *stmt.macro, scope_))));
  return Flow::kNormal;
}

Result<Flow> Interpreter::execute_call_block(const Stmt& stmt) {
  const Expr& call = *stmt.expressions[0];
  ASSIGN_OR_RETURN(const Value callee, evaluate(*call.operands[0]));
  ASSIGN_OR_RETURN(Arguments arguments, evaluate_arguments(call.arguments));
  arguments.named.emplace_back(
      "caller",
      Value(std::shared_ptr<Object>(std::make_shared<Macro>(*this, *stmt.macro, scope_))));
  ASSIGN_OR_RETURN(const Value value, context_.call(callee, std::move(arguments)));
  return write_block(value);
}

Result<Flow> Interpreter::execute_filter_block(const Stmt& stmt) {
  ASSIGN_OR_RETURN(std::string text, render_apart(stmt.body, make_scope(scope_, stmt.hidden)));
  const Value block(std::move(text));
  ASSIGN_OR_RETURN(const Value value, evaluate_filter(*stmt.expressions[0], &block));
  return write_block(value);
}

Result<Flow> Interpreter::execute_with(const Stmt& stmt) {
  // All values are computed outside, so that `with a=1, b=a` sees the outer a.
  ASSIGN_OR_RETURN(std::vector<Value> values, evaluate_all(stmt.expressions));
  ScopePtr scope = make_scope(scope_, stmt.hidden);
  for (size_t i = 0; i < values.size(); ++i) {
    ScopePtr before = exchange_scope(scope);
    const Result<void> assigned = assign(stmt.targets[i], values[i]);
    exchange_scope(std::move(before));
    RETURN_IF_ERROR(assigned);
  }
  return execute_in(stmt.body, std::move(scope));
}

ValueResult Interpreter::evaluate(const Expr& expr) {
  const Context::Level level(context_);
  RETURN_IF_ERROR(level.check());
  RETURN_IF_ERROR(context_.step());
  return evaluate_unlimited(expr);
}

ValueResult Interpreter::evaluate_unlimited(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConstant: return expr.constant;
    case ExprKind::kName: return look_up(expr.text);
    case ExprKind::kList:
    case ExprKind::kTuple: {
      ASSIGN_OR_RETURN(std::vector<Value> items, evaluate_all(expr.operands));
      return expr.kind == ExprKind::kList ? make_list(std::move(items))
                                          : make_tuple(std::move(items));
    }
    case ExprKind::kDict: return evaluate_dict(expr);
    case ExprKind::kAttribute: {
      ASSIGN_OR_RETURN(const Value object, evaluate(*expr.operands[0]));
      return context_.attribute(object, expr.text);
    }
    case ExprKind::kItem: return evaluate_item(expr);
    case ExprKind::kSlice: return type_error("a slice stands only in brackets of its own");
    case ExprKind::kCall: return evaluate_call(expr);
    case ExprKind::kFilter: return evaluate_filter(expr, nullptr);
    case ExprKind::kTest: {
      ASSIGN_OR_RETURN(const Value input, evaluate(*expr.operands[0]));
      ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(expr.arguments));
      ASSIGN_OR_RETURN(const bool passed, apply_test(context_, expr.text, input, arguments));
      return Value(passed);
    }
    case ExprKind::kConditional: return evaluate_conditional(expr);
    case ExprKind::kNot:
    case ExprKind::kNegate:
    case ExprKind::kPlus: {
      ASSIGN_OR_RETURN(const Value value, evaluate(*expr.operands[0]));
      if (expr.kind == ExprKind::kNot) return Value(!truth(value));
      return expr.kind == ExprKind::kNegate ? negate(value) : plus(value);
    }
    case ExprKind::kAnd:
    case ExprKind::kOr: return evaluate_logic(expr);
    case ExprKind::kBinary: return evaluate_binary(expr);
    case ExprKind::kConcat: return evaluate_concat(expr);
    case ExprKind::kCompare: return evaluate_compare(expr);
  }
  return Value();
}

ValueResult Interpreter::look_up(const std::string& name) {
  if (const Value* found = scope_->find(name)) return *found;
  if (std::shared_ptr<Object> function = global_function(name)) return Value(std::move(function));
  return undefined_name(name);
}

Result<std::vector<Value>> Interpreter::evaluate_all(const std::vector<ExprPtr>& exprs) {
  std::vector<Value> values;
  values.reserve(exprs.size());
  for (const ExprPtr& expr : exprs) {
    ASSIGN_OR_RETURN(Value value, evaluate(*expr));
    values.push_back(std::move(value));
  }
  return values;
}

ValueResult Interpreter::evaluate_dict(const Expr& expr) {
  auto dict = std::make_shared<Dict>();
  for (size_t i = 0; i + 1 < expr.operands.size(); i += 2) {
    ASSIGN_OR_RETURN(const Value key, evaluate(*expr.operands[i]));
    ASSIGN_OR_RETURN(Value value, evaluate(*expr.operands[i + 1]));
    if (!hashable(key)) {
      return unhashable(key);
    }
    dict->set(key, std::move(value));
  }
  return make_dict(std::move(dict));
}

ValueResult Interpreter::evaluate_item(const Expr& expr) {
  ASSIGN_OR_RETURN(const Value object, evaluate(*expr.operands[0]));
  const Expr& index = *expr.operands[1];
  if (index.kind != ExprKind::kSlice) {
    ASSIGN_OR_RETURN(const Value key, evaluate(index));
    return context_.item(object, key);
  }
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    if (!index.operands[i]) continue;
    ASSIGN_OR_RETURN(bounds[i], evaluate(*index.operands[i]));
  }
  return context_.slice(object, bounds[0], bounds[1], bounds[2]);
}

ValueResult Interpreter::evaluate_conditional(const Expr& expr) {
  ASSIGN_OR_RETURN(const Value condition, evaluate(*expr.operands[1]));
  if (truth(condition)) return evaluate(*expr.operands[0]);
  if (expr.operands[2]) return evaluate(*expr.operands[2]);
  return Value::undefined(fmt::format(
      "the inline if-expression on line {} evaluated to false and no else section was defined.",
      expr.line));
}

ValueResult Interpreter::evaluate_logic(const Expr& expr) {
  ASSIGN_OR_RETURN(Value left, evaluate(*expr.operands[0]));
  if (truth(left) == (expr.kind == ExprKind::kOr)) return left;
  return evaluate(*expr.operands[1]);
}

ValueResult Interpreter::evaluate_binary(const Expr& expr) {
  ASSIGN_OR_RETURN(const Value left, evaluate(*expr.operands[0]));
  ASSIGN_OR_RETURN(const Value right, evaluate(*expr.operands[1]));
  return binary_operation(context_, expr.text, left, right);
}

ValueResult Interpreter::evaluate_concat(const Expr& expr) {
  std::string out;
  for (const ExprPtr& operand : expr.operands) {
    ASSIGN_OR_RETURN(const Value value, evaluate(*operand));
    ASSIGN_OR_RETURN(const std::string text, context_.to_text(value));
    out += text;
  }
  return Value(std::move(out));
}

ValueResult Interpreter::evaluate_compare(const Expr& expr) {
  ASSIGN_OR_RETURN(Value left, evaluate(*expr.operands[0]));
  for (size_t i = 0; i < expr.names.size(); ++i) {
    ASSIGN_OR_RETURN(Value right, evaluate(*expr.operands[i + 1]));
    ASSIGN_OR_RETURN(const bool holds, comparison(context_, expr.names[i], left, right));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

ValueResult Interpreter::evaluate_call(const Expr& expr) {
  ASSIGN_OR_RETURN(const Value callee, evaluate(*expr.operands[0]));
  ASSIGN_OR_RETURN(Arguments arguments, evaluate_arguments(expr.arguments));
  return context_.call(callee, std::move(arguments));
}

// `block`: what stands in for the missing operand at the bottom of a block's filters.
ValueResult Interpreter::evaluate_filter(const Expr& expr, const Value* block) {
  const Context::Level level(context_);
  RETURN_IF_ERROR(level.check());
  const Expr* operand = expr.operands[0].get();
  Value input;
  if (!operand) {
    if (block) input = *block;
  } else if (block && operand->kind == ExprKind::kFilter) {
    ASSIGN_OR_RETURN(input, evaluate_filter(*operand, block));
  } else {
    ASSIGN_OR_RETURN(input, evaluate(*operand));
  }
  ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(expr.arguments));
  return apply_filter(context_, expr.text, input, arguments);
}

Result<Arguments> Interpreter::evaluate_arguments(const std::vector<Argument>& nodes) {
  Arguments arguments;
  const auto add_named = [&](const std::string& name, Value value) -> Result<void> {
    for (const auto& [key, unused] : arguments.named) {
      if (key == name) {
        return type_error(fmt::format("got multiple values for keyword argument '{}'", name));
      }
    }
    RETURN_IF_ERROR(context_.step(static_cast<int64_t>(arguments.named.size()) / 16));
    arguments.named.emplace_back(name, std::move(value));
    return {};
  };
  for (const Argument& node : nodes) {
    ASSIGN_OR_RETURN(Value value, evaluate(*node.value));
    if (node.type == Argument::Type::kSpread) {
      ASSIGN_OR_RETURN(std::vector<Value> items, context_.iterate(value));
      for (Value& item : items) arguments.positional.push_back(std::move(item));
    } else if (node.type == Argument::Type::kNamedSpread) {
      const Dict* dict = value.dict();
      if (!dict) return type_error("argument after ** must be a mapping");
      for (const auto& [key, item] : dict->items) {
        if (!key.is_text()) return type_error("keywords must be strings");
        RETURN_IF_ERROR(add_named(key.text(), item));
      }
    } else if (!node.name.empty()) {
      RETURN_IF_ERROR(add_named(node.name, std::move(value)));
    } else {
      arguments.positional.push_back(std::move(value));
    }
  }
  return arguments;
}

}  // namespace

Result<std::string> render(const Template& parsed, const Json& variables, const Limits& limits) {
  return Interpreter(limits).run(parsed, variables);
}

}  // namespace pagoda::jinja
