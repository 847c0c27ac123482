// The server put together: listener, I/O threads, service.
#include "server/server.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "server/http/io_thread.h"
#include "server/http/listener.h"
#include "server/http/tls.h"
#include "server/service.h"

namespace pagoda {
namespace {

// Time for the last events of open streams to reach their clients when the server stops.
constexpr std::chrono::milliseconds kStopGrace{1000};

}  // namespace

// Destroyed from the bottom: first the listener, then the connections, then what they call.
struct Server::Impl {
  Impl(const ServerConfig& config, MetricsRegistry& metrics)
      : body_memory(std::make_shared<MemoryBudget>(config.limits.max_body_memory_bytes)),
        gate(config.connections),
        service(config, metrics, {.gate = &gate, .body_memory = body_memory.get()}) {}

  void accept(int fd);

  const std::shared_ptr<MemoryBudget> body_memory;
  ConnectionGate gate;
  ApiService service;
  std::vector<std::unique_ptr<IoThread>> io_threads;
  std::unique_ptr<Listener> listener;
  std::mutex stop_mutex;
};

// Called by the listener's thread only.
void Server::Impl::accept(int fd) {
  const Peer peer = peer_of(fd);
  ConnectionGate::Admission admission = gate.admit(peer);
  const bool refused = admission.slot == nullptr || !admission.refusal.empty();
  if (refused) service.connection_refused(admission.reason);
  if (admission.slot == nullptr) {
    ::close(fd);
    return;
  }
  const auto least = std::ranges::min_element(io_threads, {},
                                              [](const auto& io) { return io->num_connections(); });
  (*least)->adopt({.fd = fd,
                   .from_this_host = peer.is_loopback,
                   .slot = std::move(admission.slot),
                   .refusal = std::move(admission.refusal)});
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}

Server::~Server() {
  stop();
}

Result<std::unique_ptr<Server>> Server::listen(ServerConfig config, MetricsRegistry& metrics) {
  if (config.num_io_threads < 1 || config.num_io_threads > 64) {
    return invalid_argument("num_io_threads must be in [1, 64], not " +
                            std::to_string(config.num_io_threads));
  }
  auto impl = std::make_unique<Impl>(config, metrics);
  IoResources resources{.body_memory = impl->body_memory};
  if (!config.tls.empty()) {
    ASSIGN_OR_RETURN(resources.tls, TlsContext::load(config.tls));
  }
  for (int32_t i = 0; i < config.num_io_threads; ++i) {
    impl->io_threads.push_back(std::make_unique<IoThread>(impl->service, config.limits, resources));
  }
  ASSIGN_OR_RETURN(impl->listener,
                   Listener::listen({.host = config.host,
                                     .port = config.port,
                                     .uds_path = config.uds_path,
                                     .scheme = resources.tls != nullptr ? "https" : "http"},
                                    [raw = impl.get()](int fd) { raw->accept(fd); }));
  impl->service.begin(impl->listener->url());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::set_ready(ServedModel model, AsyncEngine& engine) {
  impl_->service.set_ready(std::move(model), engine);
}

std::string Server::url() const {
  return impl_->listener->url();
}

int32_t Server::port() const {
  return impl_->listener->port();
}

void Server::begin_drain() {
  impl_->service.begin_drain();
  for (const auto& io : impl_->io_threads) io->begin_drain();
}

bool Server::wait_streams(std::chrono::milliseconds timeout) {
  return impl_->service.wait_idle(timeout);
}

int32_t Server::num_active_requests() const {
  return impl_->service.num_active();
}

void Server::stop() {
  const std::lock_guard lock(impl_->stop_mutex);
  begin_drain();
  impl_->listener->stop();
  // Clients get their last events before anything is waited for.
  for (const auto& io : impl_->io_threads) io->begin_stop(kStopGrace);
  impl_->service.stop_workers();
  for (const auto& io : impl_->io_threads) io->stop(kStopGrace);
}

}  // namespace pagoda
