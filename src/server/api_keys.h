// ApiKeys: the check of API keys, in a time that says nothing about them.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.h"
#include "engine/request.h"
#include "server/http/message.h"

namespace pagoda {

// Whose request it is.
struct Client {
  TenantId tenant = 0;                         // index of the key; 0 when there are no keys
  std::array<unsigned char, 32> key_digest{};  // SHA-256; zeros when there are no keys
};

// Immutable after construction; thread-safe. Keeps digests only.
class ApiKeys {
 public:
  explicit ApiKeys(const std::vector<std::string>& keys);

  // The client whose key the request carries, as "Authorization: Bearer <key>" or as
  // "X-Api-Key: <key>"; nothing when it is none of ours. Anybody when there are no keys.
  std::optional<Client> identify(const HttpRequest& request) const;
  bool empty() const { return digests_.empty(); }

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest_of(std::string_view key);
  std::optional<Client> find(std::string_view key) const;

  std::vector<Digest> digests_;
};

// What separates the cached prefixes of one key from those of another: HMAC-SHA256 (RFC 2104) of
// the key's digest and of `client_salt`, by which a client may divide its own further. All zeros
// when there are neither keys nor a salt.
CacheSalt cache_salt(const Client& client, std::string_view client_salt);

}  // namespace pagoda
