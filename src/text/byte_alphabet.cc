// GPT-2's byte-level alphabet, in both directions.
#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/unicode.h"

namespace pagoda {
namespace {

struct Alphabet {
  Alphabet() {
    bytes.fill(-1);
    uint16_t next = 256;
    for (uint16_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      const uint16_t character = printable ? byte : next++;
      bytes[character] = static_cast<int16_t>(byte);
      characters[byte] = character;
    }
  }
  std::array<int16_t, 324> bytes = {};  // by character; -1: outside the alphabet
  std::array<uint16_t, 256> characters = {};
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

bool from_byte_alphabet(std::string_view spelling, std::string& out) {
  const auto& bytes = alphabet().bytes;
  out.clear();
  for (size_t offset = 0; offset < spelling.size();) {
    const char32_t c = next_code_point(spelling, offset);
    const int16_t byte = c < bytes.size() ? bytes[c] : int16_t{-1};
    if (byte < 0) {
      out.assign(spelling);
      return false;
    }
    out.push_back(static_cast<char>(byte));
  }
  return true;
}

void to_byte_alphabet(std::string_view bytes, std::string& out) {
  for (const char c : bytes) append_utf8(out, alphabet().characters[static_cast<uint8_t>(c)]);
}

}  // namespace pagoda
