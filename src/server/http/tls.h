// TlsContext: the certificate and key that this server proves itself with.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/result.h"
#include "server/http/tls_files.h"

namespace pagoda {

// TLS 1.2 and newer, no renegotiation, no compression; offers HTTP/1.1 by ALPN. Immutable after
// load(); used by every I/O thread.
class TlsContext {
 public:
  // kInvalidArgument naming the file that is missing, no PEM, or does not match the other.
  static Result<std::shared_ptr<TlsContext>> load(const TlsFiles& files);

  boost::asio::ssl::context& context() { return context_; }

 private:
  TlsContext() : context_(boost::asio::ssl::context::tls_server) {}
  boost::asio::ssl::context context_;
};

}  // namespace pagoda
