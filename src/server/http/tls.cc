// Loading of certificates and keys, by OpenSSL.
#include "server/http/tls.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace pagoda {
namespace {

std::string last_openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "unknown error" : reason;
}

Result<void> check_readable(const std::string& setting, const std::string& path) {
  if (path.empty()) return invalid_argument(setting + ": is needed for TLS", setting);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  char first = 0;
  if (file && file.get(first)) return {};
  const int error = errno;
  return invalid_argument(
      fmt::format("{} '{}': {}", setting, path,
                  error == 0 ? "the file is empty" : std::generic_category().message(error)),
      setting);
}

// Called for an encrypted key. Without a password the key is refused; OpenSSL would ask a terminal.
int give_password(char* buffer, int size, int /*for_writing*/, void* user_data) {
  const auto& password = *static_cast<const std::string*>(user_data);
  if (password.empty() || password.size() > static_cast<size_t>(size)) return -1;
  std::memcpy(buffer, password.data(), password.size());
  return static_cast<int>(password.size());
}

// Lets OpenSSL ask for the password while it lives. Asio takes what it finds there at the end of a
// context for its own.
class PasswordScope {
 public:
  PasswordScope(SSL_CTX* context, std::string password)
      : context_(context), password_(std::move(password)) {
    SSL_CTX_set_default_passwd_cb(context_, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context_, &password_);
  }
  ~PasswordScope() {
    SSL_CTX_set_default_passwd_cb(context_, nullptr);
    SSL_CTX_set_default_passwd_cb_userdata(context_, nullptr);
  }
  PasswordScope(const PasswordScope&) = delete;
  PasswordScope& operator=(const PasswordScope&) = delete;

 private:
  SSL_CTX* context_;
  std::string password_;
};

// RFC 7301: chooses http/1.1 where the client offers it, and says nothing where it does not.
int choose_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* offered, unsigned int offered_length, void* /*unused*/) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  const int status =
      SSL_select_next_proto(&chosen, out_length, kOurs, sizeof(kOurs) - 1, offered, offered_length);
  if (status != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::load(const TlsFiles& files) {
  RETURN_IF_ERROR(check_readable("ssl-certfile", files.certificate_chain));
  RETURN_IF_ERROR(check_readable("ssl-keyfile", files.private_key));
  auto tls = std::shared_ptr<TlsContext>(new TlsContext());
  SSL_CTX* context = tls->context_.native_handle();
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  const PasswordScope password(context, files.key_password);
  const bool has_certificate =
      SSL_CTX_use_certificate_chain_file(context, files.certificate_chain.c_str()) == 1;
  if (!has_certificate) {
    return invalid_argument(fmt::format("ssl-certfile '{}': no certificate in PEM form: {}",
                                        files.certificate_chain, last_openssl_error()),
                            "ssl-certfile");
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.private_key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const unsigned long code = ERR_peek_error();
    if (ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH) {
      ERR_clear_error();
      return invalid_argument(
          fmt::format("ssl-keyfile '{}': does not belong to the certificate in '{}'",
                      files.private_key, files.certificate_chain),
          "ssl-keyfile");
    }
    return invalid_argument(
        fmt::format("ssl-keyfile '{}': no private key in PEM form{}: {}", files.private_key,
                    files.key_password.empty() ? "" : " that the password opens",
                    last_openssl_error()),
        "ssl-keyfile");
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return invalid_argument(
        fmt::format("ssl-keyfile '{}': does not belong to the certificate in '{}'",
                    files.private_key, files.certificate_chain),
        "ssl-keyfile");
  }
  return tls;
}

}  // namespace pagoda
