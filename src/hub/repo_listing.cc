// Parses and checks the hub's list of files.
#include "hub/repo_listing.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/json.h"
#include "base/printable.h"
#include "hub/model_ref.h"

namespace pagoda {
namespace {

constexpr size_t kMaxFiles = 100'000;
constexpr int64_t kMaxFileBytes = int64_t{1} << 46;
constexpr JsonLimits kLimits = {
    .max_depth = 32, .max_bytes = size_t{64} << 20, .max_values = size_t{4} << 20};

Result<std::optional<int64_t>> read_size(const Json& object, const std::string& path) {
  const auto at = object.find("size");
  if (at == object.end() || at->is_null()) return std::optional<int64_t>();
  const bool whole = at->is_number_integer() &&
                     !(at->is_number_unsigned() && at->get<uint64_t>() > uint64_t{kMaxFileBytes});
  if (!whole || at->get<int64_t>() < 0 || at->get<int64_t>() > kMaxFileBytes) {
    return invalid_argument(fmt::format("size of '{}' is not a number of bytes up to {}",
                                        printable(path), kMaxFileBytes));
  }
  return std::optional<int64_t>(at->get<int64_t>());
}

// A checksum under `key`; empty when there is none.
Result<std::string> read_checksum(const Json& object, const char* key,
                                  bool (*is_checksum)(std::string_view), const std::string& path) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return std::string();
  if (!at->is_string() || !is_checksum(at->get_ref<const std::string&>())) {
    return invalid_argument(fmt::format("{} of '{}' is not a checksum", key, printable(path)));
  }
  return at->get<std::string>();
}

Result<HubFile> read_file(const Json& sibling) {
  const auto name = sibling.is_object() ? sibling.find("rfilename") : sibling.end();
  if (!sibling.is_object() || name == sibling.end() || !name->is_string()) {
    return invalid_argument("an entry of siblings has no rfilename");
  }
  HubFile file;
  file.path = name->get<std::string>();
  RETURN_IF_ERROR(check_relative_path("file name", file.path));
  const auto lfs = sibling.find("lfs");
  if (lfs != sibling.end() && lfs->is_object()) {
    ASSIGN_OR_RETURN(file.num_bytes, read_size(*lfs, file.path));
    ASSIGN_OR_RETURN(file.etag, read_checksum(*lfs, "sha256", is_sha256, file.path));
  } else {
    ASSIGN_OR_RETURN(file.etag, read_checksum(sibling, "blobId", is_commit_hash, file.path));
  }
  if (!file.num_bytes) {
    ASSIGN_OR_RETURN(file.num_bytes, read_size(sibling, file.path));
  }
  return file;
}

}  // namespace

Result<RepoListing> parse_repo_listing(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, parse_json(text, kLimits));
  if (!json.is_object()) return invalid_argument("not an object");
  RepoListing listing;
  const auto sha = json.find("sha");
  if (sha == json.end() || !sha->is_string() ||
      !is_commit_hash(sha->get_ref<const std::string&>())) {
    return invalid_argument("sha is not a commit");
  }
  listing.commit = sha->get<std::string>();
  const auto siblings = json.find("siblings");
  if (siblings == json.end() || !siblings->is_array()) {
    return invalid_argument("siblings is not a list of files");
  }
  if (siblings->size() > kMaxFiles) {
    return invalid_argument(fmt::format("{} files, the limit is {}", siblings->size(), kMaxFiles));
  }
  std::set<std::string> seen;
  for (const Json& sibling : *siblings) {
    ASSIGN_OR_RETURN(HubFile file, read_file(sibling));
    if (!seen.insert(file.path).second) {
      return invalid_argument(fmt::format("file name '{}' occurs twice", printable(file.path)));
    }
    listing.files.push_back(std::move(file));
  }
  return listing;
}

}  // namespace pagoda
