// Where parts of Hugging Face tokenizers follow an older or a newer Unicode than utf8proc does.
#pragma once

namespace pagoda {

// False for characters that normalisation forms leave as they are and never move or join, because
// they came after Unicode 9: its normalizers still use that version's tables.
bool is_known_to_normalizers(char32_t c);
// False for marks that its StripAccents, and for signs that its Punctuation does not know as such:
// they came after Unicode 8. REQUIRES: a mark; a punctuation character.
bool is_known_mark(char32_t c);
bool is_known_punctuation(char32_t c);
// Numbers (N*) and capitals that its Digits and Lowercase know, of Unicode 16 and 17.
bool is_newer_number(char32_t c);
// The small letter of a capital that utf8proc does not know; 0 for other characters.
char32_t newer_small_letter(char32_t c);

}  // namespace pagoda
