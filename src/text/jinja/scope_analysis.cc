// Scope analysis after jinja2/idtracking.py: reads and assignments in the order of the source.
#include "text/jinja/scope_analysis.h"

#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace pagoda::jinja {
namespace {

using Names = std::unordered_set<std::string>;

// What has been seen of one scope. The branches of an if are layers over what was before them.
struct Layer {
  const Layer* below = nullptr;   // the same scope before the branch
  const Layer* parent = nullptr;  // the enclosing scope, complete
  Names known = {};               // read or assigned
  Names stores = {};              // assigned
  Names hidden = {};              // assigned first

  bool knows_here(const std::string& name) const {
    for (const Layer* layer = this; layer; layer = layer->below) {
      if (layer->known.contains(name)) return true;
    }
    return false;
  }
  bool knows_outside(const std::string& name) const {
    return parent != nullptr && (parent->knows_here(name) || parent->knows_outside(name));
  }
  bool assigns(const std::string& name) const {
    for (const Layer* layer = this; layer; layer = layer->below) {
      if (layer->stores.contains(name)) return true;
    }
    return false;
  }

  void read(const std::string& name) {
    if (!knows_here(name) && !knows_outside(name)) known.insert(name);
  }
  void assign(const std::string& name) {
    stores.insert(name);
    if (knows_here(name)) return;
    known.insert(name);
    if (!knows_outside(name)) hidden.insert(name);
  }
  void declare(const std::string& name) {
    stores.insert(name);
    known.insert(name);
  }
};

void visit(const Expr* expr, Layer& layer) {
  if (expr == nullptr) return;
  if (expr->kind == ExprKind::kName) layer.read(expr->text);
  for (const ExprPtr& operand : expr->operands) visit(operand.get(), layer);
  for (const Argument& argument : expr->arguments) visit(argument.value.get(), layer);
}

void visit(const std::vector<ExprPtr>& exprs, Layer& layer) {
  for (const ExprPtr& expr : exprs) visit(expr.get(), layer);
}

void assign(const Target& target, Layer& layer, bool is_parameter) {
  if (!target.elements.empty()) {
    for (const Target& element : target.elements) assign(element, layer, is_parameter);
  } else if (!target.attribute.empty()) {
    layer.read(target.name);
  } else if (is_parameter) {
    layer.declare(target.name);
  } else {
    layer.assign(target.name);
  }
}

void visit(const Body& body, Layer& layer);

void visit_branch(const Body& body, const Layer& layer, Layer& merged) {
  Layer branch{.below = &layer, .parent = layer.parent};
  visit(body, branch);
  merged.known.merge(branch.known);
  merged.stores.merge(branch.stores);
  merged.hidden.merge(branch.hidden);
}

void visit_if(const Stmt& stmt, Layer& layer) {
  visit(stmt.branches[0].condition.get(), layer);
  Layer merged;
  visit_branch(stmt.branches[0].body, layer, merged);
  for (size_t i = 1; i < stmt.branches.size(); ++i) {
    Layer condition{.below = &layer, .parent = layer.parent};
    visit(stmt.branches[i].condition.get(), condition);
    merged.known.merge(condition.known);
    visit_branch(stmt.branches[i].body, layer, merged);
  }
  // What only branches assign may also come from outside.
  for (const std::string& name : merged.stores) {
    if (!layer.assigns(name)) merged.hidden.erase(name);
  }
  layer.known.merge(merged.known);
  layer.stores.merge(merged.stores);
  layer.hidden.merge(merged.hidden);
}

// The part of a statement that belongs to the scope it stands in.
void visit(const Stmt& stmt, Layer& layer) {
  switch (stmt.kind) {
    case StmtKind::kOutput:
    case StmtKind::kWith:
    case StmtKind::kFilterBlock: return visit(stmt.expressions, layer);
    case StmtKind::kIf: return visit_if(stmt, layer);
    case StmtKind::kFor:
    case StmtKind::kCallBlock: return visit(stmt.expressions[0].get(), layer);
    case StmtKind::kSet: visit(stmt.expressions, layer); [[fallthrough]];
    case StmtKind::kSetBlock: return assign(stmt.targets[0], layer, false);
    case StmtKind::kMacro: return layer.assign(stmt.macro->name);
    default: return;
  }
}

void visit(const Body& body, Layer& layer) {
  for (const auto& stmt : body) visit(*stmt, layer);
}

void analyze_inner(Body& body, const Layer& layer);

std::vector<std::string> take_hidden(Layer& layer) {
  return {layer.hidden.begin(), layer.hidden.end()};
}

// A scope whose parameters `layer` has already.
void analyze(Body& body, Layer& layer, std::vector<std::string>& hidden) {
  visit(body, layer);
  hidden = take_hidden(layer);
  analyze_inner(body, layer);
}

void analyze_macro(MacroNode& macro, const Layer& outer) {
  Layer layer{.parent = &outer};
  for (const std::string& name : macro.parameters) layer.declare(name);
  visit(macro.defaults, layer);
  if (macro.uses_caller) layer.declare("caller");
  if (macro.uses_kwargs) layer.declare("kwargs");
  if (macro.uses_varargs) layer.declare("varargs");
  analyze(macro.body, layer, macro.hidden);
}

void analyze_scopes_of(Stmt& stmt, const Layer& outer) {
  Layer layer{.parent = &outer};
  switch (stmt.kind) {
    case StmtKind::kIf:
      for (Branch& branch : stmt.branches) analyze_inner(branch.body, outer);
      return;
    case StmtKind::kFor: {
      layer.declare("loop");
      assign(stmt.targets[0], layer, true);
      analyze(stmt.body, layer, stmt.hidden);
      Layer otherwise{.parent = &outer};
      analyze(stmt.else_body, otherwise, stmt.else_hidden);
      return;
    }
    case StmtKind::kWith:
      for (const Target& target : stmt.targets) assign(target, layer, true);
      [[fallthrough]];
    case StmtKind::kSetBlock:
    case StmtKind::kFilterBlock:
    case StmtKind::kScope: return analyze(stmt.body, layer, stmt.hidden);
    case StmtKind::kMacro:
    case StmtKind::kCallBlock: return analyze_macro(*stmt.macro, outer);
    default: return;
  }
}

void analyze_inner(Body& body, const Layer& layer) {
  for (auto& stmt : body) analyze_scopes_of(*stmt, layer);
}

}  // namespace

void find_hidden_names(Body& body, std::vector<std::string>& hidden) {
  Layer layer;
  analyze(body, layer, hidden);
}

}  // namespace pagoda::jinja
