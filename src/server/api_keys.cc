// API keys are compared as SHA-256 digests, all of them, in constant time.
#include "server/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace pagoda {

ApiKeys::ApiKeys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) digests_.push_back(digest_of(key));
}

ApiKeys::Digest ApiKeys::digest_of(std::string_view key) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

bool ApiKeys::accepts_key(std::string_view key) const {
  const Digest presented = digest_of(key);
  bool found = false;
  for (const Digest& digest : digests_) {
    found |= CRYPTO_memcmp(presented.data(), digest.data(), digest.size()) == 0;
  }
  return found;
}

bool ApiKeys::accept(const HttpRequest& request) const {
  if (digests_.empty()) return true;
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view authorization = request.header("authorization");
  if (authorization.size() > kScheme.size() &&
      equals_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) {
    std::string_view key = authorization.substr(kScheme.size());
    key.remove_prefix(std::min(key.find_first_not_of(' '), key.size()));
    if (accepts_key(key)) return true;
  }
  const std::string_view key = request.header("x-api-key");
  return !key.empty() && accepts_key(key);
}

}  // namespace pagoda
