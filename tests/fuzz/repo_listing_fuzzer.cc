// Fuzzes the hub's list of files: what it lets through are plain paths and sane sizes.
#include <string_view>
#include <vector>

#include "base/check.h"
#include "hub/file_selection.h"
#include "hub/model_ref.h"
#include "hub/repo_listing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), num_bytes);
  static_cast<void>(pagoda::parse_model_ref(text.substr(0, 300)));
  const auto listing = pagoda::parse_repo_listing(text);
  if (!listing.ok()) {
    CHECK(!listing.error().message.empty());
    return 0;
  }
  CHECK(pagoda::is_commit_hash(listing->commit));
  std::vector<std::string> paths;
  for (const pagoda::HubFile& file : listing->files) {
    CHECK(!file.path.empty() && file.path.front() != '/' && !file.path.starts_with("../"));
    CHECK(file.path.find("/../") == std::string::npos && !file.path.ends_with("/.."));
    CHECK(!file.num_bytes || *file.num_bytes >= 0);
    CHECK(file.etag.empty() || pagoda::is_sha256(file.etag) || pagoda::is_commit_hash(file.etag));
    paths.push_back(file.path);
  }
  static_cast<void>(pagoda::missing_part(paths));
  static_cast<void>(pagoda::select_files(paths, {}));
  static_cast<void>(pagoda::select_files(paths, {.quantization = "Q4_K_M"}));
  return 0;
}
