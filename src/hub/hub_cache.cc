// The cache folder: paths, links, refs, the list and the removal.
#include "hub/hub_cache.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "hub/file_lock.h"
#include "hub/model_ref.h"

namespace pagoda {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "models--";
constexpr size_t kMaxWalked = 200'000;

Error file_error(const std::string& action, const fs::path& path, const std::error_code& error) {
  return {ErrorCode::kInternal,
          fmt::format("cannot {} {}: {}", action, path.string(), error.message())};
}

std::string folder_name(std::string_view repo) {
  std::string name(kPrefix);
  for (const char c : repo) {
    if (c == '/') {
      name += "--";
    } else {
      name += c;
    }
  }
  return name;
}

// The model of a folder "models--ORG--NAME"; nullopt for other folders.
std::optional<std::string> repo_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::string repo = name.substr(kPrefix.size());
  if (const size_t at = repo.find("--"); at != std::string::npos) repo.replace(at, 2, "/");
  const auto ref = parse_model_ref(repo);
  if (!ref.ok() || ref->repo != repo) return std::nullopt;
  return repo;
}

// Calls `visit` for everything below `folder` that is no folder, without following links.
void walk(const fs::path& folder, const std::function<void(const fs::path&)>& visit) {
  std::error_code error;
  size_t num_walked = 0;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (++num_walked > kMaxWalked) return;
    if (at->is_directory(error) && !at->is_symlink(error)) continue;
    visit(at->path());
  }
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

bool is_real_folder(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::directory;
}

// Size of the regular file at `path`, links followed.
std::optional<int64_t> content_bytes(const fs::path& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return status.st_size;
}

// Of the file itself, links not followed; what other links of the same file keep is not freed.
int64_t freed_bytes(const fs::path& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  return status.st_nlink > 1 ? 0 : int64_t{status.st_blocks} * 512;
}

std::optional<std::string> read_ref(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string text(64, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (!is_commit_hash(text)) return std::nullopt;
  return text;
}

// The names of each commit.
std::map<std::string, std::vector<std::string>> read_refs(const fs::path& repo_folder) {
  std::map<std::string, std::vector<std::string>> refs;
  const fs::path folder = repo_folder / "refs";
  walk(folder, [&](const fs::path& path) {
    if (const auto commit = read_ref(path)) {
      refs[*commit].push_back(path.lexically_relative(folder).string());
    }
  });
  for (auto& [commit, names] : refs) std::ranges::sort(names);
  return refs;
}

CachedModel describe(const std::string& repo, const fs::path& snapshot) {
  CachedModel model;
  model.repo = repo;
  model.commit = snapshot.filename().string();
  model.path = snapshot.string();
  walk(snapshot, [&](const fs::path& path) {
    if (const auto num_bytes = content_bytes(path)) {
      model.num_bytes += *num_bytes;
      ++model.num_files;
    }
  });
  return model;
}

// A model with blobs and no snapshot.
CachedModel describe_partial(const std::string& repo, const fs::path& folder) {
  CachedModel model;
  model.repo = repo;
  model.path = folder.string();
  for (const std::string& name : names_in(folder / "blobs")) {
    struct stat status = {};
    if (::lstat((folder / "blobs" / name).c_str(), &status) != 0) continue;
    model.num_bytes += int64_t{status.st_blocks} * 512;
    ++model.num_files;
  }
  return model;
}

// Removes a tree without following links; returns the bytes freed.
Result<int64_t> remove_tree(const fs::path& folder) {
  int64_t num_bytes = 0;
  walk(folder, [&](const fs::path& path) { num_bytes += freed_bytes(path); });
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return file_error("remove", folder, error);
  return num_bytes;
}

Result<void> write_whole(const fs::path& path, std::string_view text) {
  const fs::path temporary = path.string() + fmt::format(".{}.tmp", ::getpid());
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) {
      return Error{ErrorCode::kInternal, fmt::format("cannot write {}", temporary.string())};
    }
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) return file_error("create", path, error);
  return {};
}

// Makes the folders between `base` and the file `path`; none of them may be a link.
Result<void> create_folders_below(const fs::path& base, const fs::path& path) {
  fs::path folder = base;
  std::error_code error;
  for (const fs::path& part : path.parent_path()) {
    folder /= part;
    fs::create_directory(folder, error);
    if (!is_real_folder(folder)) {
      return invalid_argument(fmt::format("{} is not a folder", folder.string()));
    }
  }
  return {};
}

}  // namespace

std::string HubCache::repo_folder(std::string_view repo) const {
  return (fs::path(folder_) / folder_name(repo)).string();
}

std::string HubCache::snapshot_folder(std::string_view repo, std::string_view commit) const {
  return (fs::path(repo_folder(repo)) / "snapshots" / commit).string();
}

std::string HubCache::blob_path(std::string_view repo, std::string_view etag) const {
  return (fs::path(repo_folder(repo)) / "blobs" / etag).string();
}

std::string HubCache::partial_path(std::string_view repo, std::string_view etag) const {
  // Not ETAG.incomplete: older tools take the length of such a file for what has been downloaded.
  return blob_path(repo, etag) + ".pagoda.incomplete";
}

std::string HubCache::lock_path(std::string_view repo, std::string_view etag) const {
  return (fs::path(folder_) / ".locks" / folder_name(repo) / (std::string(etag) + ".lock"))
      .string();
}

Result<void> HubCache::create_repo(std::string_view repo) const {
  for (const char* name : {"blobs", "refs", "snapshots"}) {
    const fs::path folder = fs::path(repo_folder(repo)) / name;
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return file_error("create", folder, error);
  }
  return {};
}

std::optional<std::string> HubCache::find_commit(std::string_view repo,
                                                 std::string_view revision) const {
  if (is_commit_hash(revision)) return std::string(revision);
  return read_ref(fs::path(repo_folder(repo)) / "refs" / revision);
}

std::vector<std::string> HubCache::snapshot_files(std::string_view repo,
                                                  std::string_view commit) const {
  const fs::path folder = snapshot_folder(repo, commit);
  std::vector<std::string> paths;
  walk(folder, [&](const fs::path& path) {
    if (content_bytes(path)) paths.push_back(path.lexically_relative(folder).string());
  });
  std::ranges::sort(paths);
  return paths;
}

std::optional<int64_t> HubCache::snapshot_file_bytes(std::string_view repo, std::string_view commit,
                                                     std::string_view path) const {
  return content_bytes(fs::path(snapshot_folder(repo, commit)) / path);
}

Result<void> HubCache::link_file(std::string_view repo, std::string_view commit,
                                 std::string_view path, std::string_view etag) const {
  const fs::path snapshot = snapshot_folder(repo, commit);
  std::error_code error;
  fs::create_directories(snapshot, error);
  if (error) return file_error("create", snapshot, error);
  RETURN_IF_ERROR(create_folders_below(snapshot, fs::path(path)));
  const fs::path link = snapshot / path;
  fs::path target = "../../blobs";
  for (const char c : path) {
    if (c == '/') target = ".." / target;
  }
  target /= etag;
  // A link under another name first, so that there is no moment without the file.
  const fs::path temporary = link.parent_path() / fmt::format(".{}.{}.tmp", etag, ::getpid());
  fs::remove(temporary, error);
  fs::create_symlink(target, temporary, error);
  if (error) return file_error("create", temporary, error);
  fs::rename(temporary, link, error);
  if (error) {
    const Error failed = file_error("create", link, error);
    fs::remove(temporary, error);
    return failed;
  }
  return {};
}

Result<void> HubCache::write_ref(std::string_view repo, std::string_view revision,
                                 std::string_view commit) const {
  if (revision == commit) return {};
  const fs::path refs = fs::path(repo_folder(repo)) / "refs";
  RETURN_IF_ERROR(create_folders_below(refs, fs::path(revision)));
  if (read_ref(refs / revision) == commit) return {};
  return write_whole(refs / revision, commit);
}

std::vector<CachedModel> HubCache::list() const {
  std::vector<CachedModel> models;
  for (const std::string& name : names_in(folder_)) {
    const auto repo = repo_of(name);
    if (!repo) continue;
    const fs::path folder = fs::path(folder_) / name;
    const auto refs = read_refs(folder);
    bool any = false;
    for (const std::string& commit : names_in(folder / "snapshots")) {
      const fs::path snapshot = folder / "snapshots" / commit;
      if (!is_real_folder(snapshot)) continue;
      CachedModel model = describe(*repo, snapshot);
      if (const auto at = refs.find(commit); at != refs.end()) model.revisions = at->second;
      if (model.num_files == 0) continue;
      models.push_back(std::move(model));
      any = true;
    }
    if (!any && is_real_folder(folder)) models.push_back(describe_partial(*repo, folder));
  }
  return models;
}

Result<void> HubCache::check_not_in_use(std::string_view repo) const {
  const fs::path locks = fs::path(folder_) / ".locks" / folder_name(repo);
  for (const std::string& name : names_in(locks)) {
    ASSIGN_OR_RETURN(const auto lock, FileLock::try_lock((locks / name).string()));
    if (!lock) {
      return Error{ErrorCode::kUnavailable,
                   fmt::format("{} is being downloaded now; try again when that has ended", repo)};
    }
  }
  return {};
}

// Those that no snapshot links to. Blobs of downloads that have not ended stay: they are wanted.
int64_t HubCache::remove_unused_blobs(std::string_view repo) const {
  const fs::path folder = repo_folder(repo);
  std::set<std::string> used;
  std::error_code error;
  walk(folder / "snapshots", [&](const fs::path& path) {
    const fs::path target = fs::read_symlink(path, error);
    if (!error) used.insert(target.filename().string());
  });
  int64_t num_bytes = 0;
  for (const std::string& name : names_in(folder / "blobs")) {
    if (used.contains(name) || name.ends_with(".incomplete")) continue;
    num_bytes += freed_bytes(folder / "blobs" / name);
    fs::remove(folder / "blobs" / name, error);
  }
  return num_bytes;
}

Result<int64_t> HubCache::remove(std::string_view repo,
                                 const std::optional<std::string>& revision) const {
  const fs::path folder = repo_folder(repo);
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) {
    return Error{ErrorCode::kNotFound, fmt::format("{} is not in {}", repo, folder_)};
  }
  if (!is_real_folder(folder)) {
    return invalid_argument(
        fmt::format("{} is a link to somewhere else; remove it yourself", folder.string()));
  }
  RETURN_IF_ERROR(check_not_in_use(repo));
  const fs::path locks = fs::path(folder_) / ".locks" / folder_name(repo);
  if (!revision) {
    ASSIGN_OR_RETURN(const int64_t num_bytes, remove_tree(folder));
    fs::remove_all(locks, error);
    return num_bytes;
  }
  const auto commit = find_commit(repo, *revision);
  const fs::path snapshot = commit ? fs::path(snapshot_folder(repo, *commit)) : fs::path();
  if (!commit || !is_real_folder(snapshot)) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} has no revision '{}' in {}", repo, *revision, folder_)};
  }
  const auto refs = read_refs(folder);
  if (const auto at = refs.find(*commit); at != refs.end()) {
    for (const std::string& name : at->second) fs::remove(folder / "refs" / name, error);
  }
  ASSIGN_OR_RETURN(int64_t num_bytes, remove_tree(snapshot));
  // What huggingface_hub keeps of a commit beside its files.
  fs::remove_all(folder / ".no_exist" / *commit, error);
  fs::remove(folder / "trees" / (*commit + ".json"), error);
  num_bytes += remove_unused_blobs(repo);
  if (names_in(folder / "snapshots").empty()) {
    ASSIGN_OR_RETURN(const int64_t rest, remove_tree(folder));
    fs::remove_all(locks, error);
    num_bytes += rest;
  }
  return num_bytes;
}

}  // namespace pagoda
