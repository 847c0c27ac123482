// Parser: the statements of a template.
#include "text/jinja/parser.h"

#include <fmt/core.h>

#include <initializer_list>
#include <string>
#include <unordered_set>
#include <utility>

#include "text/jinja/expression_parser.h"
#include "text/jinja/scope_analysis.h"
#include "text/jinja/token_stream.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

constexpr int32_t kMaxNesting = 60;  // blocks in blocks
constexpr size_t kMaxSourceBytes = size_t{4} << 20;

using StmtPtr = std::unique_ptr<Stmt>;
using StmtResult = Result<StmtPtr>;
using Names = std::initializer_list<std::string_view>;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : stream_(std::move(tokens)), expressions_(stream_) {}

  Result<Body> run() {
    ASSIGN_OR_RETURN(Body body, parse_body({}));
    if (!stream_.is(TokenType::kEnd)) return stream_.unexpected("the end of the template");
    return body;
  }

 private:
  // Statements up to a tag named in `ends`, whose name is then the current token. With no ends: to
  // the end of the template.
  Result<Body> parse_body(Names ends);
  // The same for one end, whose whole tag is stepped over.
  Result<Body> parse_body_to(std::string_view end);
  // Steps over '%}' and reads a body.
  Result<Body> parse_block_to(std::string_view end) {
    RETURN_IF_ERROR(stream_.expect(TokenType::kBlockEnd, "'%}'"));
    return parse_body_to(end);
  }
  StmtResult parse_statement();
  StmtResult parse_output();
  StmtResult parse_if();
  StmtResult parse_for();
  StmtResult parse_set();
  StmtResult parse_macro();
  StmtResult parse_call_block();
  StmtResult parse_filter_block();
  StmtResult parse_with();
  StmtResult parse_generation();
  StmtResult parse_loop_control(StmtKind kind);
  Result<Target> parse_target(bool with_attribute);
  Result<Target> parse_one_target(bool with_attribute);
  Result<void> parse_signature(MacroNode& macro);
  Result<void> parse_macro_body(MacroNode& macro, std::string_view end);

  StmtPtr make(StmtKind kind) const {
    auto stmt = std::make_unique<Stmt>();
    stmt->kind = kind;
    stmt->line = stream_.current().line;
    return stmt;
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  int32_t nesting_ = 0;
  int32_t loops_ = 0;  // open around the current place, inside the current macro
};

Result<Body> Parser::parse_body(Names ends) {
  if (++nesting_ > kMaxNesting) return stream_.error("blocks are nested too deep");
  Body body;
  while (true) {
    if (stream_.is(TokenType::kData)) {
      StmtPtr data = make(StmtKind::kData);
      data->text = stream_.next().text;
      body.push_back(std::move(data));
    } else if (stream_.is(TokenType::kVariableBegin)) {
      ASSIGN_OR_RETURN(StmtPtr output, parse_output());
      body.push_back(std::move(output));
    } else if (stream_.is(TokenType::kBlockBegin)) {
      stream_.next();
      for (const std::string_view end : ends) {
        if (!stream_.is_name(end)) continue;
        --nesting_;
        return body;
      }
      ASSIGN_OR_RETURN(StmtPtr stmt, parse_statement());
      RETURN_IF_ERROR(stream_.expect(TokenType::kBlockEnd, "'%}'"));
      body.push_back(std::move(stmt));
    } else if (stream_.is(TokenType::kEnd) && ends.size() == 0) {
      --nesting_;
      return body;
    } else {
      return stream_.unexpected(ends.size() == 0 ? std::string("a tag")
                                                 : fmt::format("'{}'", *(ends.end() - 1)));
    }
  }
}

Result<Body> Parser::parse_body_to(std::string_view end) {
  ASSIGN_OR_RETURN(Body body, parse_body({end}));
  stream_.next();
  return body;
}

StmtResult Parser::parse_output() {
  StmtPtr stmt = make(StmtKind::kOutput);
  stream_.next();
  ASSIGN_OR_RETURN(ExprPtr value, expressions_.parse_tuple(true));
  stmt->expressions.push_back(std::move(value));
  RETURN_IF_ERROR(stream_.expect(TokenType::kVariableEnd, "'}}'"));
  return stmt;
}

// The current token is the tag's name; ends before '%}'.
StmtResult Parser::parse_statement() {
  if (!stream_.is(TokenType::kName)) return stream_.error("tag name expected");
  const std::string& tag = stream_.current().text;
  if (tag == "if") return parse_if();
  if (tag == "for") return parse_for();
  if (tag == "set") return parse_set();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "filter") return parse_filter_block();
  if (tag == "with") return parse_with();
  if (tag == "generation") return parse_generation();
  if (tag == "break") return parse_loop_control(StmtKind::kBreak);
  if (tag == "continue") return parse_loop_control(StmtKind::kContinue);
  if (tag == "print") {
    StmtPtr stmt = make(StmtKind::kOutput);
    stream_.next();
    do {
      ASSIGN_OR_RETURN(ExprPtr value, expressions_.parse_expression());
      stmt->expressions.push_back(std::move(value));
    } while (stream_.skip_operator(","));
    return stmt;
  }
  for (const std::string_view known :
       {"extends", "block", "include", "import", "from", "autoescape"}) {
    if (tag == known) {
      return Error{
          ErrorCode::kUnsupported,
          fmt::format("template line {}: tag '{}' is not supported", stream_.current().line, tag)};
    }
  }
  return stream_.error(fmt::format("Encountered unknown tag '{}'.", tag));
}

StmtResult Parser::parse_if() {
  StmtPtr stmt = make(StmtKind::kIf);
  bool more = true;
  while (more) {
    stream_.next();  // if, elif
    Branch branch;
    ASSIGN_OR_RETURN(branch.condition, expressions_.parse_tuple(false));
    RETURN_IF_ERROR(stream_.expect(TokenType::kBlockEnd, "'%}'"));
    ASSIGN_OR_RETURN(branch.body, parse_body({"elif", "else", "endif"}));
    stmt->branches.push_back(std::move(branch));
    more = stream_.is_name("elif");
  }
  if (stream_.skip_name("else")) {
    Branch otherwise;
    ASSIGN_OR_RETURN(otherwise.body, parse_block_to("endif"));
    stmt->branches.push_back(std::move(otherwise));
  } else {
    stream_.next();
  }
  return stmt;
}

StmtResult Parser::parse_for() {
  StmtPtr stmt = make(StmtKind::kFor);
  stream_.next();
  ASSIGN_OR_RETURN(Target target, parse_target(false));
  stmt->targets.push_back(std::move(target));
  if (!stream_.skip_name("in")) return stream_.unexpected("'in'");
  ASSIGN_OR_RETURN(ExprPtr iterable, expressions_.parse_tuple(false, "recursive"));
  ExprPtr condition;
  if (stream_.skip_name("if")) {
    ASSIGN_OR_RETURN(condition, expressions_.parse_expression());
  }
  stmt->recursive = stream_.skip_name("recursive");
  stmt->expressions.push_back(std::move(iterable));
  stmt->expressions.push_back(std::move(condition));
  RETURN_IF_ERROR(stream_.expect(TokenType::kBlockEnd, "'%}'"));
  ++loops_;
  ASSIGN_OR_RETURN(stmt->body, parse_body({"else", "endfor"}));
  --loops_;
  if (stream_.skip_name("else")) {
    ASSIGN_OR_RETURN(stmt->else_body, parse_block_to("endfor"));
  } else {
    stream_.next();
  }
  return stmt;
}

StmtResult Parser::parse_loop_control(StmtKind kind) {
  if (loops_ == 0) {
    return stream_.error(fmt::format("'{}' outside loop", stream_.current().text));
  }
  StmtPtr stmt = make(kind);
  stream_.next();
  return stmt;
}

Result<Target> Parser::parse_one_target(bool with_attribute) {
  Target target;
  if (stream_.skip_operator("(")) {
    if (++nesting_ > kMaxNesting) return stream_.error("targets are nested too deep");
    ASSIGN_OR_RETURN(target, parse_target(false));
    --nesting_;
    RETURN_IF_ERROR(stream_.expect_operator(")"));
    return target;
  }
  ASSIGN_OR_RETURN(target.name, stream_.expect_name());
  for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
    if (target.name == constant) return stream_.error("can't assign to '" + target.name + "'");
  }
  if (with_attribute && stream_.skip_operator(".")) {
    ASSIGN_OR_RETURN(target.attribute, stream_.expect_name());
  }
  return target;
}

Result<Target> Parser::parse_target(bool with_attribute) {
  ASSIGN_OR_RETURN(Target first, parse_one_target(with_attribute));
  if (!first.attribute.empty() || !stream_.is_operator(",")) return first;
  Target tuple;
  tuple.elements.push_back(std::move(first));
  while (stream_.skip_operator(",")) {
    if (stream_.is_operator(")")) break;
    ASSIGN_OR_RETURN(Target next, parse_one_target(false));
    tuple.elements.push_back(std::move(next));
  }
  return tuple;
}

StmtResult Parser::parse_set() {
  StmtPtr stmt = make(StmtKind::kSet);
  stream_.next();
  ASSIGN_OR_RETURN(Target target, parse_target(true));
  stmt->targets.push_back(std::move(target));
  if (stream_.skip_operator("=")) {
    ASSIGN_OR_RETURN(ExprPtr value, expressions_.parse_tuple(true));
    stmt->expressions.push_back(std::move(value));
    return stmt;
  }
  stmt->kind = StmtKind::kSetBlock;
  ASSIGN_OR_RETURN(ExprPtr filters, expressions_.parse_filters(nullptr, false));
  stmt->expressions.push_back(std::move(filters));
  ASSIGN_OR_RETURN(stmt->body, parse_block_to("endset"));
  return stmt;
}

Result<void> Parser::parse_signature(MacroNode& macro) {
  std::unordered_set<std::string> names;
  RETURN_IF_ERROR(stream_.expect_operator("("));
  while (!stream_.is_operator(")")) {
    if (!macro.parameters.empty()) RETURN_IF_ERROR(stream_.expect_operator(","));
    ASSIGN_OR_RETURN(std::string name, stream_.expect_name());
    if (!names.insert(name).second) {
      return stream_.error(fmt::format("duplicate argument '{}'", name));
    }
    macro.parameters.push_back(std::move(name));
    if (stream_.skip_operator("=")) {
      ASSIGN_OR_RETURN(ExprPtr value, expressions_.parse_expression());
      macro.defaults.push_back(std::move(value));
    } else if (!macro.defaults.empty()) {
      return stream_.error("non-default argument follows default argument");
    }
  }
  stream_.next();
  return {};
}

Result<void> Parser::parse_macro_body(MacroNode& macro, std::string_view end) {
  // What an inner macro uses, the outer one uses too.
  const auto outer = std::exchange(expressions_.special_names, {});
  const int32_t outer_loops = std::exchange(loops_, 0);
  ASSIGN_OR_RETURN(macro.body, parse_block_to(end));
  loops_ = outer_loops;
  auto& used = expressions_.special_names;
  macro.uses_caller = used.caller;
  macro.uses_kwargs = used.kwargs;
  macro.uses_varargs = used.varargs;
  used.caller |= outer.caller;
  used.kwargs |= outer.kwargs;
  used.varargs |= outer.varargs;
  return {};
}

StmtResult Parser::parse_macro() {
  StmtPtr stmt = make(StmtKind::kMacro);
  stmt->macro = std::make_unique<MacroNode>();
  stream_.next();
  ASSIGN_OR_RETURN(stmt->macro->name, stream_.expect_name());
  RETURN_IF_ERROR(parse_signature(*stmt->macro));
  RETURN_IF_ERROR(parse_macro_body(*stmt->macro, "endmacro"));
  return stmt;
}

StmtResult Parser::parse_call_block() {
  StmtPtr stmt = make(StmtKind::kCallBlock);
  stmt->macro = std::make_unique<MacroNode>();
  stmt->macro->name = "caller";
  stream_.next();
  if (stream_.is_operator("(")) RETURN_IF_ERROR(parse_signature(*stmt->macro));
  ASSIGN_OR_RETURN(ExprPtr call, expressions_.parse_expression());
  if (call->kind != ExprKind::kCall) return stream_.error("expected call");
  stmt->expressions.push_back(std::move(call));
  RETURN_IF_ERROR(parse_macro_body(*stmt->macro, "endcall"));
  return stmt;
}

StmtResult Parser::parse_filter_block() {
  StmtPtr stmt = make(StmtKind::kFilterBlock);
  stream_.next();
  ASSIGN_OR_RETURN(ExprPtr filters, expressions_.parse_filters(nullptr, true));
  stmt->expressions.push_back(std::move(filters));
  ASSIGN_OR_RETURN(stmt->body, parse_block_to("endfilter"));
  return stmt;
}

StmtResult Parser::parse_with() {
  StmtPtr stmt = make(StmtKind::kWith);
  stream_.next();
  while (!stream_.is(TokenType::kBlockEnd)) {
    if (!stmt->targets.empty()) RETURN_IF_ERROR(stream_.expect_operator(","));
    ASSIGN_OR_RETURN(Target target, parse_one_target(false));
    RETURN_IF_ERROR(stream_.expect_operator("="));
    ASSIGN_OR_RETURN(ExprPtr value, expressions_.parse_expression());
    stmt->targets.push_back(std::move(target));
    stmt->expressions.push_back(std::move(value));
  }
  ASSIGN_OR_RETURN(stmt->body, parse_block_to("endwith"));
  return stmt;
}

StmtResult Parser::parse_generation() {
  StmtPtr stmt = make(StmtKind::kScope);
  stream_.next();
  const int32_t outer_loops = std::exchange(loops_, 0);
  ASSIGN_OR_RETURN(stmt->body, parse_block_to("endgeneration"));
  loops_ = outer_loops;
  return stmt;
}

}  // namespace

Result<Template> parse_template(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    return invalid_argument(
        fmt::format("template: {} bytes, at most {}", source.size(), kMaxSourceBytes));
  }
  if (!is_valid_utf8(source)) return invalid_argument("template: not valid UTF-8");
  ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenize(source));
  Template parsed;
  ASSIGN_OR_RETURN(parsed.body, Parser(std::move(tokens)).run());
  find_hidden_names(parsed.body, parsed.hidden);
  return parsed;
}

}  // namespace pagoda::jinja
