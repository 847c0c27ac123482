// Fuzzes a connection: any bytes from a client, through a real socket, to the handler and back.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "server/http/io_thread.h"

namespace {

// Answers each request with its body, at once or as a stream.
class Echo : public pagoda::HttpService {
 public:
  std::optional<pagoda::HttpResponse> check_head(const pagoda::HttpRequest& request) override {
    CHECK(request.body.empty());
    if (request.path == "/refused") return pagoda::HttpResponse{.status = 404};
    return std::nullopt;
  }
  void handle(std::shared_ptr<pagoda::HttpExchange> exchange) override {
    const pagoda::HttpRequest& request = exchange->request();
    CHECK(!request.method.empty() && pagoda::is_valid_request_id(request.id));
    if (request.path != "/stream") {
      exchange->respond({.body = request.body});
      return;
    }
    exchange->start_stream({.content_type = "text/event-stream"});
    exchange->write(request.body);
    exchange->end_stream();
  }
  pagoda::HttpResponse protocol_error(const pagoda::ProtocolError& error) override {
    CHECK(error.status >= 400 && !error.message.empty() && !error.reason.empty());
    return {.status = error.status, .body = error.message};
  }
  void connection_refused(std::string_view) override {}
  pagoda::HttpHeaders common_headers(const pagoda::HttpRequest& request) override {
    return {{"X-Length", std::to_string(request.path.size())}};
  }
  void completed(const pagoda::HttpRequest&, const pagoda::RequestLog&, int) override {}
};

struct World {
  Echo echo;
  pagoda::IoThread io_thread{
      echo, {.max_header_bytes = 4096, .max_target_bytes = 1024, .max_body_bytes = 16384}};
};

// Everything the server sends until it closes. A server that does neither fails the test.
size_t read_to_end(int fd) {
  std::array<char, 65536> buffer;
  for (size_t total = 0;;) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    const int num_ready = poll(&ready, 1, 10'000);
    if (num_ready < 0 && errno == EINTR) continue;  // libFuzzer's alarm
    CHECK(num_ready == 1);
    const ssize_t num_bytes = read(fd, buffer.data(), buffer.size());
    if (num_bytes <= 0) return total;
    total += static_cast<size_t>(num_bytes);
  }
}

}  // namespace

// The I/O thread lives until the process ends, and with it OpenSSL's random state of that thread.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libcrypto";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  static World world;
  std::array<int, 2> ends{};
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
  world.io_thread.adopt({.fd = ends[0]});
  if (num_bytes > 0) {
    (void)!send(ends[1], data, num_bytes, MSG_NOSIGNAL);  // what does not fit is not part of it
  }
  shutdown(ends[1], SHUT_WR);
  read_to_end(ends[1]);
  close(ends[1]);
  return 0;
}
