// Logging on spdlog, to stderr.
#include "base/log.h"

#include <fmt/core.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace pagoda {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("pagoda",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *instance;
}

// A model name or a header may hold anything; a log line must stay one line.
std::string one_line(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

Result<void> set_log_level(std::string_view name) {
  if (name == "debug") {
    logger().set_level(spdlog::level::debug);
  } else if (name == "info") {
    logger().set_level(spdlog::level::info);
  } else if (name == "warning") {
    logger().set_level(spdlog::level::warn);
  } else if (name == "error") {
    logger().set_level(spdlog::level::err);
  } else {
    return invalid_argument(
        fmt::format("log level '{}' is not one of debug, info, warning, error", name));
  }
  return {};
}

void log_line(LogLevel level, std::string_view text) {
  const std::string line = one_line(text);
  switch (level) {
    case LogLevel::kDebug: logger().debug("{}", line); break;
    case LogLevel::kInfo: logger().info("{}", line); break;
    case LogLevel::kWarning: logger().warn("{}", line); break;
    case LogLevel::kError: logger().error("{}", line); break;
  }
}

}  // namespace pagoda
