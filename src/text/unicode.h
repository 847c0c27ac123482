// UTF-8 and character classes: validation, decoding with replacement, normalisation, spaces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pagoda {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

// True when `text` is well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms).
bool is_valid_utf8(std::string_view text);

// The character that starts at `offset`; advances `offset` behind it.
// REQUIRES: valid UTF-8 and offset < text.size() at a character's first byte.
char32_t next_code_point(std::string_view text, size_t& offset);

// Appends a code point as UTF-8. REQUIRES: a scalar value (not a surrogate, <= 0x10FFFF).
void append_utf8(std::string& out, char32_t code_point);

// Number of code points in a valid UTF-8 text.
int64_t count_code_points(std::string_view text);

// Appends `bytes` to `out` as UTF-8; each maximal subpart that is no character becomes one U+FFFD
// (as Python's errors="replace" and the Unicode Standard, section 3.9). Returns how many bytes were
// used: all of them, except an unfinished character at the end, which the caller keeps.
size_t append_utf8_lossy(std::string_view bytes, std::string& out);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// A valid UTF-8 text in a normalisation form (Unicode Standard Annex 15) of Unicode 9, as Hugging
// Face tokenizers has it: later characters stay as and where they are.
std::string normalize_unicode(std::string_view text, NormalForm form);
// A valid UTF-8 text without its combining marks (categories M*, of Unicode 8).
std::string without_marks(std::string_view text);
// A valid UTF-8 text without the White_Space at its ends.
std::string_view strip_white_space(std::string_view text, bool left, bool right);

// Python's str.isspace for one character.
bool is_python_space(char32_t code_point);
// White_Space of the Unicode Character Database: what `\s` means in a tokenizer's pattern.
bool is_white_space(char32_t code_point);
// `\w`: letters, marks, decimal and letter numbers, connector punctuation.
bool is_word_character(char32_t code_point);

bool is_upper(char32_t code_point);
bool is_lower(char32_t code_point);
bool is_letter(char32_t code_point);
bool is_decimal_digit(char32_t code_point);
bool is_numeric(char32_t code_point);  // categories N*, of Unicode 17
// Categories P* of Unicode 8, and the signs that ASCII counts as punctuation ($ + < = > ^ ` | ~).
bool is_punctuation(char32_t code_point);
// Python's str.isprintable for one character.
bool is_printable(char32_t code_point);

// A valid UTF-8 text in small letters: by simple mappings, except of the capital I with a dot.
std::string to_lower(std::string_view text);

}  // namespace pagoda
