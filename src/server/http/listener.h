// Listener: the listening socket and the thread that accepts from it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace pagoda {

struct ListenAddress {
  std::string host = {};  // address or name; the first of its addresses that can be bound is taken
  int32_t port = 0;       // 0: any free one
  std::string uds_path = {};    // not empty: a Unix socket of mode 0600 instead
  std::string scheme = "http";  // of url()
};

// Whether `host` is "localhost" or an address that only this machine can reach.
bool is_loopback_host(const std::string& host);

// Owns the socket, the thread and, with uds_path, the socket file. A stale socket file (nobody
// accepts on it) is replaced; a live one, or a file that is no socket, is an error.
class Listener {
 public:
  // `on_accept` is called on the listener's thread with a connected, non-blocking descriptor, which
  // it owns. kInvalidArgument for a host or path that cannot be one, kUnavailable (naming the
  // address) when it cannot be bound.
  static Result<std::unique_ptr<Listener>> listen(const ListenAddress& address,
                                                  std::function<void(int fd)> on_accept);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int32_t port() const;     // bound port; 0 for a Unix socket
  std::string url() const;  // "http://127.0.0.1:8000" or "unix:/path"
  // Closes the socket and joins. Idempotent.
  void stop();

 private:
  struct Impl;
  explicit Listener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
