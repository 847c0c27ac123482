// Counting of connections.
#include "server/http/connection_gate.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <map>
#include <mutex>

namespace pagoda {
namespace {

// Refused clients that are being told so. More are closed without a word, so that refusing many
// costs little.
constexpr int32_t kMaxRefusalsAtOnce = 64;

Peer peer_of_v4(const in_addr& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address, text.data(), text.size());
  return {.address = text.data(), .is_loopback = (ntohl(address.s_addr) >> 24) == 127};
}

Peer peer_of_v6(in6_addr address) {
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    in_addr inner{};
    std::memcpy(&inner, &address.s6_addr[12], sizeof(inner));
    return peer_of_v4(inner);
  }
  const bool is_loopback = IN6_IS_ADDR_LOOPBACK(&address);
  if (!is_loopback) std::memset(&address.s6_addr[8], 0, 8);
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, &address, text.data(), text.size());
  return {.address = text.data(), .is_loopback = is_loopback};
}

}  // namespace

Peer peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  switch (address.ss_family) {
    case AF_UNIX: return {.address = "unix", .is_loopback = true};
    case AF_INET: return peer_of_v4(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
    case AF_INET6: return peer_of_v6(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
    default: return {};
  }
}

struct ConnectionGate::State : std::enable_shared_from_this<State> {
  explicit State(const ConnectionLimits& the_limits) : limits(the_limits) {}

  Admission refuse(std::string why, const char* reason) {
    if (num_refusals >= kMaxRefusalsAtOnce) return {.slot = nullptr, .reason = reason};
    ++num_refusals;
    std::shared_ptr<void> slot(this, [self = shared_from_this()](void*) {
      const std::lock_guard lock(self->mutex);
      --self->num_refusals;
    });
    return {.slot = std::move(slot), .refusal = std::move(why), .reason = reason};
  }
  void leave(const std::string& address) {
    const std::lock_guard lock(mutex);
    --num_connections;
    const auto at = by_address.find(address);
    if (--at->second == 0) by_address.erase(at);
  }

  const ConnectionLimits limits;
  std::mutex mutex;
  int32_t num_connections = 0;                // guarded by mutex
  int32_t num_refusals = 0;                   // guarded by mutex
  std::map<std::string, int32_t> by_address;  // guarded by mutex; no zeros
};

ConnectionGate::ConnectionGate(const ConnectionLimits& limits)
    : state_(std::make_shared<State>(limits)) {
}

ConnectionGate::~ConnectionGate() = default;

ConnectionGate::Admission ConnectionGate::admit(const Peer& peer) {
  State& state = *state_;
  const int32_t per_address =
      state.limits.max_per_address.value_or(ConnectionLimits::kDefaultPerAddress);
  const bool exempt =
      peer.address == "unix" || (peer.is_loopback && !state.limits.max_per_address.has_value());
  const std::lock_guard lock(state.mutex);
  if (state.num_connections >= state.limits.max_connections) {
    return state.refuse(
        fmt::format("this server has its limit of {} connections", state.limits.max_connections),
        "connections");
  }
  const auto at = state.by_address.find(peer.address);
  if (!exempt && at != state.by_address.end() && at->second >= per_address) {
    return state.refuse(fmt::format("your address has its limit of {} connections", per_address),
                        "connections_per_address");
  }
  ++state.num_connections;
  ++state.by_address[peer.address];
  std::shared_ptr<void> slot(
      &state, [self = state_, address = peer.address](void*) { self->leave(address); });
  return {.slot = std::move(slot)};
}

int32_t ConnectionGate::num_connections() const {
  const std::lock_guard lock(state_->mutex);
  return state_->num_connections;
}

int32_t ConnectionGate::num_addresses() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int32_t>(state_->by_address.size());
}

}  // namespace pagoda
