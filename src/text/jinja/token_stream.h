// TokenStream: the parsers' cursor over the tokens of a template.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/jinja/lexer.h"

namespace pagoda::jinja {

// Owns the tokens. Not thread-safe.
class TokenStream {
 public:
  // REQUIRES: the last token is kEnd.
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  // Steps on and returns the token stepped over. Stays at the end.
  const Token& next() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }

  bool is(TokenType type) const { return current().type == type; }
  bool is_operator(std::string_view text) const {
    return is(TokenType::kOperator) && current().text == text;
  }
  bool is_name(std::string_view text) const {
    return is(TokenType::kName) && current().text == text;
  }
  bool skip_operator(std::string_view text) {
    if (!is_operator(text)) return false;
    next();
    return true;
  }
  bool skip_name(std::string_view text) {
    if (!is_name(text)) return false;
    next();
    return true;
  }
  Result<void> expect_operator(std::string_view text) {
    if (!skip_operator(text)) return unexpected("'" + std::string(text) + "'");
    return {};
  }
  Result<void> expect(TokenType type, std::string_view what) {
    if (!is(type)) return unexpected(what);
    next();
    return {};
  }
  Result<std::string> expect_name() {
    if (!is(TokenType::kName)) return unexpected("a name");
    return next().text;
  }

  Error error(std::string_view what) const {
    return invalid_argument("template line " + std::to_string(current().line) + ": " +
                            std::string(what));
  }
  Error unexpected(std::string_view wanted) const {
    return error("expected " + std::string(wanted) + ", found " + describe());
  }

 private:
  std::string describe() const {
    switch (current().type) {
      case TokenType::kEnd: return "the end of the template";
      case TokenType::kData: return "template data";
      case TokenType::kVariableBegin: return "'{{'";
      case TokenType::kVariableEnd: return "'}}'";
      case TokenType::kBlockBegin: return "'{%'";
      case TokenType::kBlockEnd: return "'%}'";
      case TokenType::kString: return "a string";
      case TokenType::kInteger:
      case TokenType::kFloat: return "a number";
      default: return "'" + current().text + "'";
    }
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace pagoda::jinja
