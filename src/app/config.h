// The settings of `pagoda serve` and of the commands that load a model, and where they come from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/step.h"
#include "runner/replay_runner.h"
#include "runner/simulation.h"
#include "server/server.h"
#include "tensor/dtype.h"

namespace pagoda {

// How a model is loaded and run. Value type.
struct EngineOptions {
  std::string model;  // a Hugging Face folder or ORG/NAME; empty: the built-in demo model
  std::optional<int32_t>
      max_model_len;                    // tokens; unset: what the model allows and the memory holds
  int32_t num_speculative_tokens = 7;   // drafts in one step; 0: none; simulated: none
  std::optional<int32_t> max_num_seqs;  // in one step; unset: 64, simulated 8192
  std::optional<int32_t> max_num_batched_tokens;  // in one step; unset: 256, simulated 1048576
  int32_t block_size = 16;                        // tokens a cache block
  std::optional<int32_t> num_blocks;              // cache blocks; unset: by memory
  std::optional<int64_t> kv_cache_memory_bytes;   // unset: by memory_utilization
  double memory_utilization =
      0.9;  // share of the available memory that weights, cache and work may take
  std::optional<DType> dtype;           // of weights; unset: as the checkpoint
  std::optional<DType> kv_cache_dtype;  // unset: f32 for f32 weights, else bf16
  std::optional<DType> quantization;    // block format to convert to; unset: none
  // Where converted matrices are kept; unset: the user's cache folder; empty: nowhere.
  std::optional<std::string> quantization_cache_dir;
  int32_t num_threads = 0;         // compute threads; 0: usable cores
  std::string chat_template_file;  // empty: the model's own
  int32_t max_num_queued_requests = 1024;
  int64_t max_num_queued_tokens = int64_t{1} << 20;
  int32_t max_queue_time_s = 300;                  // 0: no limit
  std::optional<int32_t> max_num_background_seqs;  // running at once; unset: half of max_num_seqs
  bool enable_prefix_caching = true;
  std::string prefix_cache_dir;  // empty: no disk tier
  int64_t prefix_cache_disk_bytes = int64_t{10} * 1000 * 1000 * 1000;
  std::string trace_file;                // empty: none
  std::optional<Simulation> simulation;  // in place of the model's weights
  std::optional<Replay> replay;          // in place of what the model chooses; for benchmarks
  double slo_ttft_s = 0;                 // what a request should keep to; 0: no limit
  double slo_tpot_s = 0;
  int32_t num_tenants = 1;  // filled by serve: one for each API key
  int64_t http_bytes = 0;   // filled by serve: most that all request bodies and their parsing take
};

// What one step may hold: as set, and at least a token for each sequence.
StepLimits step_limits_of(const EngineOptions& options);

// As --quantization spells it.
inline std::string_view quantization_name(const EngineOptions& options) {
  return options.quantization ? format_traits(*options.quantization).name : "none";
}

// Everything `pagoda serve` can be told. Value type.
struct ServeOptions {
  EngineOptions engine;
  std::vector<std::string> served_model_names;
  std::string host = "127.0.0.1";
  int32_t port = 8000;
  std::string uds;
  int32_t parent_pid = 0;  // not 0: end when that process, which must be the parent, ends
  TlsFiles tls;
  std::vector<std::string> api_keys;
  std::string api_key_file;  // more of them
  std::string admin_key;
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> allowed_origins;
  bool any_model = false;
  bool trusts_request_templates = false;
  bool ignores_tools = false;
  int32_t max_task_tokens = 1024;  // 0: no limit
  std::optional<uint64_t> seed;    // of the seeds drawn for requests without one
  int32_t num_io_threads = 2;
  int32_t drain_timeout_s = 30;
  ConnectionLimits connections;
  HttpLimits limits;
  std::string log_level;  // empty: PAGODA_LOG, else info
  std::string log_format = "text";
  std::string otlp_traces_endpoint;          // empty: no traces
  std::string neuron_monitor;                // program; empty: the one that is there; "off": none
  ReplicaSources replicas;                   // other servers that the dashboard shows
  std::vector<ShownSetting> shown_settings;  // all of serve's, as given or by default
};

// One setting: the same name as a flag (--name), a YAML key (name) and a variable (PAGODA_NAME).
struct Flag {
  std::string name;
  std::string value_name;  // "PORT"; empty: a switch that takes no value
  std::string group;       // heading in --help
  std::string help;
  std::string default_text;
  bool repeatable = false;
  // Checks and stores one value; kInvalidArgument names the flag, the value and the limits.
  std::function<Result<void>(const std::string& value)> set;
};

// The settings of the engine alone, and all of serve's. Setters write into `options`, which must
// outlive them.
std::vector<Flag> engine_flags(EngineOptions& options);
std::vector<Flag> serve_flags(ServeOptions& options);

// Variable of a flag: "max-model-len" -> "PAGODA_MAX_MODEL_LEN".
std::string env_name(std::string_view flag_name);

// A flag given on the command line. `values` is empty for a switch.
struct GivenFlag {
  std::string name;
  std::vector<std::string> values;
};

// The values that settings were given, by name, from wherever they came.
using GivenValues = std::map<std::string, std::vector<std::string>>;

// Applies every setting once, the command line before the environment before the YAML file. An
// unknown YAML key or a bad value is kInvalidArgument that says where it stood. `yaml_file` may be
// empty. `values`, which may be null, gets what was applied.
Result<void> apply_settings(const std::vector<Flag>& flags, const std::vector<GivenFlag>& given,
                            const std::string& yaml_file, GivenValues* values = nullptr);

// The settings as operators may see them: of keys and passwords only that they were given.
std::vector<ShownSetting> show_settings(const std::vector<Flag>& flags, const GivenValues& values);

// "512M", "2G", "1.5GiB" or a number of bytes.
Result<int64_t> parse_bytes(std::string_view text);

}  // namespace pagoda
