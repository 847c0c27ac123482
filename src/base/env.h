// The table of environment variables, and the only place that reads them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pagoda {

struct EnvVar {
  std::string_view name;
  std::string_view help;   // values and meaning
  bool is_secret = false;  // its value is not shown
};

// Variables that are not also flags of `serve` (those are PAGODA_ and the flag in capitals).
std::span<const EnvVar> env_table();

// The variable's value; nullopt when unset or empty. Thread-safe as long as nobody sets variables.
std::optional<std::string> env_value(std::string_view name);

}  // namespace pagoda
