// The syntax tree of a template.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace pagoda::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Stmt>>;

enum class ExprKind {
  kConstant,     // constant
  kName,         // text
  kList,         // operands
  kTuple,        // operands
  kDict,         // operands: key, value, key, value, ...
  kAttribute,    // operands[0].text
  kItem,         // operands[0][operands[1]]
  kSlice,        // operands: start, stop, step; null where left out
  kCall,         // operands[0](arguments)
  kFilter,       // operands[0] | text(arguments); operands[0] null in filter and set blocks
  kTest,         // operands[0] is text(arguments)
  kConditional,  // operands: value, condition, otherwise (may be null)
  kNot,
  kNegate,
  kPlus,
  kAnd,
  kOr,
  kBinary,   // operands[0] text operands[1]; text is the operator
  kConcat,   // operands joined by ~
  kCompare,  // operands[0] names[0] operands[1] names[1] operands[2] ...
};

// An argument of a call: positional (empty name), named, *spread or **spread.
struct Argument {
  enum class Type { kPlain, kSpread, kNamedSpread };
  Type type = Type::kPlain;
  std::string name = {};
  ExprPtr value = {};
};

struct Expr {
  ExprKind kind = ExprKind::kConstant;
  int32_t line = 1;
  int32_t depth = 1;  // height of this subtree
  std::string text = {};
  Value constant = {};
  std::vector<ExprPtr> operands = {};
  std::vector<std::string> names = {};
  std::vector<Argument> arguments = {};
};

enum class StmtKind {
  kData,         // text
  kOutput,       // expressions
  kIf,           // branches: condition and body; body of the else branch last, condition null
  kFor,          // target, expressions[0] the iterable, expressions[1] the condition or null
  kSet,          // target = expressions[0]
  kSetBlock,     // target = body through expressions[0], a filter or null
  kMacro,        // macro
  kCallBlock,    // expressions[0] is the call, macro the caller
  kFilterBlock,  // expressions[0] the filters over body
  kWith,         // targets = expressions, body
  kScope,        // body in a scope of its own ({% generation %})
  kBreak,
  kContinue,
};

// Where a value goes: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  std::string name = {};
  std::string attribute = {};         // not empty: name.attribute
  std::vector<Target> elements = {};  // not empty: unpacked
};

struct MacroNode {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Body body;
  std::vector<std::string> hidden;  // see scope_analysis.h
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
};

struct Branch {
  ExprPtr condition;
  Body body;
};

struct Stmt {
  StmtKind kind = StmtKind::kData;
  int32_t line = 1;
  std::string text = {};
  std::vector<ExprPtr> expressions = {};
  std::vector<Target> targets = {};
  std::vector<Branch> branches = {};
  Body body = {};
  Body else_body = {};                        // of a loop that ran no time
  std::vector<std::string> hidden = {};       // of body's scope, see scope_analysis.h
  std::vector<std::string> else_hidden = {};  // of else_body's
  bool recursive = false;
  std::unique_ptr<MacroNode> macro = {};
};

// A whole template.
struct Template {
  Body body = {};
  std::vector<std::string> hidden = {};  // of its scope, see scope_analysis.h
};

}  // namespace pagoda::jinja
