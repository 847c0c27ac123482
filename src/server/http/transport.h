// Transport: a connected stream socket, plain or under TLS, with one face for both.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "server/http/tls.h"

namespace pagoda {

// Owns the socket. I/O thread only. At most one read and one write at a time; what they use, and
// the Transport, must live until their handler has run. `tls` must outlive it; null: plain.
class Transport {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  Transport(Socket socket, TlsContext* tls) : plain_(std::move(socket)) {
    if (tls != nullptr) {
      tls_ = std::make_unique<boost::asio::ssl::stream<Socket&>>(plain_, tls->context());
    }
  }

  bool is_tls() const { return tls_ != nullptr; }
  Socket& socket() { return plain_; }

  // Handlers take an error_code, and those of reads and writes a number of bytes too.
  // REQUIRES for the first two: is_tls().
  template <typename Handler>
  void async_handshake(Handler handler) {
    tls_->async_handshake(boost::asio::ssl::stream_base::server, std::move(handler));
  }
  // Sends close_notify, and ends with the client's or any error.
  template <typename Handler>
  void async_shutdown(Handler handler) {
    tls_->async_shutdown(std::move(handler));
  }
  template <typename Handler>
  void async_read_some(std::span<char> space, Handler handler) {
    const auto buffer = boost::asio::buffer(space.data(), space.size());
    is_tls() ? tls_->async_read_some(buffer, std::move(handler))
             : plain_.async_read_some(buffer, std::move(handler));
  }
  template <typename Handler>
  void async_write(std::string_view data, Handler handler) {
    const auto bytes = boost::asio::buffer(data.data(), data.size());
    if (is_tls()) {
      boost::asio::async_write(*tls_, bytes, std::move(handler));
    } else {
      boost::asio::async_write(plain_, bytes, std::move(handler));
    }
  }

 private:
  Socket plain_;
  std::unique_ptr<boost::asio::ssl::stream<Socket&>> tls_;  // over plain_; null: none
};

}  // namespace pagoda
