// GPT-2's byte-level alphabet: each byte as one printable character, for vocabularies kept as text.
#pragma once

#include <string>
#include <string_view>

namespace pagoda {

// Printable Latin-1 stands for itself, the other 68 bytes for U+0100 and on, in order (Radford et
// al. 2019, `bytes_to_unicode`). All functions are pure; `spelling` and `text` are valid UTF-8.

// Replaces `out` with the raw bytes of a spelling; a spelling with a character outside the alphabet
// stands for itself, as in Hugging Face's decoder. Returns whether all characters are of the
// alphabet.
bool from_byte_alphabet(std::string_view spelling, std::string& out);

// Appends the spelling of each byte to `out`.
void to_byte_alphabet(std::string_view bytes, std::string& out);

}  // namespace pagoda
