// IoThread: one event loop on one thread, and the HTTP/1.1 connections that live on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "server/http/exchange.h"
#include "server/http/limits.h"

namespace pagoda {

class TlsContext;

// What all I/O threads of a server share.
struct IoResources {
  std::shared_ptr<TlsContext> tls = {};            // null: plain HTTP
  std::shared_ptr<MemoryBudget> body_memory = {};  // null: one of limits.max_body_memory_bytes
};

// A connected, non-blocking stream socket on its way to an IoThread, which closes it.
struct NewConnection {
  int fd = -1;
  bool from_this_host = false;
  std::shared_ptr<void> slot = {};  // let go when the connection is closed
  std::string refusal = {};         // not empty: what a 503 says at once, before closing
};

// Owns its thread and its connections. A connection never leaves its thread, so sessions need no
// locks. `service` must outlive it.
//
// A client that closes its connection, or only its sending half, is taken to have left: the request
// being served ends (see HttpLimits::allow_half_close). With more than 64 KiB of further requests
// already sent behind it, the leaving is seen at the next write only.
class IoThread {
 public:
  IoThread(HttpService& service, const HttpLimits& limits, const IoResources& resources = {});
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // Takes over a connection. Thread-safe.
  void adopt(NewConnection connection);
  int32_t num_connections() const;  // thread-safe

  // Connections close after their current reply. Thread-safe.
  void begin_drain();
  // Ends every exchange with EndCause::kShutdown and closes all connections, after at most `grace`
  // for what is still to be written. Returns at once. Idempotent, thread-safe.
  void begin_stop(std::chrono::milliseconds grace);
  // The same, and joins. Not for the I/O thread itself.
  void stop(std::chrono::milliseconds grace);

  struct Core;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace pagoda
