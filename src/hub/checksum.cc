// SHA-256 and git's SHA-1 of a file, by OpenSSL.
#include "hub/checksum.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/check.h"
#include "hub/model_ref.h"

namespace pagoda {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

class Digest {
 public:
  explicit Digest(const EVP_MD* kind) : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    CHECK(context_ && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1);
  }
  void update(std::string_view data) {
    CHECK(EVP_DigestUpdate(context_.get(), data.data(), data.size()) == 1);
  }
  std::string finish() {
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int num_bytes = 0;
    CHECK(EVP_DigestFinal_ex(context_.get(), sum, &num_bytes) == 1);
    std::string text;
    for (unsigned int i = 0; i < num_bytes; ++i) text += fmt::format("{:02x}", sum[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

Result<std::string> file_checksum(const std::string& path, int64_t num_bytes,
                                  const std::string& like) {
  const bool large = is_sha256(like);
  if (!large && !is_commit_hash(like)) return std::string();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot open {}: {}", path,
                             std::error_code(errno, std::generic_category()).message())};
  }
  Digest digest(large ? EVP_sha256() : EVP_sha1());
  if (!large) digest.update(fmt::format("blob {}", num_bytes) + '\0');
  std::vector<char> piece(kPieceBytes);
  int64_t left = num_bytes;
  while (left > 0) {
    const auto wanted = static_cast<size_t>(std::min<int64_t>(left, kPieceBytes));
    const ssize_t got = ::read(descriptor, piece.data(), wanted);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    digest.update({piece.data(), static_cast<size_t>(got)});
    left -= got;
  }
  ::close(descriptor);
  if (left > 0) return Error{ErrorCode::kInternal, "cannot read all of " + path};
  return digest.finish();
}

}  // namespace pagoda
