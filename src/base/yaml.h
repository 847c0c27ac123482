// Flat YAML files: a mapping of names to scalars, as configuration files use it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pagoda {

struct YamlEntry {
  std::string key;
  std::vector<std::string> values;  // one for a scalar, several for a sequence of scalars
  int line = 0;                     // 1-based
};

// Entries in file order. kInvalidArgument, with the line: a syntax error, a duplicate key, nesting,
// or a top level that is not a mapping. An empty text gives no entries. `text` is untrusted.
Result<std::vector<YamlEntry>> parse_flat_yaml(std::string_view text);

}  // namespace pagoda
