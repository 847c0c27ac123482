// `pagoda serve`: listens, loads, serves, drains.
#include <fmt/core.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "app/build_engine.h"
#include "app/commands.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server/access.h"
#include "server/http/listener.h"
#include "server/monitor/neuron_monitor.h"
#include "server/server.h"

namespace pagoda {
namespace {

// Sent by the loading thread to the main thread when it is done, so that main can sleep in sigwait.
constexpr int kLoadedSignal = SIGUSR1;

// How long the end may take after a second signal: for the last events to reach their clients.
constexpr std::chrono::milliseconds kQuitLimit{800};

// Larger allocations go back to the system when they are freed. By default this limit grows with
// what is freed, and the memory of large request bodies would stay with the process.
constexpr int kMmapThresholdBytes = 1 << 20;

// The signals that main waits for. Blocked before any thread starts, so that no other thread takes
// them.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);  // the terminal has closed
  sigaddset(&signals, kLoadedSignal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A closed socket, and a file that may not grow, are error codes, not deaths.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return signals;
}

// True when SIGTERM, SIGINT or SIGHUP comes within `timeout`.
bool wait_for_stop(const sigset_t& signals, std::chrono::milliseconds timeout) {
  const timespec limit{.tv_sec = static_cast<time_t>(timeout.count() / 1000),
                       .tv_nsec = static_cast<long>(timeout.count() % 1000) * 1'000'000};
  const int received = sigtimedwait(&signals, nullptr, &limit);
  return received == SIGTERM || received == SIGINT || received == SIGHUP;
}

void print_line(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

ServerConfig server_config(const ServeOptions& options) {
  ServerConfig config;
  config.host = options.host;
  config.port = options.port;
  config.uds_path = options.uds;
  config.tls = options.tls;
  config.api_keys = options.api_keys;
  config.admin_key = options.admin_key;
  config.allowed_hosts = options.allowed_hosts;
  config.allowed_origins = options.allowed_origins;
  config.any_model = options.any_model;
  config.trusts_request_templates = options.trusts_request_templates;
  config.ignores_tools = options.ignores_tools;
  config.max_task_tokens = options.max_task_tokens;
  config.seed = options.seed;
  config.slo_ttft_s = options.engine.slo_ttft_s;
  config.slo_tpot_s = options.engine.slo_tpot_s;
  config.shown_settings = options.shown_settings;
  config.otlp_traces_endpoint = options.otlp_traces_endpoint;
  config.replicas = options.replicas;
  config.neuron_monitor =
      options.neuron_monitor.empty() ? find_neuron_monitor() : options.neuron_monitor;
  if (options.neuron_monitor == "off") config.neuron_monitor.clear();
  config.num_io_threads = options.num_io_threads;
  config.connections = options.connections;
  config.limits = options.limits;
  config.version = program_version();
  config.build = program_commit();
  return config;
}

// Loads on a thread of its own while the server already answers 503.
class Loader {
 public:
  Loader(const ServeOptions& options, MetricsRegistry& metrics)
      : main_thread_(pthread_self()), thread_([this, &options, &metrics] {
          auto built = build_engine(options.engine, &metrics, print_line);
          if (built.ok()) {
            built_ = std::move(built).value();
          } else {
            error_ = std::move(built).error();
          }
          done_ = true;
          pthread_kill(main_thread_, kLoadedSignal);
        }) {}
  ~Loader() {
    if (thread_.joinable()) thread_.join();
  }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  bool done() const { return done_; }
  // REQUIRES: done().
  Result<std::unique_ptr<BuiltEngine>> take() {
    thread_.join();
    if (error_) return std::move(*error_);
    return std::move(built_);
  }

 private:
  const pthread_t main_thread_;
  std::atomic<bool> done_ = false;
  std::unique_ptr<BuiltEngine> built_;  // written by the thread before done_
  std::optional<Error> error_;          // written by the thread before done_
  std::thread thread_;                  // last: the others exist when it starts
};

void print_ready(const ServeOptions& options, const Server& server, const ServedModel& served,
                 double seconds) {
  const std::string& name = served.names.front();
  print_line(fmt::format("ready in {:.2f} s", seconds));
  print_line(fmt::format("  API     {}/v1   (model: {})", server.url(), name));
  print_line(fmt::format("  health  {0}/health   metrics  {0}/metrics", server.url()));
  if (!options.uds.empty()) return;
  print_line(fmt::format("  chat    {0}/         board    {0}/dashboard", server.url()));
  print_line(fmt::format(
      "try:\n  curl {}{}/v1/chat/completions -H 'Content-Type: application/json' {}-d \\\n"
      "    '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"What is the "
      "capital of India?\"}}]}}'",
      options.tls.empty() ? "" : "--cacert " + options.tls.certificate_chain + " ", server.url(),
      options.api_keys.empty() ? "" : "-H \"Authorization: Bearer $KEY\" ", name));
}

void warn_if_open(const ServeOptions& options) {
  const bool local = is_loopback_host(options.host) || !options.uds.empty();
  if (!local && options.api_keys.empty()) {
    log_warning(fmt::format(
        "event=open_server host={} note=\"anyone who can reach this address can use the model; "
        "set --api-key\"",
        options.host));
  }
}

// Ends the process soon whatever it is doing: a step, a large prompt, a client that does not read.
void quit_soon() {
  std::thread([] {
    std::this_thread::sleep_for(kQuitLimit);
    std::fflush(stderr);
    std::_Exit(0);
  }).detach();
}

// The bodies of all requests, and the one large body that is parsed at a time: its text up to three
// times, and the values it may have (openai/schema.h), measured at 130 bytes each at the worst; and
// what is kept for the dashboard: two rings of samples, lists of requests, the end of the log.
int64_t http_bytes(const HttpLimits& limits) {
  constexpr int64_t kParsedBytes = int64_t{144} << 20;
  const int64_t bodies = static_cast<int64_t>(limits.max_body_memory_bytes);
  constexpr int64_t kDashboardBytes = int64_t{16} << 20;
  return kDashboardBytes + bodies + 3 * static_cast<int64_t>(limits.max_body_bytes) + kParsedBytes;
}

// The keys of the command line and of the file, each once: each is a tenant.
Result<void> gather_keys(ServeOptions& options) {
  if (!options.api_key_file.empty()) {
    ASSIGN_OR_RETURN(const std::vector<std::string> keys, read_api_keys(options.api_key_file));
    options.api_keys.insert(options.api_keys.end(), keys.begin(), keys.end());
  }
  std::vector<std::string>& keys = options.api_keys;
  for (const std::string& key : keys) {
    if (std::ranges::any_of(key, [](char c) { return static_cast<unsigned char>(c) < 0x21; })) {
      return invalid_argument("api-key: a key with spaces or control characters cannot be sent");
    }
    if (key == options.admin_key) {
      return invalid_argument("admin-key: is also an API key, which every client would have");
    }
  }
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  options.engine.num_tenants = std::max(1, static_cast<int32_t>(keys.size()));
  return {};
}

// A supervisor that was killed cannot stop us, and nobody else knows that we are not wanted.
Result<void> follow_parent(int32_t parent_pid) {
  if (parent_pid == 0) return {};
  // In this order: a parent that ends in between is seen by the second.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent_pid) {
    return invalid_argument(
        fmt::format("parent-pid: the parent process is {}, not {}", getppid(), parent_pid));
  }
  return {};
}

// Unready, then wait for the running requests, then end what is left.
void drain(const ServeOptions& options, const sigset_t& signals, Server& server,
           AsyncEngine& engine) {
  log_info(fmt::format("event=drain active={} limit_s={}", server.num_active_requests(),
                       options.drain_timeout_s));
  server.begin_drain();
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(options.drain_timeout_s);
  while (std::chrono::steady_clock::now() < deadline) {
    if (server.wait_streams(std::chrono::milliseconds(50))) break;
    if (wait_for_stop(signals, std::chrono::milliseconds(0))) {
      log_warning("event=drain_cut reason=\"second signal\"");
      quit_soon();
      break;
    }
  }
  engine.stop_accepting();
  server.stop();
  log_info("event=stopped");
}

}  // namespace

Result<void> serve(const ServeOptions& given) {
  RETURN_IF_ERROR(set_log_format(given.log_format));
  if (!given.log_level.empty()) RETURN_IF_ERROR(set_log_level(given.log_level));
  RETURN_IF_ERROR(follow_parent(given.parent_pid));
  ServeOptions options = given;
  RETURN_IF_ERROR(gather_keys(options));
  options.engine.http_bytes = http_bytes(options.limits);
  mallopt(M_MMAP_THRESHOLD, kMmapThresholdBytes);
  const auto start = std::chrono::steady_clock::now();
  const sigset_t signals = block_signals();
  MetricsRegistry metrics;
  // Declared before the server: requests in flight use the engine until the server has stopped.
  std::unique_ptr<BuiltEngine> built;
  ASSIGN_OR_RETURN(const std::unique_ptr<Server> server,
                   Server::listen(server_config(options), metrics));
  print_line(fmt::format("pagoda {}: listening on {}", program_version(), server->url()));
  warn_if_open(options);
  {
    Loader loader(options, metrics);
    while (!loader.done()) {
      int received = 0;
      sigwait(&signals, &received);
      if (received != kLoadedSignal) {
        // Loading cannot be interrupted half-way, and there is nothing to save.
        server->stop();
        std::fflush(stderr);
        std::_Exit(0);
      }
    }
    ASSIGN_OR_RETURN(built, loader.take());
  }
  if (!options.served_model_names.empty()) built->served.names = options.served_model_names;
  server->set_ready(built->served, *built->engine);
  print_ready(options, *server, built->served,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());

  int received = 0;
  do {
    sigwait(&signals, &received);
  } while (received == kLoadedSignal);
  drain(options, signals, *server, *built->engine);
  return {};
}

}  // namespace pagoda
