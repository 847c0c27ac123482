// The listening socket, in plain POSIX calls, and its accepting thread.
#include "server/http/listener.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace pagoda {
namespace {

constexpr int kBacklog = 1024;
// How long accepting rests when the process is out of descriptors.
constexpr int kShortageRestMs = 50;
constexpr std::chrono::seconds kWarningInterval{10};

// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string error_text(int error) {
  return std::generic_category().message(error);
}

Error cannot_listen(const std::string& where, int error) {
  return {ErrorCode::kUnavailable,
          fmt::format("cannot listen on {}: {}", where, error_text(error))};
}

std::string in_url(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

Result<Descriptor> bind_tcp(const ListenAddress& address) {
  const std::string where = fmt::format("{}:{}", in_url(address.host), address.port);
  if (address.port < 0 || address.port > 65535) {
    return invalid_argument(fmt::format("port {} is not in [0, 65535]", address.port), "port");
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                                   std::to_string(address.port).c_str(), &hints, &found);
  if (status != 0) {
    return invalid_argument(fmt::format("host '{}' is no address of this machine: {}", address.host,
                                        ::gai_strerror(status)),
                            "host");
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
    Descriptor fd(
        ::socket(it->ai_family, it->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, it->ai_protocol));
    const int on = 1;
    if (fd.get() >= 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd.get() >= 0 && ::bind(fd.get(), it->ai_addr, it->ai_addrlen) == 0 &&
        ::listen(fd.get(), kBacklog) == 0) {
      return fd;
    }
    error = errno;
    if (error == EADDRINUSE) break;  // another family would answer some clients only
  }
  return cannot_listen(where, error);
}

// Removes a socket file nobody accepts on.
Result<void> remove_stale_socket(const sockaddr_un& name, const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("cannot listen on unix:{}: a file that is no socket is there", path)};
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0 ||
      errno != ECONNREFUSED) {
    return cannot_listen("unix:" + path, EADDRINUSE);
  }
  ::unlink(path.c_str());
  return {};
}

Result<Descriptor> bind_unix(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof(name.sun_path)) {
    return invalid_argument(fmt::format("socket path has {} bytes, the limit is {}", path.size(),
                                        sizeof(name.sun_path) - 1),
                            "uds");
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  RETURN_IF_ERROR(remove_stale_socket(name, path));
  Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // Nobody can connect before listen(), so the mode holds from the first moment.
  if (fd.get() < 0 || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0 ||
      ::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return cannot_listen("unix:" + path, errno);
  }
  return fd;
}

void set_options(int fd) {
  const int on = 1;
  const int idle_s = 30;
  // Fails without harm on a Unix socket.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // A peer that vanished without a word is noticed while nothing is written to it.
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
}

}  // namespace

bool is_loopback_host(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost";
}

struct Listener::Impl {
  Descriptor socket;
  Descriptor wake;
  std::function<void(int)> on_accept;
  std::string uds_path;
  struct stat uds_file {};
  std::string url;
  int32_t port = 0;
  std::thread thread;

  void run();
};

void Listener::Impl::run() {
  std::array<pollfd, 2> waits = {{{.fd = wake.get(), .events = POLLIN, .revents = 0},
                                  {.fd = socket.get(), .events = POLLIN, .revents = 0}}};
  int64_t num_shortages = 0;  // since the last warning
  TimePoint next_warning{};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return;
    if (waits[0].revents != 0) return;
    const int fd = ::accept4(socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      set_options(fd);
      on_accept(fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      ++num_shortages;
      if (const TimePoint now = real_clock().now(); now >= next_warning) {
        log_warning(fmt::format("listener.shortage error=\"{}\" times={}", error_text(errno),
                                std::exchange(num_shortages, 0)));
        next_warning = now + kWarningInterval;
      }
      ::poll(waits.data(), 1, kShortageRestMs);
    }
  }
}

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}

Listener::~Listener() {
  stop();
}

Result<std::unique_ptr<Listener>> Listener::listen(const ListenAddress& address,
                                                   std::function<void(int fd)> on_accept) {
  auto impl = std::make_unique<Impl>();
  impl->on_accept = std::move(on_accept);
  if (address.uds_path.empty()) {
    ASSIGN_OR_RETURN(impl->socket, bind_tcp(address));
    sockaddr_storage bound{};
    socklen_t length = sizeof(bound);
    ::getsockname(impl->socket.get(), reinterpret_cast<sockaddr*>(&bound), &length);
    impl->port =
        ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port
                                          : reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
    impl->url = fmt::format("{}://{}:{}", address.scheme, in_url(address.host), impl->port);
  } else {
    ASSIGN_OR_RETURN(impl->socket, bind_unix(address.uds_path));
    impl->uds_path = address.uds_path;
    ::lstat(impl->uds_path.c_str(), &impl->uds_file);
    impl->url = "unix:" + address.uds_path;
  }
  impl->wake = Descriptor(::eventfd(0, EFD_CLOEXEC));
  if (impl->wake.get() < 0) return cannot_listen(impl->url, errno);
  impl->thread = std::thread([raw = impl.get()] { raw->run(); });
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

int32_t Listener::port() const {
  return impl_->port;
}

std::string Listener::url() const {
  return impl_->url;
}

void Listener::stop() {
  if (!impl_->thread.joinable()) return;
  const uint64_t one = 1;
  if (::write(impl_->wake.get(), &one, sizeof(one)) < 0) {
    log_error("listener.stop cannot wake the thread");
  }
  impl_->thread.join();
  impl_->socket = Descriptor();
  struct stat info {};
  // Another server may have put its own socket there since.
  if (!impl_->uds_path.empty() && ::lstat(impl_->uds_path.c_str(), &info) == 0 &&
      info.st_ino == impl_->uds_file.st_ino && info.st_dev == impl_->uds_file.st_dev) {
    ::unlink(impl_->uds_path.c_str());
  }
}

}  // namespace pagoda
