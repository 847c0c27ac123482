// Logging: spdlog set up once; every line is `time level event key=value ...`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pagoda {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Sets the lowest level shown ("debug", "info", "warning", "error"; else kInvalidArgument). Lines
// go to stderr.
Result<void> set_log_level(std::string_view name);

// How lines look ("text", "json"; else kInvalidArgument). In JSON each line is an object of `time`,
// `level`, `event` and the line's own key=value pairs, all but `time` and `level` as text.
Result<void> set_log_format(std::string_view name);

// Writes one line, of which 4 KB are shown. Never waits: when nobody reads stderr, lines are
// dropped and counted. Thread-safe. Control characters are escaped, so one call is one line.
void log_line(LogLevel level, std::string_view text);

// "debug", "info", "warning", "error".
std::string_view to_string(LogLevel level);

struct LogLine {
  int64_t number = 0;  // 1 is the first of the process
  double time = 0;     // Unix seconds
  LogLevel level = LogLevel::kInfo;
  std::string text;
};

// The last lines that the log level let through, the newest `limit` of those after `after` that are
// at least `lowest`, oldest first. Kept are 1000, and 1 KB of each.
std::vector<LogLine> recent_log_lines(int64_t after, LogLevel lowest, size_t limit);
// The number of the oldest line kept and of the newest; 0 when there is none.
struct LogRange {
  int64_t first = 0;
  int64_t last = 0;
};
LogRange kept_log_lines();

// `text`, "event key=value ...", as the members of a JSON object without its braces.
std::string log_members(std::string_view text);

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
