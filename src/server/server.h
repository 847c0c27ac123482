// Server: the OpenAI-compatible HTTP server over one engine.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "core/sampling_params.h"
#include "engine/async_engine.h"
#include "server/http/connection_gate.h"
#include "server/http/limits.h"
#include "server/http/tls_files.h"
#include "server/monitor/replica_watch.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace pagoda {

// What the server needs to know of the model it serves. Value type.
struct ServedModel {
  std::vector<std::string> names;  // at least one; the first is the id, the others are aliases
  std::shared_ptr<const Tokenizer> tokenizer;         // never null
  std::shared_ptr<const ChatTemplate> chat_template;  // null: chat requests are refused with 400
  std::string bos_token;  // spelling, for the chat template; may be empty
  std::string eos_token;
  int32_t max_model_len = 0;                  // tokens, prompt and output together
  SamplingParams default_sampling;            // generation_config.json's; eos_token_ids inside
  std::optional<int32_t> default_max_tokens;  // when a request gives none; else chat fills the
                                              // context and completions take 16
  int64_t created = 0;                        // Unix seconds, shown by /v1/models
  std::string backend = {};         // "cpu avx512, 2 threads", for operators; may be empty
  int64_t memory_budget_bytes = 0;  // resident memory that is never exceeded; 0: unknown
};

// A setting as operators see it. Value type.
struct ShownSetting {
  std::string group;
  std::string name;
  std::string help;
  std::string value;
  bool changed = false;    // given by the command line, the environment or a file
  bool is_secret = false;  // only whether it was given is shown
};

// Addresses, keys and limits. Value type; all sizes in bytes.
struct ServerConfig {
  std::string host = "127.0.0.1";  // IPv4 or IPv6 address, or a name to resolve; ignored with uds
  int32_t port = 8000;             // 0: any free one
  std::string uds_path = {};       // not empty: a Unix socket (mode 0600) instead of host and port
  TlsFiles tls = {};               // both files set: HTTPS
  std::vector<std::string> api_keys = {};  // empty: no key is asked for; else one tenant each
  std::string admin_key = {};              // for /debug/state; empty: asked from this host only
  // "*" is any. Empty: on a loopback address its names, else any.
  std::vector<std::string> allowed_hosts = {};
  std::vector<std::string> allowed_origins = {};  // for browsers (CORS); "*" is any; empty: none
  bool any_model = false;  // answer whatever `model` a request names, else 404 for unknown ones
  bool trusts_request_templates = false;  // render the `chat_template` of requests
  bool ignores_tools = false;      // of requests that leave it to the model whether to call one
  int32_t max_task_tokens = 1024;  // of a chat that is taken for an interface's task; 0: as it asks
  // Where the seeds of requests without one come from; unset: the system's random source.
  std::optional<uint64_t> seed = {};
  std::string version = "0.1.0";
  std::string build = "dev";  // short commit id, shown in system_fingerprint
  int32_t num_io_threads = 2;
  int32_t max_choices = 128;  // n times the number of prompts, at most, in one request
  // What a request should keep to, in seconds; 0: no limit. Shown, not enforced.
  double slo_ttft_s = 0;
  double slo_tpot_s = 0;
  std::string otlp_traces_endpoint = {};          // empty: no traces are sent
  std::string neuron_monitor = {};                // program for /metrics; empty: none
  ReplicaSources replicas = {};                   // other servers in the dashboard's table
  std::vector<ShownSetting> shown_settings = {};  // in the order of their groups
  ConnectionLimits connections = {};
  HttpLimits limits = {};
};

// Listens, reads requests, renders and tokenises prompts, submits them to the engine and writes the
// replies. Owns its listener, I/O threads and connections. All methods are thread-safe.
//
// Order of a shutdown: begin_drain(), wait_streams(grace), stop(). The MetricsRegistry must outlive
// the Server; the AsyncEngine must live until stop() has returned (~Server calls it).
class Server {
 public:
  // Binds and starts to answer at once: /health and all work get 503 "Loading model" until
  // set_ready(). kInvalidArgument for a bad address or TLS file, kUnavailable when the address
  // cannot be bound; all name it.
  static Result<std::unique_ptr<Server>> listen(ServerConfig config, MetricsRegistry& metrics);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The model is loaded: requests are served from now on. Call once. REQUIRES: a name and a
  // tokenizer.
  void set_ready(ServedModel model, AsyncEngine& engine);

  std::string url() const;  // "http://127.0.0.1:8000", or "unix:/path"
  int32_t port() const;     // the one bound; 0 with uds_path

  // From now on /health and new work are answered 503; requests already taken go on.
  void begin_drain();
  // Waits until no request is being served; false when `timeout` passed first.
  bool wait_streams(std::chrono::milliseconds timeout);
  // Requests being served now (reading excluded).
  int32_t num_active_requests() const;
  // Stops listening, ends open streams with an error event, closes all connections and joins the
  // threads. Idempotent.
  void stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
