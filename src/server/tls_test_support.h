// For tests: a certificate of localhost with its key, and a client that speaks TLS.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/http/tls_files.h"

namespace pagoda {

// A temporary folder with cert.pem and key.pem, removed with its owner.
class TlsFolder {
 public:
  TlsFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pagoda_tls_XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    key_.reset(EVP_EC_gen("P-256"));
    EXPECT_NE(key_, nullptr);
    write_certificate();
    FILE* file = std::fopen(path("key.pem").c_str(), "w");
    EXPECT_EQ(PEM_write_PrivateKey(file, key_.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
    std::fclose(file);
  }
  ~TlsFolder() { std::filesystem::remove_all(folder_); }
  TlsFolder(const TlsFolder&) = delete;
  TlsFolder& operator=(const TlsFolder&) = delete;

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  TlsFiles files() const {
    return {.certificate_chain = path("cert.pem"), .private_key = path("key.pem")};
  }
  std::string write_encrypted_key(std::string_view password) {
    FILE* file = std::fopen(path("encrypted.pem").c_str(), "w");
    EXPECT_EQ(PEM_write_PKCS8PrivateKey(file, key_.get(), EVP_aes_256_cbc(), password.data(),
                                        static_cast<int>(password.size()), nullptr, nullptr),
              1);
    std::fclose(file);
    return path("encrypted.pem");
  }

 private:
  void write_certificate() {
    const std::unique_ptr<X509, decltype(&X509_free)> cert(X509_new(), &X509_free);
    X509_set_version(cert.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
    X509_NAME* name = X509_get_subject_name(cert.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(cert.get(), name);
    X509_set_pubkey(cert.get(), key_.get());
    EXPECT_GT(X509_sign(cert.get(), key_.get(), EVP_sha256()), 0);
    FILE* file = std::fopen(path("cert.pem").c_str(), "w");
    EXPECT_EQ(PEM_write_X509(file, cert.get()), 1);
    std::fclose(file);
  }

  std::filesystem::path folder_;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_{nullptr, &EVP_PKEY_free};
};

// A blocking client over a connected socket, which it does not own. Trusts any certificate.
class TlsClient {
 public:
  explicit TlsClient(int fd, int max_version = TLS1_3_VERSION) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_security_level(context_.get(), 0);  // so that old versions can be asked for
    SSL_CTX_set_max_proto_version(context_.get(), max_version);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd);
  }
  bool connect() { return SSL_connect(ssl_.get()) == 1; }
  std::string version() const { return SSL_get_version(ssl_.get()); }
  std::string chosen_protocol() const {
    const unsigned char* name = nullptr;
    unsigned int length = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &length);
    return {reinterpret_cast<const char*>(name), length};
  }
  void offer_protocols(std::string_view wire) {
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                        static_cast<unsigned int>(wire.size()));
  }
  void send(std::string_view data) {
    EXPECT_EQ(SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size())),
              static_cast<int>(data.size()));
  }
  // Until `text` has come; what came so far is taken off. Empty at the end.
  std::string read_until(std::string_view text) {
    size_t at = 0;
    while ((at = received_.find(text)) == std::string::npos) {
      if (!receive()) return {};
    }
    std::string taken = received_.substr(0, at + text.size());
    received_.erase(0, taken.size());
    return taken;
  }
  std::string read_to_end() {
    while (receive()) {
    }
    return std::exchange(received_, {});
  }
  // Whether the server ended with close_notify rather than by cutting the connection.
  bool ended_cleanly() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }
  void shutdown() { SSL_shutdown(ssl_.get()); }

 private:
  bool receive() {
    char buffer[4096];
    const int n = SSL_read(ssl_.get(), buffer, sizeof(buffer));
    if (n > 0) received_.append(buffer, static_cast<size_t>(n));
    return n > 0;
  }

  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, &SSL_free};
  std::string received_;
};

}  // namespace pagoda
