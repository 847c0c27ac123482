// Json: nlohmann's ordered_json behind limits, so that parsing returns a Result and cannot exhaust
// the stack.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  int max_depth = 64;                    // nesting of arrays and objects
  size_t max_bytes = size_t{256} << 20;  // length of the text
  // Of any kind, members and elements: two bytes of text can become a hundred of memory.
  size_t max_values = size_t{1} << 26;
  bool refuse_duplicate_keys = false;  // otherwise the last one wins
};

// Parses one JSON text. Refuses invalid UTF-8, trailing data, numbers beyond double, nesting,
// length or number of values beyond the limits: kInvalidArgument, with the byte offset and never
// the text itself.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

// Compact text. Invalid UTF-8 inside strings becomes U+FFFD; never throws.
std::string dump_json(const Json& value);

// Appends `text` to `out` as the inside of a JSON string (no quotes added): escapes quotes,
// backslash and control characters, replaces invalid UTF-8 by U+FFFD. The hot path of streaming.
void append_json_escaped(std::string& out, std::string_view text);

}  // namespace pagoda
