// Logging: spdlog set up once; every line is `time level event key=value ...`.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Sets the lowest level shown ("debug", "info", "warning", "error"; else kInvalidArgument). Lines
// go to stderr.
Result<void> set_log_level(std::string_view name);

// Writes one line, of which 4 KB are shown. Never waits: when nobody reads stderr, lines are
// dropped and counted. Thread-safe. Control characters are escaped, so one call is one line.
void log_line(LogLevel level, std::string_view text);

inline void log_info(std::string_view text) {
  log_line(LogLevel::kInfo, text);
}
inline void log_warning(std::string_view text) {
  log_line(LogLevel::kWarning, text);
}
inline void log_error(std::string_view text) {
  log_line(LogLevel::kError, text);
}
inline void log_debug(std::string_view text) {
  log_line(LogLevel::kDebug, text);
}

}  // namespace pagoda
