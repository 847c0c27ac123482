// The steps of a pull: list, choose, download, name.
#include "hub/pull.h"

#include <fmt/core.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "hub/file_selection.h"
#include "hub/hub_cache.h"
#include "hub/repo_listing.h"

namespace pagoda {
namespace {

constexpr size_t kMaxListingBytes = size_t{64} << 20;

// While it lives, a closed connection and a file that may not grow are error codes to this thread,
// and to those that it starts, and no signals that would end the process.
class SignalsAsErrors {
 public:
  SignalsAsErrors() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGPIPE);
    sigaddset(&signals_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~SignalsAsErrors() {
    const timespec no_time = {};
    while (sigtimedwait(&signals_, nullptr, &no_time) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalsAsErrors(const SignalsAsErrors&) = delete;
  SignalsAsErrors& operator=(const SignalsAsErrors&) = delete;

 private:
  sigset_t signals_ = {};
  sigset_t before_ = {};
};

SelectionRules rules_of(const PullRequest& request) {
  return {.quantization = request.model.quantization,
          .include = request.include,
          .exclude = request.exclude};
}

Error with_repo(const ModelRef& model, const Error& error) {
  return {error.code, fmt::format("{}: {}", model.repo, error.message)};
}

// One try of the request for the list.
FetchEnd ask_for_listing(FetchSession& session, const std::string& url, std::string& body,
                         Result<void>& polled) {
  FetchEnd answer;
  bool ended = false;
  body.clear();
  FetchRequest request;
  request.url = url;
  request.on_data = [&](std::string_view data) {
    if (body.size() + data.size() > kMaxListingBytes) return false;
    body.append(data);
    return true;
  };
  request.on_end = [&](const FetchEnd& end) {
    answer = end;
    ended = true;
  };
  session.start(std::move(request));
  while (!ended) {
    polled = session.poll(std::chrono::milliseconds(1000));
    if (!polled.ok()) break;
  }
  return answer;
}

std::string listing_url(const HubConfig& config, const ModelRef& model) {
  return fmt::format("{}/api/models/{}/revision/{}?blobs=true", config.endpoint, model.repo,
                     percent_encoded(model.revision));
}

Error unreachable_error(const HubConfig& config, const FetchEnd& end) {
  return {ErrorCode::kUnavailable,
          fmt::format("cannot ask {}: {} (HF_ENDPOINT, HTTPS_PROXY and HF_HUB_OFFLINE may help)",
                      config.endpoint, end.message)};
}

Result<RepoListing> fetch_listing(const HubConfig& config, const ModelRef& model,
                                  FetchSession& session, const DownloadLimits& limits,
                                  const PullObserver& observer) {
  const std::string url = listing_url(config, model);
  std::string body;
  for (int num_failures = 1;; ++num_failures) {
    Result<void> polled;
    const FetchEnd end = ask_for_listing(session, url, body, polled);
    RETURN_IF_ERROR(polled);
    const int status = end.head.status;
    if (end.kind == FetchEnd::Kind::kStopped) {
      return Error{ErrorCode::kTooLarge, fmt::format("{}: the list of files is over {} bytes",
                                                     model.repo, kMaxListingBytes)};
    }
    const bool answered = end.kind == FetchEnd::Kind::kAnswered;
    if (answered && status == 200) break;
    if (answered && !is_passing_trouble(status)) {
      return hub_error(config, end.head, model.repo, model.revision, "");
    }
    // A hub that cannot be reached is often no hub at all: that is told soon.
    const int max_failures = answered ? limits.max_failures : std::min(limits.max_failures, 3);
    if (end.kind == FetchEnd::Kind::kRefused || num_failures > max_failures) {
      return answered ? hub_error(config, end.head, model.repo, model.revision, "")
                      : unreachable_error(config, end);
    }
    const std::string after(end.head.header("retry-after"));
    const auto wait = retry_wait(limits, num_failures, answered ? after : "");
    if (wait >= std::chrono::seconds(2) && observer.note) {
      observer.note(fmt::format("the hub is busy (status {}); trying again in {:.0f} s", status,
                                std::chrono::duration<double>(wait).count()));
    }
    std::this_thread::sleep_for(wait);
  }
  auto listing = parse_repo_listing(body);
  if (listing.ok()) return listing;
  return Error{listing.error().code, fmt::format("{}: the hub's list of files cannot be used: {}",
                                                 model.repo, listing.error().message)};
}

std::vector<std::string> paths_of(const RepoListing& listing) {
  std::vector<std::string> paths;
  paths.reserve(listing.files.size());
  for (const HubFile& file : listing.files) paths.push_back(file.path);
  return paths;
}

PulledModel describe(const HubCache& cache, const ModelRef& model, const std::string& commit,
                     const Selection& selection) {
  PulledModel pulled;
  pulled.commit = commit;
  pulled.folder = cache.snapshot_folder(model.repo, commit);
  pulled.path = selection.gguf_file.empty()
                    ? pulled.folder
                    : (std::filesystem::path(pulled.folder) / selection.gguf_file).string();
  pulled.num_files = static_cast<int>(selection.paths.size());
  for (const std::string& path : selection.paths) {
    pulled.num_bytes += cache.snapshot_file_bytes(model.repo, commit, path).value_or(0);
  }
  return pulled;
}

// What a folder of a model cannot do without; empty when nothing is missing. Other tools may leave
// a snapshot that is not complete.
std::string what_is_missing(const Selection& selection) {
  if (const std::string part = missing_part(selection.paths); !part.empty()) return part;
  if (!selection.gguf_file.empty()) return "";
  const auto has = [&](const char* name) {
    return std::ranges::find(selection.paths, name) != selection.paths.end();
  };
  if (!has("config.json")) return "config.json";
  const bool tokenizer = has("tokenizer.json") || has("tokenizer.model") || has("vocab.json");
  return tokenizer ? "" : "tokenizer.json";
}

}  // namespace

Result<PulledModel> find_cached_model(const HubConfig& config, const PullRequest& request) {
  const ModelRef& model = request.model;
  const HubCache cache(config.cache_dir);
  const auto missing = [&](const std::string& what) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} at revision '{}' is not in {}: {}", model.repo, model.revision,
                             config.cache_dir, what)};
  };
  const auto commit = cache.find_commit(model.repo, model.revision);
  if (!commit) return missing("it has not been pulled");
  const std::vector<std::string> paths = cache.snapshot_files(model.repo, *commit);
  if (paths.empty()) return missing("it has not been pulled");
  const auto selection = select_files(paths, rules_of(request));
  if (!selection.ok()) return missing(selection.error().message);
  if (request.include.empty()) {
    const std::string what = what_is_missing(*selection);
    if (!what.empty()) return missing("there is no " + what);
  }
  return describe(cache, model, *commit, *selection);
}

Result<PulledModel> pull_model(const HubConfig& config, const PullRequest& request,
                               const DownloadLimits& limits, const PullObserver& observer) {
  const ModelRef& model = request.model;
  if (config.offline) {
    auto cached = find_cached_model(config, request);
    if (cached.ok()) return cached;
    return Error{cached.error().code, cached.error().message + " (HF_HUB_OFFLINE is set)"};
  }
  const SignalsAsErrors signals;
  ASSIGN_OR_RETURN(const auto session, FetchSession::create(config));
  ASSIGN_OR_RETURN(const RepoListing listing,
                   fetch_listing(config, model, *session, limits, observer));
  const auto selection = select_files(paths_of(listing), rules_of(request));
  if (!selection.ok()) return with_repo(model, selection.error());
  if (const std::string part = missing_part(selection->paths); !part.empty()) {
    return with_repo(model, {ErrorCode::kNotFound, "there is no " + part});
  }
  std::map<std::string, const HubFile*> by_path;
  for (const HubFile& file : listing.files) by_path[file.path] = &file;
  DownloadTask task{
      .repo = model.repo, .revision = model.revision, .commit = listing.commit, .files = {}};
  for (const std::string& path : selection->paths) task.files.push_back(*by_path.at(path));
  const HubCache cache(config.cache_dir);
  auto done = download_files(config, cache, *session, task, limits, observer);
  if (!done.ok()) return with_repo(model, done.error());
  RETURN_IF_ERROR(cache.write_ref(model.repo, model.revision, listing.commit));
  return describe(cache, model, listing.commit, *selection);
}

}  // namespace pagoda
