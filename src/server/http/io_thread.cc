// The event loop of an I/O thread, and how connections come to it and leave.
#include "server/http/io_thread.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <exception>
#include <utility>
#include <vector>

#include "base/log.h"
#include "server/http/io_core.h"
#include "server/http/session.h"

namespace pagoda {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;

IoThread::Core::Core(HttpService& the_service, const HttpLimits& the_limits,
                     const IoResources& resources)
    : service(the_service),
      limits(the_limits),
      tls(resources.tls),
      body_memory(resources.body_memory != nullptr
                      ? resources.body_memory
                      : std::make_shared<MemoryBudget>(the_limits.max_body_memory_bytes)),
      work(asio::make_work_guard(io)) {
}

bool IoThread::Core::post(std::function<void()> task) {
  const std::lock_guard lock(mutex);
  if (!stopped) asio::post(io, std::move(task));
  return !stopped;
}

void IoThread::Core::run() {
  for (;;) {
    try {
      io.run();
      return;
    } catch (const std::exception& e) {
      log_error(fmt::format("io_thread.exception error=\"{}\"", e.what()));
    }
  }
}

void IoThread::Core::adopt(NewConnection connection) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  ::getsockname(connection.fd, reinterpret_cast<sockaddr*>(&address), &length);
  Transport::Socket socket(io);
  error_code ec = asio::error::operation_aborted;
  if (!shutting_down) {
    socket.assign(asio::generic::stream_protocol(address.ss_family, 0), connection.fd, ec);
  }
  if (ec) {
    ::close(connection.fd);
    --num_connections;
    return;
  }
  const auto session =
      std::make_shared<Session>(shared_from_this(), std::move(socket), std::move(connection));
  sessions.insert(session);
  session->start();
}

void IoThread::Core::forget(const std::shared_ptr<Session>& session) {
  if (sessions.erase(session) > 0) --num_connections;
  if (shutting_down && sessions.empty()) grace_timer.cancel();
}

void IoThread::Core::close_all() {
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& session : all) session->client_gone();
}

void IoThread::Core::shutdown_all(milliseconds grace) {
  if (shutting_down) return;
  shutting_down = true;
  draining = true;
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& session : all) session->shutdown();
  if (!sessions.empty()) {
    grace_timer.expires_after(grace);
    grace_timer.async_wait([this](error_code) { close_all(); });
  }
  work.reset();
}

IoThread::IoThread(HttpService& service, const HttpLimits& limits, const IoResources& resources)
    : core_(std::make_shared<Core>(service, limits, resources)) {
  core_->thread = std::thread([core = core_.get()] { core->run(); });
}

IoThread::~IoThread() {
  stop(milliseconds(0));
}

void IoThread::adopt(NewConnection connection) {
  ++core_->num_connections;  // at once, so that the listener's next choice sees it
  const int fd = connection.fd;
  const bool posted =
      core_->post([core = core_.get(), moved = std::move(connection)] { core->adopt(moved); });
  if (!posted) {
    ::close(fd);
    --core_->num_connections;
  }
}

int32_t IoThread::num_connections() const {
  return core_->num_connections;
}

void IoThread::begin_drain() {
  core_->draining = true;
}

void IoThread::begin_stop(milliseconds grace) {
  core_->post([core = core_.get(), grace] { core->shutdown_all(grace); });
}

void IoThread::stop(milliseconds grace) {
  if (!core_->thread.joinable()) return;
  begin_stop(grace);
  core_->thread.join();
  {
    const std::lock_guard lock(core_->mutex);
    core_->stopped = true;
  }
  // What was posted while the thread ended would otherwise keep its sessions alive for ever.
  core_->io.restart();
  core_->io.poll();
}

}  // namespace pagoda
