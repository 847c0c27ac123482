// Case and kinds of characters as Python's str has them. All texts are valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace pagoda::jinja {

enum class Case { kUpper, kLower, kTitle, kCapitalized, kSwapped };

// str.upper(), .lower(), .title(), .capitalize() and .swapcase(), with the mappings to several
// characters and the final sigma.
std::string change_case(std::string_view text, Case wanted);
// str.casefold().
std::string fold_case(std::string_view text);

// str.isdigit() and str.isnumeric() of one character; whether it is a letter in title case.
bool is_digit(char32_t code_point);
bool is_numeric(char32_t code_point);
bool is_title(char32_t code_point);

}  // namespace pagoda::jinja
