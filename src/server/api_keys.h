// ApiKeys: the check of API keys, in a time that says nothing about them.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"

namespace pagoda {

// Immutable after construction; thread-safe. Keeps digests only.
class ApiKeys {
 public:
  explicit ApiKeys(const std::vector<std::string>& keys);

  // Whether the request carries one of the keys, as "Authorization: Bearer <key>" or as
  // "X-Api-Key: <key>". Always true when there are no keys.
  bool accept(const HttpRequest& request) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest_of(std::string_view key);
  bool accepts_key(std::string_view key) const;

  std::vector<Digest> digests_;
};

}  // namespace pagoda
