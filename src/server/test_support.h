// For the tests of this layer: a model of bytes, a runner that plays a script, an HTTP client.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "core/model_runner.h"
#include "engine/async_engine.h"
#include "server/server.h"

namespace pagoda {

constexpr std::chrono::milliseconds kPatience{20000};  // far beyond what a test takes
constexpr TokenId kEosToken = 256;
constexpr TokenId kBosToken = 257;
constexpr int32_t kTestVocabSize = 258;

// Token n is byte n; <eos> and <bos> stand behind them. BOS goes before every prompt.
inline std::shared_ptr<const Tokenizer> make_byte_tokenizer() {
  TokenizerData data;
  for (int byte = 0; byte < 256; ++byte) data.tokens.emplace_back(1, static_cast<char>(byte));
  data.added_tokens = {{.id = kEosToken, .content = "<eos>", .special = true},
                       {.id = kBosToken, .content = "<bos>", .special = true}};
  data.prefix_ids = {kBosToken};
  auto tokenizer = Tokenizer::create(std::move(data));
  return tokenizer.ok() ? *tokenizer : nullptr;
}

// Lets through as many steps as it has been told to.
class StepGate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return num_allowed_ > 0; });
    --num_allowed_;
  }
  void allow(int64_t num_steps) {
    const std::lock_guard lock(mutex_);
    num_allowed_ += num_steps;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t num_allowed_ = 0;  // guarded by mutex_
};

// Answers every prompt with the bytes of `script`, over and over when `endless`, else ended by
// <eos>. Choice k begins k bytes later. Set its members before the engine starts.
class ScriptRunner : public ModelRunner {
 public:
  std::string script = "Hello, world";
  bool endless = false;
  StepGate* gate = nullptr;  // every step passes it
  int32_t fail_at = -1;      // the step that has a sequence with this many output tokens fails

  KvCacheSpec kv_cache_spec() const override {
    return {.num_blocks = 4096, .block_size = 16, .bytes_per_block = 64};
  }
  StepLimits step_limits() const override {
    return {.max_num_batched_tokens = 256, .max_num_seqs = 64};
  }
  Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override {
    if (gate != nullptr) gate->pass();
    ModelRunnerOutput output;
    for (const ScheduledSequence& sequence : step.sequences) {
      if (sequence.sampling == nullptr) continue;
      const int32_t position =
          static_cast<int32_t>(sequence.token_ids.size()) - sequence.num_prompt_tokens;
      if (position == fail_at) return Error{ErrorCode::kInternal, "the step failed"};
      output.tokens.push_back(sample(sequence, position + sequence.choice_index));
    }
    return output;
  }
  void read_block(BlockId, std::span<std::byte>) const override {}
  void write_block(BlockId, std::span<const std::byte>) override {}

 private:
  SampledToken sample(const ScheduledSequence& sequence, int32_t position) const {
    const auto length = static_cast<int32_t>(script.size());
    const bool ends = position >= length && !endless;
    SampledToken sampled;
    sampled.sequence_id = sequence.id;
    sampled.token =
        ends ? kEosToken
             : static_cast<unsigned char>(script[static_cast<size_t>(position % length)]);
    sampled.logprob = -0.5F;
    for (int32_t i = 0; i < sequence.sampling->num_logprobs; ++i) {
      sampled.top_logprobs.push_back({.token = (sampled.token + i) % kTestVocabSize,
                                      .logprob = -0.5F - static_cast<float>(i)});
    }
    return sampled;
  }
};

struct HttpReply {
  int status = 0;    // 0: the connection ended first
  std::string head;  // status line and headers, lower-case names not assured
  std::string body;  // without chunk framing
  bool complete = false;

  Json json() const {
    auto parsed = parse_json(body);
    EXPECT_TRUE(parsed.ok()) << body;
    return parsed.ok() ? *parsed : Json::object();
  }
  std::string error_message() const { return json()["error"].value("message", std::string()); }
  std::string error_param() const {
    const Json param = json()["error"]["param"];
    return param.is_string() ? param.get<std::string>() : std::string();
  }
};

// A blocking client on one connection. Owns the socket.
class HttpClient {
 public:
  explicit HttpClient(int fd) : fd_(fd) {
    const timeval limit = {.tv_sec = kPatience.count() / 1000, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  static HttpClient to_port(int32_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return HttpClient(fd);
  }
  HttpClient(HttpClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~HttpClient() { close(); }

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void shut_sending() { ::shutdown(fd_, SHUT_WR); }
  int fd() const { return fd_; }

  void send(std::string_view data) {
    while (!data.empty()) {
      const ssize_t n = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      data.remove_prefix(static_cast<size_t>(n));
    }
  }
  void send_request(std::string_view method, std::string_view path, std::string_view body = {},
                    std::string_view headers = {}) {
    send(std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" +
         std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body));
  }
  HttpReply get(std::string_view path, std::string_view headers = {}) {
    send_request("GET", path, {}, headers);
    return read_reply();
  }
  HttpReply post(std::string_view path, std::string_view body, std::string_view headers = {}) {
    send_request("POST", path, body, headers);
    return read_reply();
  }

  // Until `text` has come; what came so far, up to its end, is taken off. Empty at the end.
  std::string read_until(std::string_view text) {
    size_t at = 0;
    while ((at = received_.find(text)) == std::string::npos) {
      if (!receive()) return {};
    }
    return take(at + text.size());
  }
  std::string read_bytes(size_t count) {
    while (received_.size() < count && receive()) {
    }
    return take(std::min(count, received_.size()));
  }
  HttpReply read_reply(bool head_only = false) {
    HttpReply reply;
    reply.head = read_until("\r\n\r\n");
    if (reply.head.size() < 12) return reply;
    reply.status = std::stoi(reply.head.substr(9, 3));
    if (head_only || reply.status == 204 || reply.status == 100) {
      reply.complete = true;
    } else if (reply.head.find("chunked") != std::string::npos) {
      read_chunks(reply);
    } else if (const size_t at = reply.head.find("Content-Length: "); at != std::string::npos) {
      const auto length = static_cast<size_t>(std::stoul(reply.head.substr(at + 16)));
      reply.body = read_bytes(length);
      reply.complete = reply.body.size() == length;
    } else {
      reply.body = read_to_end();
      reply.complete = true;
    }
    return reply;
  }
  std::string read_to_end() { return read_bytes(std::string::npos); }

 private:
  bool receive() {
    char buffer[4096];
    const ssize_t n = ::recv(fd_, buffer, sizeof(buffer), 0);
    if (n > 0) received_.append(buffer, static_cast<size_t>(n));
    return n > 0;
  }
  std::string take(size_t count) {
    std::string taken = received_.substr(0, count);
    received_.erase(0, count);
    return taken;
  }
  void read_chunks(HttpReply& reply) {
    for (;;) {
      const std::string line = read_until("\r\n");
      if (line.empty()) return;
      const size_t size = std::stoul(line, nullptr, 16);
      reply.body += read_bytes(size);
      if (read_until("\r\n").empty()) return;
      if (size == 0) break;
    }
    reply.complete = true;
  }

  int fd_;
  std::string received_;
};

// The data of each event of a stream.
inline std::vector<std::string> events_of(std::string_view stream) {
  std::vector<std::string> events;
  while (!stream.empty()) {
    const size_t end = stream.find("\n\n");
    EXPECT_TRUE(stream.starts_with("data: ") && end != std::string_view::npos) << stream;
    if (end == std::string_view::npos) break;
    events.emplace_back(stream.substr(6, end - 6));
    stream.remove_prefix(end + 2);
  }
  return events;
}

constexpr std::string_view kTestTemplate =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

inline ServedModel make_served_model() {
  ServedModel model;
  model.names = {"test-model", "alias"};
  model.tokenizer = make_byte_tokenizer();
  auto chat_template = ChatTemplate::create(kTestTemplate);
  if (chat_template.ok()) model.chat_template = *chat_template;
  model.bos_token = "<bos>";
  model.eos_token = "<eos>";
  model.max_model_len = 4096;
  model.default_sampling.eos_token_ids = {kEosToken};
  model.created = 1700000000;
  return model;
}

inline EngineConfig make_engine_config(const std::function<void(EngineConfig&)>& change = {}) {
  EngineConfig config = {.max_model_len = 4096, .vocab_size = kTestVocabSize};
  if (change) change(config);
  return config;
}

// A server on a free port over an engine over a ScriptRunner, ready to serve.
class TestServer {
 public:
  explicit TestServer(ScriptRunner& runner, ServerConfig config = {},
                      ServedModel model = make_served_model(),
                      const std::function<void(EngineConfig&)>& change = {})
      : engine(runner, make_engine_config(change), &metrics, "test-model") {
    config.port = 0;
    auto listening = Server::listen(std::move(config), metrics);
    EXPECT_TRUE(listening.ok()) << (listening.ok() ? "" : listening.error().message);
    server = std::move(*listening);
    server->set_ready(std::move(model), engine);
  }
  ~TestServer() { server->stop(); }
  HttpClient client() const { return HttpClient::to_port(server->port()); }

  MetricsRegistry metrics;
  AsyncEngine engine;
  std::unique_ptr<Server> server;
};

}  // namespace pagoda
