// RepoListing: what a hub says is in a repository at one revision.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pagoda {

struct HubFile {
  std::string path;                       // relative, checked by check_relative_path()
  std::optional<int64_t> num_bytes = {};  // when the hub says
  // Name of its content: SHA-256 of a large file, git's SHA-1 of a small one, in hexadecimal; empty
  // when the hub's list does not say.
  std::string etag = {};
};

struct RepoListing {
  std::string commit;  // 40 hexadecimal digits
  std::vector<HubFile> files;
};

// Reads the answer to GET /api/models/REPO/revision/REVISION?blobs=true (Hugging Face Hub API; the
// fields sha, siblings[].rfilename, .size, .blobId, .lfs.sha256 and .lfs.size). Everything in it
// may be hostile: kInvalidArgument for a commit or checksum that is none, a name that is not a
// plain relative path or that occurs twice, a size below 0 or over 64 TiB, more than 100,000 files.
Result<RepoListing> parse_repo_listing(std::string_view json);

}  // namespace pagoda
