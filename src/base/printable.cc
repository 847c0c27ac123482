// Escapes what a terminal would obey.
#include "base/printable.h"

#include <fmt/core.h>

#include <iterator>

#include "base/utf8.h"

namespace pagoda {
namespace {

// Whether one well-formed character only shows: not U+0000 to 1F, 7F to 9F, nor what breaks the
// line or turns its direction (U+200E, 200F, 2028 to 202E, 2066 to 2069).
bool only_shows(std::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0) >= 0x20 && byte(0) != 0x7F;
  if (character.size() == 2) return byte(0) != 0xC2 || byte(1) >= 0xA0;
  if (character.size() == 3 && byte(0) == 0xE2) {
    if (byte(1) == 0x80)
      return byte(2) != 0x8E && byte(2) != 0x8F && !(byte(2) >= 0xA8 && byte(2) <= 0xAE);
    if (byte(1) == 0x81) return byte(2) < 0xA6 || byte(2) > 0xA9;
  }
  return true;
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    const size_t length = utf8_length(text.substr(i, 4));
    const std::string_view character = text.substr(i, length == 0 ? 1 : length);
    if (i + character.size() > max_bytes) break;
    i += character.size();
    if (length > 0 && only_shows(character)) {
      out += character;
    } else if (character == "\n" || character == "\r" || character == "\t") {
      out += ' ';
    } else {
      for (const char c : character) {
        fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
      }
    }
  }
  if (i < text.size()) out += "...";
  return out;
}

}  // namespace pagoda
