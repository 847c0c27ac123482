// HubCache: Hugging Face's cache of downloaded models on disk, shared with its other tools.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pagoda {

// One model at one commit, as `pagoda list` shows it.
struct CachedModel {
  std::string repo;                    // "ORG/NAME"
  std::string commit;                  // empty: only parts of a download that has not ended
  std::vector<std::string> revisions;  // names that lead to the commit
  int64_t num_bytes = 0;               // of its files; files that commits share count for each
  int num_files = 0;
  std::string path;  // of the snapshot; of the model's folder when there is none
};

// The layout (huggingface_hub, "Understand caching"), below the cache folder:
//
//   models--ORG--NAME/refs/REVISION          the commit that a branch or tag was at
//   models--ORG--NAME/blobs/ETAG             contents
//   models--ORG--NAME/blobs/ETAG.pagoda.incomplete   a download of ours that has not ended
//   models--ORG--NAME/snapshots/COMMIT/FILE  links to ../../blobs/ETAG
//   .locks/models--ORG--NAME/ETAG.lock       held while a blob is written
//
// Holds a path only; thread-safe. Names given to it have passed the checks of model_ref.h.
class HubCache {
 public:
  explicit HubCache(std::string folder) : folder_(std::move(folder)) {}

  std::string repo_folder(std::string_view repo) const;
  std::string snapshot_folder(std::string_view repo, std::string_view commit) const;
  std::string blob_path(std::string_view repo, std::string_view etag) const;
  std::string partial_path(std::string_view repo, std::string_view etag) const;
  std::string lock_path(std::string_view repo, std::string_view etag) const;

  // Makes the folders of a model. kInternal names the one that cannot be made.
  Result<void> create_repo(std::string_view repo) const;

  // The commit of a revision: itself, or what refs/ says; nullopt when that is unknown.
  std::optional<std::string> find_commit(std::string_view repo, std::string_view revision) const;
  // Paths of the files of a snapshot that are there with their content, sorted; empty when there is
  // no such snapshot.
  std::vector<std::string> snapshot_files(std::string_view repo, std::string_view commit) const;
  // Size of a file's content in a snapshot; nullopt when it is not there.
  std::optional<int64_t> snapshot_file_bytes(std::string_view repo, std::string_view commit,
                                             std::string_view path) const;
  // Makes the link of a file to its blob; replaces what is there. Refuses to go through a link.
  Result<void> link_file(std::string_view repo, std::string_view commit, std::string_view path,
                         std::string_view etag) const;
  // Nothing when `revision` is the commit itself.
  Result<void> write_ref(std::string_view repo, std::string_view revision,
                         std::string_view commit) const;

  // Every model, sorted by name. Follows no link out of the cache.
  std::vector<CachedModel> list() const;
  // Removes a model, or one revision of it and the blobs that no other revision uses. Returns the
  // bytes freed. kNotFound when it is not there; kUnavailable while it is being downloaded;
  // kInvalidArgument when the model's folder is a link.
  Result<int64_t> remove(std::string_view repo, const std::optional<std::string>& revision) const;

 private:
  Result<void> check_not_in_use(std::string_view repo) const;
  int64_t remove_unused_blobs(std::string_view repo) const;

  std::string folder_;
};

}  // namespace pagoda
