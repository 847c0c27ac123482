// IoThread: one event loop on one thread, and the HTTP/1.1 connections that live on it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "server/http/exchange.h"

namespace pagoda {

// Limits of one connection; sizes in bytes.
struct HttpLimits {
  size_t max_header_bytes = size_t{16} << 10;
  size_t max_target_bytes = size_t{8} << 10;
  size_t max_body_bytes = size_t{16} << 20;
  size_t max_stream_queue_bytes = size_t{1} << 20;
  // The pace at which a message extends read_timeout and write_timeout.
  int64_t min_bytes_per_second = 16 << 10;
  std::chrono::milliseconds idle_timeout{std::chrono::seconds(75)};
  std::chrono::milliseconds read_timeout{std::chrono::seconds(30)};
  std::chrono::milliseconds write_timeout{std::chrono::seconds(30)};
};

// Owns its thread and its connections. A connection never leaves its thread, so sessions need no
// locks. `service` must outlive it.
//
// A client that closes its connection, or only its sending half, is taken to have left: the request
// being served ends. With more than 64 KiB of further requests already sent behind it, the leaving
// is seen at the next write only.
class IoThread {
 public:
  IoThread(HttpService& service, const HttpLimits& limits);
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // Takes over a connected, non-blocking stream socket. Thread-safe.
  void adopt(int fd);
  int32_t num_connections() const;  // thread-safe

  // Answers 503 to a connection that nobody has room for, and closes it. Does not block.
  static void refuse(int fd, HttpService& service);

  // Connections close after their current reply. Thread-safe.
  void begin_drain();
  // Ends every exchange with EndCause::kShutdown, closes all connections (after at most `grace` for
  // what is still to be written) and joins. Idempotent; not for the I/O thread itself.
  void stop(std::chrono::milliseconds grace);

  struct Core;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace pagoda
