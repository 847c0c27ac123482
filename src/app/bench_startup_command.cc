// `pagoda bench startup`: how long the program takes until it answers.
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/bench_offline.h"
#include "app/commands.h"
#include "base/clock.h"
#include "base/printable.h"
#include "bench/load_client.h"
#include "bench/statistics.h"

namespace pagoda {
namespace {

constexpr const char* kApiKey = "pagoda-bench-startup";
constexpr std::chrono::seconds kExitTimeout{60};

// One `pagoda serve`, killed at the latest when this is destroyed.
class ServerProcess {
 public:
  static Result<std::unique_ptr<ServerProcess>> start(const std::vector<std::string>& arguments) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return failed("pipe");
    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
      argv.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: execv() changes nothing
    }
    argv.push_back(nullptr);
    const pid_t parent = getpid();
    const TimePoint begin = real_clock().now();
    const pid_t pid = fork();
    if (pid < 0) {
      close(ends[0]);
      close(ends[1]);
      return failed("fork");
    }
    if (pid == 0) {
      // It must not outlive this process, however that ends.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      dup2(ends[1], STDOUT_FILENO);
      dup2(ends[1], STDERR_FILENO);
      execv("/proc/self/exe", argv.data());
      _exit(127);
    }
    close(ends[1]);
    return std::unique_ptr<ServerProcess>(new ServerProcess(pid, ends[0], begin));
  }

  ~ServerProcess() {
    if (!reaped_) {
      kill(pid_, SIGKILL);
      reap();
    }
    close(output_);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  TimePoint begin() const { return begin_; }

  // The rest of the next line that holds `mark`, behind it. An error when the program ends first,
  // with the last it said, or when `deadline` passes: that it was not `what` in time.
  Result<std::string> wait_for(const std::string& mark, const char* what, TimePoint deadline) {
    while (true) {
      for (size_t end; (end = unread_.find('\n')) != std::string::npos;) {
        std::string line = unread_.substr(0, end);
        unread_.erase(0, end + 1);
        const size_t at = line.find(mark);
        if (at != std::string::npos) return line.substr(at + mark.size());
        last_line_ = std::move(line);
      }
      ASSIGN_OR_RETURN(const Read got, read_some(deadline));
      if (got == Read::kNothingInTime) {
        return Error{ErrorCode::kUnavailable,
                     fmt::format("the server was not {} in the time that --timeout gives; {}", what,
                                 last_words())};
      }
      if (got == Read::kEnd) {
        return Error{ErrorCode::kInternal,
                     fmt::format("the server ended before it was {}; {}", what, last_words())};
      }
    }
  }

  // Asks it to end, and waits until it has: it holds the pipe until then.
  Result<void> stop() {
    kill(pid_, SIGTERM);
    const TimePoint deadline = real_clock().now() + kExitTimeout;
    for (Read got = Read::kSome; got != Read::kEnd;) {
      unread_.clear();
      ASSIGN_OR_RETURN(got, read_some(deadline));
      if (got == Read::kNothingInTime) {
        return Error{
            ErrorCode::kUnavailable,
            fmt::format("the server did not end within {} s of SIGTERM", kExitTimeout.count())};
      }
    }
    const int status = reap();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return Error{ErrorCode::kInternal, fmt::format("the server ended with status {}", status)};
  }

 private:
  ServerProcess(pid_t pid, int output, TimePoint begin)
      : pid_(pid), output_(output), begin_(begin) {}

  static Error failed(const char* what) {
    return {ErrorCode::kInternal, fmt::format("{}: error {}", what, errno)};
  }

  int reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    return status;
  }

  std::string last_words() const {
    return last_line_.empty() ? "it said nothing"
                              : "the last it said: " + printable(last_line_, 500);
  }

  enum class Read { kSome, kEnd, kNothingInTime };
  Result<Read> read_some(TimePoint deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - real_clock().now());
    pollfd readable{.fd = output_, .events = POLLIN, .revents = 0};
    const int found = poll(&readable, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (found < 0 && errno == EINTR) return Read::kSome;
    if (found < 0) return failed("poll");
    if (found == 0) return Read::kNothingInTime;
    std::array<char, 4096> bytes{};
    const ssize_t count = read(output_, bytes.data(), bytes.size());
    if (count < 0) return failed("read");
    unread_.append(bytes.data(), static_cast<size_t>(count));
    return count > 0 ? Read::kSome : Read::kEnd;
  }

  const pid_t pid_;
  const int output_;  // the reading end of its stdout and stderr
  const TimePoint begin_;
  bool reaped_ = false;
  std::string unread_;
  std::string last_line_;
};

// All in milliseconds.
struct StartupTimes {
  double listening = 0.0;
  double ready = 0.0;
  double first_token = 0.0;
  double exit = 0.0;
};

double ms_since(TimePoint begin) {
  return 1e3 * seconds_between(begin, real_clock().now());
}

// Milliseconds from `begin` until the first token of a short completion has come.
Result<double> first_token_ms(const std::string& url, TimePoint begin, TimePoint deadline) {
  ASSIGN_OR_RETURN(const auto client,
                   LoadClient::create({.start = begin, .ca_file = {}, .insecure = true}));
  LoadRequest request;
  request.url = url + "/v1/completions";
  // Several tokens, as the first ones may be only a part of a character.
  request.body = nlohmann::json({{"prompt", "Hello"},
                                 {"max_tokens", 16},
                                 {"temperature", 0},
                                 {"ignore_eos", true},
                                 {"stream", true}})
                     .dump();
  request.headers = {"Content-Type: application/json",
                     std::string("Authorization: Bearer ") + kApiKey};
  RequestRecord record;
  client->start(request, record);
  while (client->num_running() > 0 && real_clock().now() < deadline) client->wait(deadline);
  const bool in_time = client->num_running() == 0;
  client->cancel_all();
  if (record.piece_ns.empty() && !in_time) {
    return Error{ErrorCode::kUnavailable,
                 "the server was ready, and no text came in the time that --timeout gives"};
  }
  if (record.piece_ns.empty()) {
    return Error{ErrorCode::kInternal,
                 fmt::format("the request failed: {} {}", to_string(record.cause), record.message)};
  }
  return static_cast<double>(record.piece_ns.front()) / 1e6;
}

Result<StartupTimes> measure_one(const BenchStartupOptions& options) {
  std::vector<std::string> arguments = {"pagoda",    "serve", "--host",      "127.0.0.1",
                                        "--port",    "0",     "--log-level", "warning",
                                        "--api-key", kApiKey, "--any-model"};
  arguments.insert(arguments.end(), options.serve_arguments.begin(), options.serve_arguments.end());
  StartupTimes times;
  ASSIGN_OR_RETURN(const auto server, ServerProcess::start(arguments));
  const TimePoint deadline = server->begin() + std::chrono::seconds(options.timeout_s);
  ASSIGN_OR_RETURN(const std::string url, server->wait_for("listening on ", "listening", deadline));
  times.listening = ms_since(server->begin());
  RETURN_IF_ERROR([&]() -> Result<void> {
    ASSIGN_OR_RETURN(const std::string line, server->wait_for("ready in ", "ready", deadline));
    return {};
  }());
  times.ready = ms_since(server->begin());
  ASSIGN_OR_RETURN(times.first_token, first_token_ms(url, server->begin(), deadline));
  const TimePoint asked = real_clock().now();
  RETURN_IF_ERROR(server->stop());
  times.exit = ms_since(asked);
  return times;
}

// One row of the report.
struct Row {
  const char* name;
  const char* key;
  double StartupTimes::*value;
};
constexpr std::array<Row, 4> kRows = {
    {{"listening", "listening_ms", &StartupTimes::listening},
     {"ready", "ready_ms", &StartupTimes::ready},
     {"first token", "first_token_ms", &StartupTimes::first_token},
     {"exit", "exit_ms", &StartupTimes::exit}}};

std::vector<double> values_of(const std::vector<StartupTimes>& runs, double StartupTimes::*value) {
  std::vector<double> values;
  for (const StartupTimes& times : runs) values.push_back(times.*value);
  return values;
}

void print_table(const std::vector<StartupTimes>& runs) {
  std::printf("%-12s  %10s  %10s  %10s  %10s  %10s\n", "ms", "mean", "stddev", "min", "max",
              "first run");
  for (const Row& row : kRows) {
    const std::vector<double> values = values_of(runs, row.value);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const std::string deviation =
        values.size() > 1 ? fmt::format("{:.1f}", sample_stddev(values)) : std::string("-");
    std::printf("%-12s  %10.1f  %10s  %10.1f  %10.1f  %10.1f\n", row.name, mean_of(values),
                deviation.c_str(), *low, *high, values.front());
  }
}

void print_json(const BenchStartupOptions& options, const std::vector<StartupTimes>& runs) {
  nlohmann::ordered_json json = {{"version", program_version()},
                                 {"build", program_commit()},
                                 {"arguments", options.serve_arguments}};
  for (const Row& row : kRows) {
    const std::vector<double> values = values_of(runs, row.value);
    json[row.key] = {{"mean", mean_of(values)}, {"stddev", nullptr}, {"runs", values}};
    if (values.size() > 1) json[row.key]["stddev"] = sample_stddev(values);
  }
  // An argument may be no UTF-8.
  std::printf("%s\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

Result<void> bench_startup(const BenchStartupOptions& options) {
  std::vector<StartupTimes> runs;
  for (int32_t i = 0; i < options.repeat; ++i) {
    auto times = measure_one(options);
    if (!times.ok()) {
      return Error{times.error().code,
                   fmt::format("start {} of {}: {}", i + 1, options.repeat, times.error().message)};
    }
    std::fprintf(stderr, "start %d of %d: ready after %.0f ms, first token after %.0f ms\n", i + 1,
                 options.repeat, times->ready, times->first_token);
    runs.push_back(*times);
  }
  if (options.as_json) {
    print_json(options, runs);
  } else {
    print_table(runs);
  }
  return {};
}

}  // namespace pagoda
