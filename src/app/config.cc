// The table of settings and the rule of precedence between their sources.
#include "app/config.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <utility>

#include "base/env.h"
#include "base/yaml.h"
#include "model/weights.h"

namespace pagoda {
namespace {

template <typename Integer>
Result<Integer> parse_integer(const std::string& name, const std::string& text, Integer low,
                              Integer high) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return invalid_argument(
        fmt::format("{}: '{}' is not a whole number from {} to {}", name, text, low, high));
  }
  return value;
}

// A flag whose value is a whole number in [low, high].
template <typename Target, typename Integer>
std::function<Result<void>(const std::string&)> integer_setter(const std::string& name,
                                                               Target& target, Integer low,
                                                               Integer high) {
  return [name, &target, low, high](const std::string& text) -> Result<void> {
    ASSIGN_OR_RETURN(const Integer value, parse_integer<Integer>(name, text, low, high));
    target = value;
    return {};
  };
}

std::function<Result<void>(const std::string&)> text_setter(std::string& target) {
  return [&target](const std::string& text) -> Result<void> {
    target = text;
    return {};
  };
}

// Where an empty text would mean something nobody wants: an empty address is every interface of the
// machine, an empty key is none.
std::function<Result<void>(const std::string&)> filled_text_setter(const std::string& name,
                                                                   std::string& target) {
  return [name, &target](const std::string& text) -> Result<void> {
    if (text.empty()) return invalid_argument(name + ": the value must not be empty");
    target = text;
    return {};
  };
}

std::function<Result<void>(const std::string&)> list_setter(const std::string& name,
                                                            std::vector<std::string>& target) {
  return [name, &target](const std::string& text) -> Result<void> {
    if (text.empty()) return invalid_argument(name + ": the value must not be empty");
    target.push_back(text);
    return {};
  };
}

Result<void> check_url(const std::string& name, const std::string& text) {
  if (text.starts_with("http://") || text.starts_with("https://")) return {};
  return invalid_argument(
      fmt::format("{}: '{}' is not an http:// or https:// address", name, text));
}

std::function<Result<void>(const std::string&)> url_setter(const std::string& name,
                                                           std::string& target) {
  return [name, &target](const std::string& text) -> Result<void> {
    RETURN_IF_ERROR(check_url(name, text));
    target = text;
    return {};
  };
}

// Of a server that the dashboard shows, its address too.
Result<void> set_shown_url(const std::string& name, std::string& target, const std::string& text) {
  RETURN_IF_ERROR(check_url(name, text));
  if (text.find('@') != std::string::npos) {
    return invalid_argument(name + ": the address must have no user and password");
  }
  target = text;
  return {};
}

// Addresses between commas.
Result<void> add_peers(std::vector<std::string>& peers, const std::string& text) {
  constexpr size_t kMaxPeers = 64;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string& peer = peers.emplace_back();
    RETURN_IF_ERROR(set_shown_url("peers", peer, text.substr(begin, end - begin)));
    begin = end + 1;
  }
  if (peers.size() <= kMaxPeers) return {};
  return invalid_argument(
      fmt::format("peers: {} addresses are more than {}", peers.size(), kMaxPeers));
}

// Values that no request can match are mistakes.
std::function<Result<void>(const std::string&)> origin_setter(std::vector<std::string>& target) {
  return [&target](const std::string& text) -> Result<void> {
    if (text != "*" && text.find("://") == std::string::npos) {
      return invalid_argument(fmt::format(
          "allowed-origins: '{}' is neither * nor an origin such as https://chat.example", text));
    }
    target.push_back(text);
    return {};
  };
}

std::function<Result<void>(const std::string&)> host_setter(std::vector<std::string>& target) {
  return [&target](const std::string& text) -> Result<void> {
    if (text.empty() || text.find('/') != std::string::npos) {
      return invalid_argument(
          fmt::format("allowed-hosts: '{}' is neither * nor a host name or address", text));
    }
    target.push_back(text);
    return {};
  };
}

// "auto" leaves the target unset.
std::function<Result<void>(const std::string&)> dtype_setter(const std::string& name,
                                                             std::optional<DType>& target,
                                                             std::vector<DType> allowed) {
  return [name, &target, allowed = std::move(allowed)](const std::string& text) -> Result<void> {
    target.reset();
    if (text == "auto") return {};
    const auto parsed = parse_dtype(text);
    if (!parsed.ok() || std::find(allowed.begin(), allowed.end(), *parsed) == allowed.end()) {
      std::string known = "auto";
      for (const DType dtype : allowed) known += fmt::format(", {}", format_traits(dtype).name);
      return invalid_argument(fmt::format("{}: '{}' is not one of {}", name, text, known));
    }
    target = *parsed;
    return {};
  };
}

std::function<Result<void>(const std::string&)> switch_setter(const std::string& name,
                                                              bool& target) {
  return [name, &target](const std::string& text) -> Result<void> {
    if (text.empty() || text == "true" || text == "1") {
      target = true;
    } else if (text == "false" || text == "0") {
      target = false;
    } else {
      return invalid_argument(fmt::format("{}: '{}' is not true or false", name, text));
    }
    return {};
  };
}

Result<void> set_quantization(EngineOptions& options, const std::string& text) {
  options.quantization.reset();
  if (text == "none") return {};
  for (const DType dtype : quantizations()) {
    if (text == format_traits(dtype).name) options.quantization = dtype;
  }
  if (options.quantization) return {};
  return invalid_argument(
      fmt::format("quantization: '{}' is not one of {}", text, quantization_names()));
}

// The target is an int64_t or an optional one.
template <typename Target>
std::function<Result<void>(const std::string&)> bytes_setter(const std::string& name,
                                                             Target& target) {
  return [name, &target](const std::string& text) -> Result<void> {
    const auto bytes = parse_bytes(text);
    if (!bytes.ok()) return invalid_argument(name + ": " + bytes.error().message);
    target = *bytes;
    return {};
  };
}

// A size within [low, high] bytes.
std::function<Result<void>(const std::string&)> size_setter(const std::string& name, size_t& target,
                                                            int64_t low, int64_t high) {
  return [name, &target, low, high](const std::string& text) -> Result<void> {
    const auto bytes = parse_bytes(text);
    if (!bytes.ok()) return invalid_argument(name + ": " + bytes.error().message);
    if (*bytes < low || *bytes > high) {
      return invalid_argument(
          fmt::format("{}: '{}' is not from {} to {} bytes", name, text, low, high));
    }
    target = static_cast<size_t>(*bytes);
    return {};
  };
}

// Seconds, with or without a fraction.
std::function<Result<void>(const std::string&)> time_setter(const std::string& name,
                                                            std::chrono::milliseconds& target) {
  return [name, &target](const std::string& text) -> Result<void> {
    char* end = nullptr;
    const double seconds = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(seconds >= 0.01) || seconds > 86400) {
      return invalid_argument(
          fmt::format("{}: '{}' is not a number of seconds from 0.01 to 86400", name, text));
    }
    target = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
    return {};
  };
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{}", std::chrono::duration<double>(time).count());
}

Result<void> set_memory_utilization(EngineOptions& options, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value > 0.0) || value > 1.0) {
    return invalid_argument(
        fmt::format("memory-utilization: '{}' is not a number above 0 and at most 1", text));
  }
  options.memory_utilization = value;
  return {};
}

constexpr int32_t kMaxInt = std::numeric_limits<int32_t>::max();
constexpr const char* kModelGroup = "Model";
constexpr const char* kCacheGroup = "Cache and batching";
constexpr const char* kServerGroup = "Server";

std::vector<Flag> model_flags(EngineOptions& o) {
  return {
      {"model", "MODEL", kModelGroup,
       "a Hugging Face folder (config.json, tokenizer.json, *.safetensors), a GGUF file, or "
       "ORG/NAME "
       "on a hub; the same as MODEL",
       "the built-in demo model", false, text_setter(o.model)},
      {"dtype", "TYPE", kModelGroup, "type of the weights: auto, bfloat16, float32", "auto", false,
       dtype_setter("dtype", o.dtype, {DType::kBF16, DType::kF32})},
      {"quantization", "FORMAT", kModelGroup,
       "format that matrices are converted to while loading: " + quantization_names(), "none",
       false, [&o](const std::string& text) { return set_quantization(o, text); }},
      {"quantization-cache-dir", "FOLDER", kModelGroup,
       "where converted matrices are kept for the next start; none: nowhere",
       "$XDG_CACHE_HOME/pagoda or ~/.cache/pagoda", false,
       [&o](const std::string& text) -> Result<void> {
         o.quantization_cache_dir = text == "none" ? "" : text;
         return {};
       }},
      {"chat-template", "FILE", kModelGroup, "Jinja chat template to use instead of the model's",
       "the model's own", false, text_setter(o.chat_template_file)},
      {"threads", "N", kModelGroup, "compute threads; 0: every core this process may use", "0",
       false, integer_setter("threads", o.num_threads, 0, 1024)},
      {"simulate", "SPEC", kModelGroup,
       "stand in for the model by one with known timing that needs no weights, for example "
       "ttft=200ms,itl=20ms",
       "none", false,
       [&o](const std::string& text) -> Result<void> {
         ASSIGN_OR_RETURN(o.simulation, parse_simulation(text));
         return {};
       }},
  };
}

std::vector<Flag> cache_flags(EngineOptions& o) {
  return {
      {"max-model-len", "TOKENS", kCacheGroup, "longest prompt and output together",
       "what the model allows and the memory holds", false,
       integer_setter("max-model-len", o.max_model_len, 1, kMaxInt)},
      {"max-num-seqs", "N", kCacheGroup, "sequences computed in one step", "64; simulated: 8192",
       false, integer_setter("max-num-seqs", o.max_num_seqs, 1, 65536)},
      {"max-num-batched-tokens", "N", kCacheGroup,
       "tokens computed in one step; also the size of a prefill chunk", "256; simulated: 1048576",
       false, integer_setter("max-num-batched-tokens", o.max_num_batched_tokens, 1, 1 << 20)},
      {"num-speculative-tokens", "N", kCacheGroup,
       "guesses at the next tokens, from earlier in the text, that a step computes along; the "
       "output is the same with any number; at most block-size - 1 for one sequence; 0: none",
       std::to_string(o.num_speculative_tokens) + "; simulated: 0", false,
       integer_setter("num-speculative-tokens", o.num_speculative_tokens, 0, 64)},
      {"max-num-queued-requests", "N", kCacheGroup, "requests waiting; more get 429",
       std::to_string(o.max_num_queued_requests), false,
       integer_setter("max-num-queued-requests", o.max_num_queued_requests, 1, 1'000'000)},
      {"max-num-queued-tokens", "N", kCacheGroup,
       "prompt tokens of waiting requests; more requests get 429",
       std::to_string(o.max_num_queued_tokens), false,
       integer_setter("max-num-queued-tokens", o.max_num_queued_tokens, int64_t{1},
                      int64_t{1} << 40)},
      {"max-queue-time", "SECONDS", kCacheGroup,
       "how long a request may wait for its first step before it gets 429; 0: no limit",
       std::to_string(o.max_queue_time_s), false,
       integer_setter("max-queue-time", o.max_queue_time_s, 0, 86400)},
      {"max-num-background-seqs", "N", kCacheGroup,
       "background sequences computed in one step; more wait, and hold up no others",
       "half of max-num-seqs", false,
       integer_setter("max-num-background-seqs", o.max_num_background_seqs, 1, 65536)},
      {"enable-prefix-caching", "BOOL", kCacheGroup,
       "keep computed blocks for later requests that begin alike", "true", false,
       switch_setter("enable-prefix-caching", o.enable_prefix_caching)},
      {"prefix-cache-dir", "FOLDER", kCacheGroup, "also keep blocks on disk here, across restarts",
       "none", false, text_setter(o.prefix_cache_dir)},
      {"prefix-cache-disk-space", "BYTES", kCacheGroup, "most that the disk cache may take", "10G",
       false, bytes_setter("prefix-cache-disk-space", o.prefix_cache_disk_bytes)},
      {"trace-file", "FILE", kCacheGroup,
       "write a Chrome trace of steps and requests (Perfetto, chrome://tracing)", "none", false,
       text_setter(o.trace_file)},
      {"block-size", "TOKENS", kCacheGroup, "tokens a cache block", std::to_string(o.block_size),
       false, integer_setter("block-size", o.block_size, 1, 4096)},
      {"kv-cache-dtype", "TYPE", kCacheGroup,
       "type of cached keys and values: auto, bf16, f32, int8", "auto", false,
       dtype_setter("kv-cache-dtype", o.kv_cache_dtype, {DType::kBF16, DType::kF32, DType::kI8})},
      {"kv-cache-memory", "BYTES", kCacheGroup, "memory of the KV cache, for example 4G",
       "by memory-utilization", false, bytes_setter("kv-cache-memory", o.kv_cache_memory_bytes)},
      {"num-gpu-blocks-override", "N", kCacheGroup, "number of cache blocks, whatever the memory",
       "by memory", false, integer_setter("num-gpu-blocks-override", o.num_blocks, 1, kMaxInt)},
      {"memory-utilization", "SHARE", kCacheGroup,
       "share of the available memory that weights, cache and working memory may take", "0.9",
       false, [&o](const std::string& text) { return set_memory_utilization(o, text); }},
  };
}

std::vector<Flag> listen_flags(ServeOptions& o) {
  return {
      {"host", "ADDRESS", kServerGroup, "address to listen on", o.host, false,
       filled_text_setter("host", o.host)},
      {"port", "PORT", kServerGroup, "port to listen on; 0: any free one", std::to_string(o.port),
       false, integer_setter("port", o.port, 0, 65535)},
      {"uds", "PATH", kServerGroup, "listen on a Unix socket instead of host and port", "", false,
       text_setter(o.uds)},
      {"ssl-certfile", "FILE", kServerGroup,
       "certificate chain (PEM); with ssl-keyfile the server speaks HTTPS, TLS 1.2 and newer",
       "none: plain HTTP", false, text_setter(o.tls.certificate_chain)},
      {"ssl-keyfile", "FILE", kServerGroup, "private key of the certificate (PEM)", "none", false,
       text_setter(o.tls.private_key)},
      {"ssl-keyfile-password", "TEXT", kServerGroup, "password of an encrypted ssl-keyfile", "none",
       false, text_setter(o.tls.key_password)},
      {"io-threads", "N", kServerGroup, "threads for HTTP, JSON, templates and tokenizing",
       std::to_string(o.num_io_threads), false,
       integer_setter("io-threads", o.num_io_threads, 1, 64)},
      {"drain-timeout", "SECONDS", kServerGroup,
       "how long running requests may go on after SIGTERM", std::to_string(o.drain_timeout_s),
       false, integer_setter("drain-timeout", o.drain_timeout_s, 0, 86400)},
      {"parent-pid", "PID", kServerGroup,
       "end at once when the parent process ends; PID says which one that must be", "none", false,
       integer_setter("parent-pid", o.parent_pid, 1, kMaxInt)},
      {"log-level", "LEVEL", kServerGroup, "debug, info, warning or error", "PAGODA_LOG, else info",
       false, text_setter(o.log_level)},
  };
}

// A whole number of milliseconds or a number of seconds, with its unit.
Result<double> parse_slo_time(const std::string& text, const std::string& value) {
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  const std::string unit(end, value.data() + value.size());
  const double seconds = unit == "ms" ? number / 1000 : number;
  if (error != std::errc() || (unit != "ms" && unit != "s") || !(seconds > 0) || seconds > 86400) {
    return invalid_argument(fmt::format(
        "slo: '{}' is not limits such as ttft=200ms,tpot=20ms, up to 24 h, with ms or s", text));
  }
  return seconds;
}

Result<void> set_slo(EngineOptions& options, const std::string& text) {
  options.slo_ttft_s = options.slo_tpot_s = 0;
  for (std::string rest = text; !rest.empty();) {
    const std::string pair = rest.substr(0, rest.find(','));
    rest.erase(0, pair.size() + 1);
    const size_t equals = pair.find('=');
    const std::string name = pair.substr(0, equals);
    if (equals == std::string::npos || (name != "ttft" && name != "tpot")) {
      return invalid_argument(
          fmt::format("slo: '{}' is not limits such as ttft=200ms,tpot=20ms", text));
    }
    ASSIGN_OR_RETURN(const double seconds, parse_slo_time(text, pair.substr(equals + 1)));
    (name == "ttft" ? options.slo_ttft_s : options.slo_tpot_s) = seconds;
  }
  return {};
}

std::vector<Flag> watching_flags(ServeOptions& o) {
  return {
      {"log-format", "FORMAT", kServerGroup, "text, or json: one object a line", o.log_format,
       false,
       [&o](const std::string& text) -> Result<void> {
         if (text != "text" && text != "json") {
           return invalid_argument(fmt::format("log-format: '{}' is not one of text, json", text));
         }
         o.log_format = text;
         return {};
       }},
      {"slo", "LIMITS", kServerGroup,
       "what requests should keep to, for metrics and the dashboard: ttft=200ms,tpot=20ms", "none",
       false, [&o](const std::string& text) { return set_slo(o.engine, text); }},
      {"otlp-traces-endpoint", "URL", kServerGroup,
       "where spans of requests are sent by OTLP over HTTP, such as "
       "http://localhost:4318/v1/traces",
       "none", false, url_setter("otlp-traces-endpoint", o.otlp_traces_endpoint)},
      {"peers", "URL,URL", kServerGroup,
       "other Pagoda servers that the dashboard shows beside this one, such as "
       "http://10.0.0.2:8000",
       "none", true, [&o](const std::string& text) { return add_peers(o.replicas.peers, text); }},
      {"peer-api-key", "KEY", kServerGroup, "API key that the peers want", "none", false,
       filled_text_setter("peer-api-key", o.replicas.peer_api_key)},
      {"neuron-monitor", "FILE", kServerGroup,
       "AWS's neuron-monitor, whose reports /metrics shows; off: none",
       "the one in PATH or /opt/aws/neuron/bin, if there is one", false,
       filled_text_setter("neuron-monitor", o.neuron_monitor)},
      {"ray-dashboard", "URL", kServerGroup,
       "dashboard of a Ray cluster whose Serve replicas the dashboard shows, such as "
       "http://127.0.0.1:8265",
       "none", false,
       [&o](const std::string& text) {
         return set_shown_url("ray-dashboard", o.replicas.ray_dashboard, text);
       }},
  };
}

std::vector<Flag> access_flags(ServeOptions& o) {
  return {
      {"served-model-name", "NAME", kServerGroup,
       "name in the API; given again, another one: the first is the one shown", "the folder's name",
       true, list_setter("served-model-name", o.served_model_names)},
      {"any-model", "", kServerGroup, "answer whatever model name a request asks for", "", false,
       switch_setter("any-model", o.any_model)},
      {"trust-request-chat-template", "", kServerGroup,
       "render the chat_template of a request, within the same limits as the model's", "", false,
       switch_setter("trust-request-chat-template", o.trusts_request_templates)},
      {"ignore-tools", "", kServerGroup,
       "answer chats that let the model choose whether to call a tool as if they had none, in "
       "place "
       "of a 400",
       "", false, switch_setter("ignore-tools", o.ignores_tools)},
      {"max-task-tokens", "N", kServerGroup,
       "tokens of an answer to a task of a chat interface (a title, tags, follow-ups), whatever it "
       "asks for; 0: as it asks",
       std::to_string(o.max_task_tokens), false,
       integer_setter("max-task-tokens", o.max_task_tokens, 0, kMaxInt)},
      {"api-key", "KEY", kServerGroup, "key that clients must send; several are allowed", "no key",
       true, list_setter("api-key", o.api_keys)},
      {"api-key-file", "FILE", kServerGroup, "file of more such keys, one a line", "none", false,
       text_setter(o.api_key_file)},
      {"admin-key", "KEY", kServerGroup,
       "key for /debug/state and for cancelling requests; without one, this machine only", "none",
       false, filled_text_setter("admin-key", o.admin_key)},
      {"allowed-hosts", "HOST", kServerGroup,
       "names in the Host header that are answered; * is any",
       "on a loopback address its names, else any", true, host_setter(o.allowed_hosts)},
      {"allowed-origins", "ORIGIN", kServerGroup,
       "web pages that may call the API from a browser; * is any", "none", true,
       origin_setter(o.allowed_origins)},
      {"seed", "N", kServerGroup, "seed of the seeds drawn for requests that give none",
       "from the system", false,
       integer_setter("seed", o.seed, uint64_t{0}, std::numeric_limits<uint64_t>::max())},
  };
}

std::vector<Flag> limit_flags(ServeOptions& o) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  return {
      {"max-connections", "N", kServerGroup, "connections at once; more get 503",
       std::to_string(o.connections.max_connections), false,
       integer_setter("max-connections", o.connections.max_connections, 1, 1'000'000)},
      {"max-connections-per-address", "N", kServerGroup,
       "connections at once from one address (IPv6: one /64); more get 503",
       fmt::format("{}, loopback exempt", ConnectionLimits::kDefaultPerAddress), false,
       integer_setter("max-connections-per-address", o.connections.max_per_address, 1, 1'000'000)},
      {"max-header-size", "BYTES", kServerGroup, "request line and headers; more gets 431", "16KiB",
       false, size_setter("max-header-size", o.limits.max_header_bytes, 1024, kMiB)},
      {"max-body-size", "BYTES", kServerGroup, "request body; more gets 413", "16MiB", false,
       size_setter("max-body-size", o.limits.max_body_bytes, 1, 256 * kMiB)},
      {"max-body-memory", "BYTES", kServerGroup,
       "all request bodies being read or waiting; more get 503", "256MiB", false,
       size_setter("max-body-memory", o.limits.max_body_memory_bytes, kMiB, kMiB << 20)},
      {"idle-timeout", "SECONDS", kServerGroup, "how long a connection may wait for a request",
       seconds_text(o.limits.idle_timeout), false,
       time_setter("idle-timeout", o.limits.idle_timeout)},
      {"read-timeout", "SECONDS", kServerGroup,
       "how long a request may take to arrive, and a second for each 16 KiB of its body",
       seconds_text(o.limits.read_timeout), false,
       time_setter("read-timeout", o.limits.read_timeout)},
      {"write-timeout", "SECONDS", kServerGroup,
       "how long a client may take to read what was sent, and a second for each 16 KiB",
       seconds_text(o.limits.write_timeout), false,
       time_setter("write-timeout", o.limits.write_timeout)},
      {"allow-half-close", "", kServerGroup,
       "answer clients that have closed their sending half; leaving is then noticed at the next "
       "write",
       "", false, switch_setter("allow-half-close", o.limits.allow_half_close)},
  };
}

void append(std::vector<Flag>& flags, std::vector<Flag> more) {
  flags.insert(flags.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

Result<std::vector<YamlEntry>> read_yaml(const std::string& path) {
  if (path.empty()) return std::vector<YamlEntry>{};
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::kNotFound, fmt::format("config '{}': cannot be read", path)};
  std::ostringstream text;
  // peek() fails on a folder, which opens like a file.
  if (file.peek() == std::ifstream::traits_type::eof() && std::filesystem::is_directory(path)) {
    return invalid_argument(fmt::format("config '{}': is a folder, not a file", path));
  }
  text << file.rdbuf();
  auto entries = parse_flat_yaml(text.str());
  if (!entries.ok()) {
    return invalid_argument(fmt::format("config '{}': {}", path, entries.error().message));
  }
  return entries;
}

Result<void> set_all(const Flag& flag, const std::vector<std::string>& values,
                     const std::string& source, GivenValues* given) {
  if (values.size() > 1 && !flag.repeatable) {
    return invalid_argument(
        fmt::format("{}: '{}' takes one value, {} were given", source, flag.name, values.size()));
  }
  for (const std::string& value : values) {
    const auto done = flag.set(value);
    if (!done.ok()) return Error{done.error().code, source + ": " + done.error().message};
  }
  if (given != nullptr) (*given)[flag.name] = values;
  return {};
}

}  // namespace

std::vector<Flag> engine_flags(EngineOptions& options) {
  std::vector<Flag> flags = model_flags(options);
  append(flags, cache_flags(options));
  return flags;
}

std::vector<Flag> serve_flags(ServeOptions& options) {
  std::vector<Flag> flags = listen_flags(options);
  append(flags, access_flags(options));
  append(flags, limit_flags(options));
  append(flags, watching_flags(options));
  append(flags, engine_flags(options.engine));
  return flags;
}

StepLimits step_limits_of(const EngineOptions& options) {
  const bool simulated = options.simulation.has_value();
  StepLimits limits;
  limits.max_num_seqs = options.max_num_seqs.value_or(simulated ? 8192 : 64);
  limits.max_num_batched_tokens = std::max(
      options.max_num_batched_tokens.value_or(simulated ? 1 << 20 : 256), limits.max_num_seqs);
  limits.max_num_draft_tokens = simulated ? 0 : options.num_speculative_tokens;
  return limits;
}

std::vector<ShownSetting> show_settings(const std::vector<Flag>& flags, const GivenValues& values) {
  constexpr std::array kSecrets = {"api-key", "admin-key", "peer-api-key", "ssl-keyfile-password"};
  std::vector<ShownSetting> shown;
  for (const Flag& flag : flags) {
    ShownSetting setting{.group = flag.group,
                         .name = flag.name,
                         .help = flag.help,
                         .value = flag.default_text,
                         .changed = false,
                         .is_secret = std::ranges::find(kSecrets, flag.name) != kSecrets.end()};
    if (const auto given = values.find(flag.name); given != values.end()) {
      setting.changed = true;
      setting.value.clear();
      for (const std::string& value : given->second) {
        setting.value += (setting.value.empty() ? "" : ", ") + (value.empty() ? "true" : value);
      }
    }
    if (setting.is_secret) setting.value.clear();
    shown.push_back(std::move(setting));
  }
  // A page shows each group once.
  std::ranges::stable_sort(shown, {}, [&flags](const ShownSetting& setting) {
    const auto is_of_group = [&](const Flag& flag) { return flag.group == setting.group; };
    return std::ranges::find_if(flags, is_of_group) - flags.begin();
  });
  return shown;
}

std::string env_name(std::string_view flag_name) {
  std::string name = "PAGODA_";
  for (const char c : flag_name) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

Result<void> apply_settings(const std::vector<Flag>& flags, const std::vector<GivenFlag>& given,
                            const std::string& yaml_file, GivenValues* applied) {
  std::map<std::string, std::vector<std::string>> on_command_line;
  for (const GivenFlag& flag : given) on_command_line[flag.name] = flag.values;
  ASSIGN_OR_RETURN(const std::vector<YamlEntry> entries, read_yaml(yaml_file));
  std::map<std::string, const YamlEntry*> in_file;
  for (const YamlEntry& entry : entries) in_file[entry.key] = &entry;

  for (const Flag& flag : flags) {
    const YamlEntry* entry = nullptr;
    if (const auto at = in_file.find(flag.name); at != in_file.end()) {
      entry = at->second;
      in_file.erase(at);
    }
    if (const auto at = on_command_line.find(flag.name); at != on_command_line.end()) {
      const std::vector<std::string> values =
          at->second.empty() ? std::vector<std::string>{""} : at->second;
      RETURN_IF_ERROR(set_all(flag, values, "command line", applied));
    } else if (const auto value = env_value(env_name(flag.name))) {
      RETURN_IF_ERROR(set_all(flag, {*value}, "environment " + env_name(flag.name), applied));
    } else if (entry != nullptr) {
      RETURN_IF_ERROR(set_all(flag, entry->values,
                              fmt::format("config '{}' line {}", yaml_file, entry->line), applied));
    }
  }
  if (!in_file.empty()) {
    const YamlEntry& unknown = *in_file.begin()->second;
    return invalid_argument(fmt::format("config '{}' line {}: unknown setting '{}'", yaml_file,
                                        unknown.line, unknown.key));
  }
  return {};
}

Result<int64_t> parse_bytes(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 7> kUnits = {
      {{"", 1.0},
       {"K", 1e3},
       {"M", 1e6},
       {"G", 1e9},
       {"KiB", 1024.0},
       {"MiB", 1048576.0},
       {"GiB", 1073741824.0}}};
  const std::string copy(text);
  char* end = nullptr;
  const double number = std::strtod(copy.c_str(), &end);
  const std::string_view unit = end;
  for (const auto& [name, factor] : kUnits) {
    if (end == copy.c_str() || unit != name) continue;
    const double bytes = number * factor;
    if (!(bytes >= 1.0) || bytes > 9e15) break;
    return static_cast<int64_t>(bytes);
  }
  return invalid_argument(
      fmt::format("'{}' is not a size such as 512M, 4G, 4GiB or a number of bytes", text));
}

}  // namespace pagoda
