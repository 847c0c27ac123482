// API keys are compared as SHA-256 digests, all of them, in constant time.
#include "server/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdint>

#include "base/check.h"

namespace pagoda {

ApiKeys::ApiKeys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) digests_.push_back(digest_of(key));
}

ApiKeys::Digest ApiKeys::digest_of(std::string_view key) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

std::optional<Client> ApiKeys::find(std::string_view key) const {
  const Digest presented = digest_of(key);
  TenantId found = -1;
  for (size_t i = 0; i < digests_.size(); ++i) {
    const bool same = CRYPTO_memcmp(presented.data(), digests_[i].data(), presented.size()) == 0;
    found = same ? static_cast<TenantId>(i) : found;
  }
  if (found < 0) return std::nullopt;
  return Client{.tenant = found, .key_digest = presented};
}

std::optional<Client> ApiKeys::identify(const HttpRequest& request) const {
  if (digests_.empty()) return Client{};
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view authorization = request.header("authorization");
  if (authorization.size() > kScheme.size() &&
      equals_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) {
    std::string_view key = authorization.substr(kScheme.size());
    key.remove_prefix(std::min(key.find_first_not_of(' '), key.size()));
    if (const auto client = find(key)) return client;
  }
  const std::string_view key = request.header("x-api-key");
  return key.empty() ? std::nullopt : find(key);
}

CacheSalt cache_salt(const Client& client, std::string_view client_salt) {
  CacheSalt salt{};
  const bool has_key = client.key_digest != decltype(client.key_digest){};
  if (!has_key && client_salt.empty()) return salt;
  constexpr std::string_view kLabel = "pagoda prefix cache";
  std::string message(client.key_digest.begin(), client.key_digest.end());
  message += client_salt;
  unsigned int length = 0;
  CHECK(HMAC(EVP_sha256(), kLabel.data(), static_cast<int>(kLabel.size()),
             reinterpret_cast<const unsigned char*>(message.data()), message.size(), salt.data(),
             &length) != nullptr &&
        length == salt.size());
  return salt;
}

}  // namespace pagoda
