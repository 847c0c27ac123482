// Logging on spdlog, to stderr.
#include "base/log.h"

#include <fmt/core.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include "base/json.h"

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

bool& as_json() {
  static bool value = false;  // set before threads start
  return value;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

// The last lines, for those who cannot see stderr.
class LogTail {
 public:
  void add(LogLevel level, std::string_view text) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    LogLine line{.number = 0,
                 .time = std::chrono::duration<double>(now).count(),
                 .level = level,
                 .text = std::string(text.substr(0, kMaxLineBytes))};
    const std::lock_guard lock(mutex_);
    line.number = ++last_;
    lines_.push_back(std::move(line));
    if (lines_.size() > kMaxLines) lines_.pop_front();
  }

  std::vector<LogLine> after(int64_t number, LogLevel lowest, size_t limit) const {
    std::vector<LogLine> found;
    const std::lock_guard lock(mutex_);
    for (auto line = lines_.rbegin(); line != lines_.rend() && found.size() < limit; ++line) {
      if (line->number <= number) break;
      if (line->level >= lowest) found.push_back(*line);
    }
    std::reverse(found.begin(), found.end());
    return found;
  }

  LogRange range() const {
    const std::lock_guard lock(mutex_);
    return lines_.empty() ? LogRange{} : LogRange{lines_.front().number, last_};
  }

 private:
  static constexpr size_t kMaxLines = 1000;
  static constexpr size_t kMaxLineBytes = 1024;

  mutable std::mutex mutex_;
  std::deque<LogLine> lines_;  // guarded by mutex_
  int64_t last_ = 0;           // guarded by mutex_
};

LogTail& tail() {
  static LogTail instance;
  return instance;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  append_json_escaped(out, text);
  return out + '"';
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

Result<void> set_log_format(std::string_view name) {
  if (name != "text" && name != "json") {
    return invalid_argument(fmt::format("log format '{}' is not one of text, json", name));
  }
  as_json() = name == "json";
  logger().set_pattern(as_json() ? R"({"time": "%Y-%m-%dT%H:%M:%S.%e%z", "level": "%l", %v})"
                                 : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  return {};
}

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "info";
}

std::string log_members(std::string_view text) {
  std::string members;
  const auto add = [&members](std::string_view key, std::string_view value) {
    // A key that comes twice would be lost by most readers.
    const std::string member = quoted(key) + ": ";
    if (members.find(member) != std::string::npos) return;
    members += (members.empty() ? "" : ", ") + member + quoted(value);
  };
  std::string_view words;  // what is no pair
  const char* first_word = nullptr;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const size_t equals = text.substr(0, end).find('=');
    if (equals == std::string_view::npos || equals == 0) {
      if (first_word == nullptr) first_word = text.data();
      words = {first_word, static_cast<size_t>(text.data() + end - first_word)};
      text.remove_prefix(std::min(end + 1, text.size()));
      continue;
    }
    if (first_word != nullptr) add("event", words);
    first_word = nullptr;
    const std::string_view key = text.substr(0, equals);
    text.remove_prefix(equals + 1);
    size_t length = std::min(text.find(' '), text.size());
    std::string_view value = text.substr(0, length);
    if (text.starts_with('"')) {
      const size_t close = text.find('"', 1);
      length = close == std::string_view::npos ? text.size() : close + 1;
      value = text.substr(1, close == std::string_view::npos ? text.size() - 1 : close - 1);
    }
    add(key, value);
    text.remove_prefix(std::min(length, text.size()));
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  if (first_word != nullptr) add("event", words);
  return members.empty() ? "\"event\": \"\"" : members;
}

void log_line(LogLevel level, std::string_view text) {
  if (!logger().should_log(spdlog_level(level))) return;
  const std::string line = one_line(text);
  tail().add(level, line);
  logger().log(spdlog_level(level), "{}", as_json() ? log_members(line) : line);
}

std::vector<LogLine> recent_log_lines(int64_t after, LogLevel lowest, size_t limit) {
  return tail().after(after, lowest, limit);
}

LogRange kept_log_lines() {
  return tail().range();
}

}  // namespace pagoda
