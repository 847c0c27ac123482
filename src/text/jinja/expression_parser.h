// ExpressionParser: recursive descent over the expressions of Jinja.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/jinja/ast.h"
#include "text/jinja/token_stream.h"

namespace pagoda::jinja {

using ExprResult = Result<ExprPtr>;

// Reads expressions from a stream that outlives it. Precedence is Jinja2's own: `~` binds tighter
// than `+`, and `**` groups to the left. Not thread-safe.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  ExprResult parse_expression() { return parse_conditional(); }
  // Without the inline if.
  ExprResult parse_or();
  // One expression, or several with commas as a tuple. `with_conditional`: elements may have an
  // inline if. The list also ends at the name `end_name`, when that is not empty.
  ExprResult parse_tuple(bool with_conditional, std::string_view end_name = {});
  // The filters from the current one on, over `operand` (null in blocks). `inline_start`: no `|`
  // stands before the first.
  ExprResult parse_filters(ExprPtr operand, bool inline_start);

  // Names read so far that decide what a macro catches: see MacroNode.
  struct SpecialNames {
    bool caller = false, kwargs = false, varargs = false;
  };
  SpecialNames special_names;

 private:
  ExprResult parse_conditional();
  ExprResult parse_and();
  ExprResult parse_not();
  ExprResult parse_compare();
  ExprResult parse_sum();
  ExprResult parse_concat();
  ExprResult parse_product();
  ExprResult parse_power();
  ExprResult parse_unary(bool with_filters);
  ExprResult parse_primary();
  ExprResult parse_parenthesis();
  ExprResult parse_list();
  ExprResult parse_dict();
  ExprResult parse_postfix(ExprPtr operand);
  ExprResult parse_filters_and_tests(ExprPtr operand);
  ExprResult parse_subscript(ExprPtr operand);
  ExprResult parse_subscript_part();
  ExprResult parse_test(ExprPtr operand);
  ExprResult parse_call(ExprPtr callee);
  Result<void> parse_arguments(std::vector<Argument>& arguments);
  Result<std::string> parse_dotted_name();

  ExprPtr make(ExprKind kind, std::string text = {}) const;
  // Puts operands under a node; refuses a tree higher than the limit.
  ExprResult finish(ExprPtr node) const;
  ExprResult binary(ExprKind kind, std::string text, ExprPtr left, ExprPtr right) const;

  // Counts the recursion of the parser itself.
  class Nesting;

  TokenStream& stream_;
  int32_t nesting_ = 0;
};

}  // namespace pagoda::jinja
