// ConnectionGate: how many connections there may be, in all and from one address.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace pagoda {

// Who is at the other end of a connection. Value type.
struct Peer {
  // IPv4 address, first 64 bits of an IPv6 address (what one subscriber has), "unix" for a Unix
  // socket; empty when unknown.
  std::string address = {};
  bool is_loopback = false;  // this machine: 127.0.0.0/8, ::1, a Unix socket
};

// Of a connected socket.
Peer peer_of(int fd);

struct ConnectionLimits {
  int32_t max_connections = 4096;
  // Unset: kDefaultPerAddress, which loopback is exempt from, for a reverse proxy often sits there.
  // Unix sockets are always exempt.
  std::optional<int32_t> max_per_address = {};
  static constexpr int32_t kDefaultPerAddress = 256;
};

// Thread-safe.
class ConnectionGate {
 public:
  explicit ConnectionGate(const ConnectionLimits& limits);
  ~ConnectionGate();

  struct Admission {
    // Counts as a connection while it lives; may outlive the gate. Null: close at once.
    std::shared_ptr<void> slot;
    std::string refusal = {};  // not empty: say so with a 503, then close
    // Label of the metric when refused: "connections" or "connections_per_address".
    const char* reason = "";
  };
  Admission admit(const Peer& peer);

  int32_t num_connections() const;  // refused ones not counted
  int32_t num_addresses() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace pagoda
