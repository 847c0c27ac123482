// Logging on spdlog, to stderr.
#include "base/log.h"

#include <fmt/core.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace pagoda {
namespace {

// A reader that has stopped (a pager, a terminal after Ctrl-S, a stuck collector) must not stop the
// server: a line that finds no room is dropped, and the next one that finds some says how many
// were. POSIX promises that a pipe which poll() calls writable takes PIPE_BUF bytes without
// waiting.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (writable() && num_dropped_ > 0) {
      write(fmt::format("log_lines_dropped count={} reason=\"nobody read the log\"\n",
                        std::exchange(num_dropped_, 0)));
    }
    if (writable()) {
      write({line.data(), line.size()});
    } else {
      ++num_dropped_;
    }
  }
  void flush_() override {}

 private:
  static constexpr size_t kMaxLineBytes = 4096;  // PIPE_BUF

  static bool writable() {
    pollfd wait{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    return ::poll(&wait, 1, 0) == 1;
  }
  static void write(std::string_view line) {
    std::array<char, kMaxLineBytes> text{};
    const size_t size = std::min(line.size(), text.size());
    std::copy_n(line.data(), size, text.data());
    text[size - 1] = '\n';
    // There is nobody to tell that the log cannot be written.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), size);
  }

  int64_t num_dropped_ = 0;  // since the last line that was written
};

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("pagoda", std::make_shared<StderrSink>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
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
