// ExpressionParser: one function a level of precedence.
#include "text/jinja/expression_parser.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>

namespace pagoda::jinja {
namespace {

constexpr int32_t kMaxNesting = 60;      // brackets in brackets; bounds the parser's stack
constexpr int32_t kMaxTreeHeight = 300;  // also of long chains; bounds the interpreter's stack

}  // namespace

class ExpressionParser::Nesting {
 public:
  explicit Nesting(int32_t& level) : level_(level) { ++level_; }
  ~Nesting() { --level_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  bool too_deep() const { return level_ > kMaxNesting; }

 private:
  int32_t& level_;
};

ExprPtr ExpressionParser::make(ExprKind kind, std::string text) const {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = stream_.current().line;
  node->text = std::move(text);
  return node;
}

ExprResult ExpressionParser::finish(ExprPtr node) const {
  for (const ExprPtr& operand : node->operands) {
    if (operand) node->depth = std::max(node->depth, operand->depth + 1);
  }
  for (const Argument& argument : node->arguments) {
    node->depth = std::max(node->depth, argument.value->depth + 1);
  }
  if (node->depth > kMaxTreeHeight) return stream_.error("an expression is too long or too deep");
  return node;
}

ExprResult ExpressionParser::binary(ExprKind kind, std::string text, ExprPtr left,
                                    ExprPtr right) const {
  ExprPtr node = make(kind, std::move(text));
  node->operands.push_back(std::move(left));
  node->operands.push_back(std::move(right));
  return finish(std::move(node));
}

ExprResult ExpressionParser::parse_conditional() {
  const Nesting nesting(nesting_);
  if (nesting.too_deep()) return stream_.error("expressions are nested too deep");
  ASSIGN_OR_RETURN(ExprPtr value, parse_or());
  while (stream_.skip_name("if")) {
    ExprPtr node = make(ExprKind::kConditional);
    node->operands.push_back(std::move(value));
    ASSIGN_OR_RETURN(ExprPtr condition, parse_or());
    node->operands.push_back(std::move(condition));
    ExprPtr otherwise;
    if (stream_.skip_name("else")) {
      ASSIGN_OR_RETURN(otherwise, parse_conditional());
    }
    node->operands.push_back(std::move(otherwise));
    ASSIGN_OR_RETURN(value, finish(std::move(node)));
  }
  return value;
}

ExprResult ExpressionParser::parse_or() {
  ASSIGN_OR_RETURN(ExprPtr left, parse_and());
  while (stream_.skip_name("or")) {
    ASSIGN_OR_RETURN(ExprPtr right, parse_and());
    ASSIGN_OR_RETURN(left, binary(ExprKind::kOr, {}, std::move(left), std::move(right)));
  }
  return left;
}

ExprResult ExpressionParser::parse_and() {
  ASSIGN_OR_RETURN(ExprPtr left, parse_not());
  while (stream_.skip_name("and")) {
    ASSIGN_OR_RETURN(ExprPtr right, parse_not());
    ASSIGN_OR_RETURN(left, binary(ExprKind::kAnd, {}, std::move(left), std::move(right)));
  }
  return left;
}

ExprResult ExpressionParser::parse_not() {
  if (!stream_.is_name("not")) return parse_compare();
  const Nesting nesting(nesting_);
  if (nesting.too_deep()) return stream_.error("expressions are nested too deep");
  ExprPtr node = make(ExprKind::kNot);
  stream_.next();
  ASSIGN_OR_RETURN(ExprPtr operand, parse_not());
  node->operands.push_back(std::move(operand));
  return finish(std::move(node));
}

ExprResult ExpressionParser::parse_compare() {
  constexpr std::array<std::string_view, 6> kOperators = {"==", "!=", "<", "<=", ">", ">="};
  ASSIGN_OR_RETURN(ExprPtr left, parse_sum());
  ExprPtr node;
  while (true) {
    std::string name;
    if (stream_.is(TokenType::kOperator) && std::find(kOperators.begin(), kOperators.end(),
                                                      stream_.current().text) != kOperators.end()) {
      name = stream_.next().text;
    } else if (stream_.skip_name("in")) {
      name = "in";
    } else if (stream_.is_name("not") && stream_.ahead().type == TokenType::kName &&
               stream_.ahead().text == "in") {
      stream_.next();
      stream_.next();
      name = "not in";
    } else {
      break;
    }
    if (!node) {
      node = make(ExprKind::kCompare);
      node->operands.push_back(std::move(left));
    }
    ASSIGN_OR_RETURN(ExprPtr right, parse_sum());
    node->names.push_back(std::move(name));
    node->operands.push_back(std::move(right));
  }
  return node ? finish(std::move(node)) : ExprResult(std::move(left));
}

ExprResult ExpressionParser::parse_sum() {
  ASSIGN_OR_RETURN(ExprPtr left, parse_concat());
  while (stream_.is_operator("+") || stream_.is_operator("-")) {
    std::string text = stream_.next().text;
    ASSIGN_OR_RETURN(ExprPtr right, parse_concat());
    ASSIGN_OR_RETURN(left,
                     binary(ExprKind::kBinary, std::move(text), std::move(left), std::move(right)));
  }
  return left;
}

ExprResult ExpressionParser::parse_concat() {
  ASSIGN_OR_RETURN(ExprPtr left, parse_product());
  if (!stream_.is_operator("~")) return left;
  ExprPtr node = make(ExprKind::kConcat);
  node->operands.push_back(std::move(left));
  while (stream_.skip_operator("~")) {
    ASSIGN_OR_RETURN(ExprPtr right, parse_product());
    node->operands.push_back(std::move(right));
  }
  return finish(std::move(node));
}

ExprResult ExpressionParser::parse_product() {
  ASSIGN_OR_RETURN(ExprPtr left, parse_power());
  while (stream_.is_operator("*") || stream_.is_operator("/") || stream_.is_operator("//") ||
         stream_.is_operator("%")) {
    std::string text = stream_.next().text;
    ASSIGN_OR_RETURN(ExprPtr right, parse_power());
    ASSIGN_OR_RETURN(left,
                     binary(ExprKind::kBinary, std::move(text), std::move(left), std::move(right)));
  }
  return left;
}

ExprResult ExpressionParser::parse_power() {
  ASSIGN_OR_RETURN(ExprPtr left, parse_unary(true));
  while (stream_.skip_operator("**")) {
    ASSIGN_OR_RETURN(ExprPtr right, parse_unary(true));
    ASSIGN_OR_RETURN(left, binary(ExprKind::kBinary, "**", std::move(left), std::move(right)));
  }
  return left;
}

ExprResult ExpressionParser::parse_unary(bool with_filters) {
  const Nesting nesting(nesting_);
  if (nesting.too_deep()) return stream_.error("expressions are nested too deep");
  ExprPtr node;
  if (stream_.is_operator("-") || stream_.is_operator("+")) {
    node = make(stream_.is_operator("-") ? ExprKind::kNegate : ExprKind::kPlus);
    stream_.next();
    ASSIGN_OR_RETURN(ExprPtr operand, parse_unary(false));
    node->operands.push_back(std::move(operand));
    ASSIGN_OR_RETURN(node, finish(std::move(node)));
  } else {
    ASSIGN_OR_RETURN(node, parse_primary());
  }
  ASSIGN_OR_RETURN(node, parse_postfix(std::move(node)));
  return with_filters ? parse_filters_and_tests(std::move(node)) : ExprResult(std::move(node));
}

ExprResult ExpressionParser::parse_primary() {
  const Token& token = stream_.current();
  ExprPtr node = make(ExprKind::kConstant);
  switch (token.type) {
    case TokenType::kName:
      if (token.text == "true" || token.text == "True") {
        node->constant = Value(true);
      } else if (token.text == "false" || token.text == "False") {
        node->constant = Value(false);
      } else if (token.text != "none" && token.text != "None") {
        node->kind = ExprKind::kName;
        node->text = token.text;
        special_names.caller |= token.text == "caller";
        special_names.kwargs |= token.text == "kwargs";
        special_names.varargs |= token.text == "varargs";
      }
      stream_.next();
      return node;
    case TokenType::kString: {
      std::string text;
      while (stream_.is(TokenType::kString)) text += stream_.next().text;
      node->constant = Value(std::move(text));
      return node;
    }
    case TokenType::kInteger: node->constant = Value(stream_.next().integer); return node;
    case TokenType::kFloat: node->constant = Value(stream_.next().number); return node;
    default: break;
  }
  if (stream_.is_operator("(")) return parse_parenthesis();
  if (stream_.is_operator("[")) return parse_list();
  if (stream_.is_operator("{")) return parse_dict();
  return stream_.unexpected("an expression");
}

ExprResult ExpressionParser::parse_parenthesis() {
  ExprPtr node = make(ExprKind::kTuple);
  stream_.next();
  if (!stream_.is_operator(")")) {
    ASSIGN_OR_RETURN(node, parse_tuple(true));
  }
  RETURN_IF_ERROR(stream_.expect_operator(")"));
  return node;
}

ExprResult ExpressionParser::parse_tuple(bool with_conditional, std::string_view end_name) {
  const auto at_end = [&] {
    return stream_.is(TokenType::kVariableEnd) || stream_.is(TokenType::kBlockEnd) ||
           stream_.is_operator(")") || (!end_name.empty() && stream_.is_name(end_name));
  };
  const auto element = [&] { return with_conditional ? parse_expression() : parse_or(); };
  ExprPtr node = make(ExprKind::kTuple);
  ASSIGN_OR_RETURN(ExprPtr first, element());
  if (!stream_.is_operator(",")) return first;
  node->operands.push_back(std::move(first));
  while (stream_.skip_operator(",") && !at_end()) {
    ASSIGN_OR_RETURN(ExprPtr next, element());
    node->operands.push_back(std::move(next));
  }
  return finish(std::move(node));
}

ExprResult ExpressionParser::parse_list() {
  ExprPtr node = make(ExprKind::kList);
  stream_.next();
  while (!stream_.is_operator("]")) {
    if (!node->operands.empty()) {
      RETURN_IF_ERROR(stream_.expect_operator(","));
      if (stream_.is_operator("]")) break;
    }
    ASSIGN_OR_RETURN(ExprPtr element, parse_expression());
    node->operands.push_back(std::move(element));
  }
  stream_.next();
  return finish(std::move(node));
}

ExprResult ExpressionParser::parse_dict() {
  ExprPtr node = make(ExprKind::kDict);
  stream_.next();
  while (!stream_.is_operator("}")) {
    if (!node->operands.empty()) {
      RETURN_IF_ERROR(stream_.expect_operator(","));
      if (stream_.is_operator("}")) break;
    }
    ASSIGN_OR_RETURN(ExprPtr key, parse_expression());
    RETURN_IF_ERROR(stream_.expect_operator(":"));
    ASSIGN_OR_RETURN(ExprPtr value, parse_expression());
    node->operands.push_back(std::move(key));
    node->operands.push_back(std::move(value));
  }
  stream_.next();
  return finish(std::move(node));
}

ExprResult ExpressionParser::parse_postfix(ExprPtr operand) {
  while (true) {
    if (stream_.is_operator(".") || stream_.is_operator("[")) {
      ASSIGN_OR_RETURN(operand, parse_subscript(std::move(operand)));
    } else if (stream_.is_operator("(")) {
      ASSIGN_OR_RETURN(operand, parse_call(std::move(operand)));
    } else {
      return operand;
    }
  }
}

ExprResult ExpressionParser::parse_filters_and_tests(ExprPtr operand) {
  while (true) {
    if (stream_.is_operator("|")) {
      ASSIGN_OR_RETURN(operand, parse_filters(std::move(operand), false));
    } else if (stream_.is_name("is")) {
      ASSIGN_OR_RETURN(operand, parse_test(std::move(operand)));
    } else if (stream_.is_operator("(")) {
      ASSIGN_OR_RETURN(operand, parse_call(std::move(operand)));
    } else {
      return operand;
    }
  }
}

ExprResult ExpressionParser::parse_subscript(ExprPtr operand) {
  ExprPtr node = make(ExprKind::kItem);
  node->operands.push_back(std::move(operand));
  if (stream_.skip_operator(".")) {
    if (stream_.is(TokenType::kName)) {
      node->kind = ExprKind::kAttribute;
      node->text = stream_.next().text;
    } else if (stream_.is(TokenType::kInteger)) {
      ExprPtr index = make(ExprKind::kConstant);
      index->constant = Value(stream_.next().integer);
      node->operands.push_back(std::move(index));
    } else {
      return stream_.unexpected("a name or number");
    }
    return finish(std::move(node));
  }
  stream_.next();
  ASSIGN_OR_RETURN(ExprPtr part, parse_subscript_part());
  if (stream_.is_operator(",")) {
    ExprPtr tuple = make(ExprKind::kTuple);
    tuple->operands.push_back(std::move(part));
    while (stream_.skip_operator(",")) {
      ASSIGN_OR_RETURN(ExprPtr next, parse_subscript_part());
      tuple->operands.push_back(std::move(next));
    }
    ASSIGN_OR_RETURN(part, finish(std::move(tuple)));
  }
  RETURN_IF_ERROR(stream_.expect_operator("]"));
  node->operands.push_back(std::move(part));
  return finish(std::move(node));
}

ExprResult ExpressionParser::parse_subscript_part() {
  ExprPtr slice = make(ExprKind::kSlice);
  const auto at_separator = [&] {
    return stream_.is_operator(":") || stream_.is_operator("]") || stream_.is_operator(",");
  };
  for (int32_t part = 0; part < 3; ++part) {
    ExprPtr bound;
    if (!at_separator()) {
      ASSIGN_OR_RETURN(bound, parse_expression());
      if (part == 0 && !stream_.is_operator(":")) return bound;
    } else if (part == 0 && !stream_.is_operator(":")) {
      return stream_.unexpected("an expression");
    }
    slice->operands.push_back(std::move(bound));
    if (part < 2 && !stream_.skip_operator(":")) break;
  }
  slice->operands.resize(3);
  return finish(std::move(slice));
}

Result<std::string> ExpressionParser::parse_dotted_name() {
  ASSIGN_OR_RETURN(std::string name, stream_.expect_name());
  while (stream_.skip_operator(".")) {
    ASSIGN_OR_RETURN(const std::string part, stream_.expect_name());
    name += "." + part;
  }
  return name;
}

ExprResult ExpressionParser::parse_filters(ExprPtr operand, bool inline_start) {
  while (inline_start || stream_.skip_operator("|")) {
    inline_start = false;
    ExprPtr node = make(ExprKind::kFilter);
    ASSIGN_OR_RETURN(node->text, parse_dotted_name());
    if (stream_.is_operator("(")) {
      RETURN_IF_ERROR(parse_arguments(node->arguments));
    }
    node->operands.push_back(std::move(operand));
    ASSIGN_OR_RETURN(operand, finish(std::move(node)));
  }
  return operand;
}

ExprResult ExpressionParser::parse_test(ExprPtr operand) {
  stream_.next();
  const bool negated = stream_.skip_name("not");
  ExprPtr node = make(ExprKind::kTest);
  ASSIGN_OR_RETURN(node->text, parse_dotted_name());
  node->operands.push_back(std::move(operand));
  const TokenType type = stream_.current().type;
  if (stream_.is_operator("(")) {
    RETURN_IF_ERROR(parse_arguments(node->arguments));
  } else if (type == TokenType::kString || type == TokenType::kInteger ||
             type == TokenType::kFloat || stream_.is_operator("[") || stream_.is_operator("{") ||
             (type == TokenType::kName && !stream_.is_name("else") && !stream_.is_name("or") &&
              !stream_.is_name("and"))) {
    if (stream_.is_name("is")) return stream_.error("You cannot chain multiple tests with is");
    ASSIGN_OR_RETURN(ExprPtr argument, parse_primary());
    ASSIGN_OR_RETURN(argument, parse_postfix(std::move(argument)));
    node->arguments.push_back({.value = std::move(argument)});
  }
  ASSIGN_OR_RETURN(node, finish(std::move(node)));
  if (!negated) return node;
  ExprPtr negation = make(ExprKind::kNot);
  negation->operands.push_back(std::move(node));
  return finish(std::move(negation));
}

ExprResult ExpressionParser::parse_call(ExprPtr callee) {
  ExprPtr node = make(ExprKind::kCall);
  node->operands.push_back(std::move(callee));
  RETURN_IF_ERROR(parse_arguments(node->arguments));
  return finish(std::move(node));
}

Result<void> ExpressionParser::parse_arguments(std::vector<Argument>& arguments) {
  RETURN_IF_ERROR(stream_.expect_operator("("));
  bool named = false;
  while (!stream_.is_operator(")")) {
    if (!arguments.empty()) {
      RETURN_IF_ERROR(stream_.expect_operator(","));
      if (stream_.is_operator(")")) break;
    }
    Argument argument;
    if (stream_.skip_operator("*")) {
      argument.type = Argument::Type::kSpread;
    } else if (stream_.skip_operator("**")) {
      argument.type = Argument::Type::kNamedSpread;
      named = true;
    } else if (stream_.is(TokenType::kName) && stream_.ahead().type == TokenType::kOperator &&
               stream_.ahead().text == "=") {
      argument.name = stream_.next().text;
      stream_.next();
      named = true;
    } else if (named) {
      return stream_.error("invalid syntax for function call expression");
    }
    ASSIGN_OR_RETURN(argument.value, parse_expression());
    arguments.push_back(std::move(argument));
  }
  stream_.next();
  return {};
}

}  // namespace pagoda::jinja
