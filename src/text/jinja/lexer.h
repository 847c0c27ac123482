// Lexer: cuts a template into data and the tokens of its tags.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pagoda::jinja {

enum class TokenType {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,  // unescaped
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  int32_t line = 1;
  std::string text = {};
  int64_t integer = 0;
  double number = 0;
};

// All tokens of `source`, kEnd last, with trim_blocks and lstrip_blocks on. kInvalidArgument with
// the line for what is malformed. REQUIRES: valid UTF-8.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace pagoda::jinja
