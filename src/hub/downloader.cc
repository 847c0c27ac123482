// Schedules the parts of all files over the connections, and decides what failures mean.
#include "hub/downloader.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <list>
#include <optional>
#include <random>
#include <utility>

#include "base/printable.h"
#include "base/system_memory.h"
#include "hub/file_download.h"
#include "hub/file_selection.h"

namespace pagoda {
namespace {

using Clock = std::chrono::steady_clock;
using State = FileDownload::State;

// Files with a lock, a descriptor and work to do.
constexpr size_t kMaxActiveFiles = 16;
// A range that broke after this much was worth the try.
constexpr int64_t kWorthyBytes = int64_t{64} << 10;
// However often a connection breaks after some bytes.
constexpr int kMaxTries = 1000;
constexpr std::chrono::milliseconds kPoll{50};
// The end of a checksum wakes nobody: small files would wait for it longer than they take.
constexpr std::chrono::milliseconds kPollWhileVerifying{3};
constexpr std::chrono::milliseconds kReportInterval{100};

std::optional<std::chrono::seconds> seconds_of(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0) {
    return std::nullopt;
  }
  return std::chrono::seconds(std::min<int64_t>(value, 1'000'000));
}

std::optional<int64_t> regular_file_bytes(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return status.st_size;
}

// Bytes on the disk of a file that may have holes.
int64_t allocated_bytes(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? int64_t{status.st_blocks} * 512 : 0;
}

class Downloader {
 public:
  Downloader(const HubConfig& config, const HubCache& cache, FetchSession& session,
             const DownloadTask& task, const DownloadLimits& limits, const PullObserver& observer)
      : config_(config),
        cache_(cache),
        session_(session),
        task_(task),
        limits_(limits),
        observer_(observer) {}

  Result<void> run() {
    RETURN_IF_ERROR(cache_.create_repo(task_.repo));
    RETURN_IF_ERROR(take_what_is_there());
    RETURN_IF_ERROR(check_free_space());
    while (!waiting_.empty() || !active_.empty()) {
      while (!waiting_.empty() && active_.size() < kMaxActiveFiles) {
        active_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      for (auto at = active_.begin(); at != active_.end();) {
        RETURN_IF_ERROR(advance(**at));
        at = (*at)->state() == State::kDone ? active_.erase(at) : std::next(at);
      }
      start_transfers();
      const bool verifying = std::ranges::any_of(
          active_, [](const auto& file) { return file->state() == State::kVerifying; });
      RETURN_IF_ERROR(session_.poll(verifying ? kPollWhileVerifying : kPoll));
      if (failure_) return std::move(*failure_);
      report(false);
    }
    report(true);
    return {};
  }

 private:
  // Links what an earlier pull left, and queues the rest.
  Result<void> take_what_is_there() {
    for (const HubFile& file : task_.files) {
      if (!is_weights_file(file.path)) ++num_others_left_;
      progress_.total_bytes += file.num_bytes.value_or(0);
    }
    progress_.total_files = static_cast<int>(task_.files.size());
    for (const HubFile& file : task_.files) {
      auto download = std::make_shared<FileDownload>(file, task_.commit);
      const auto there = cache_.snapshot_file_bytes(task_.repo, task_.commit, file.path);
      if (there && (!file.num_bytes || there == file.num_bytes)) {
        RETURN_IF_ERROR(count_done(*download, there.value_or(0), false));
      } else {
        waiting_.push_back(std::move(download));
      }
    }
    return {};
  }

  Result<void> check_free_space() {
    int64_t needed = 0;
    for (const auto& file : waiting_) {
      if (file->etag().empty() || is_blob_there(*file)) continue;
      needed += file->num_bytes() - std::min(file->num_bytes(), allocated_bytes(cache_.partial_path(
                                                                    task_.repo, file->etag())));
    }
    const std::string folder = cache_.repo_folder(task_.repo);
    const int64_t free_bytes = free_disk_bytes(folder);
    if (free_bytes >= 0 && needed > free_bytes) return disk_full_error(folder, needed);
    return {};
  }

  bool is_blob_there(const FileDownload& file) const {
    return regular_file_bytes(cache_.blob_path(task_.repo, file.etag())) == file.num_bytes();
  }

  // Moves a file on as far as it goes without waiting.
  Result<void> advance(FileDownload& file) {
    if (file.state() == State::kNeedsLock) RETURN_IF_ERROR(try_begin(file));
    if (file.state() == State::kFetching && file.complete()) file.start_verifying();
    if (file.state() != State::kVerifying || !file.verified()) return {};
    ASSIGN_OR_RETURN(const bool good, file.finish(cache_.blob_path(task_.repo, file.etag())));
    if (good) return count_done(file, file.num_bytes(), true);
    note(fmt::format("{}: its checksum is {}, it should be {}; once more", printable(file.path()),
                     file.found_checksum(), file.etag()));
    ASSIGN_OR_RETURN(const bool restarted, file.restart(limits_.max_restarts));
    if (restarted) return {};
    return invalid_argument(
        fmt::format("{}: its checksum is {} again, and should be {}: what the hub sends is corrupt",
                    printable(file.path()), file.found_checksum(), file.etag()));
  }

  Result<void> try_begin(FileDownload& file) {
    if (is_blob_there(file)) return take_blob(file);
    // Two files of one content are one download.
    const bool ours = std::ranges::any_of(active_, [&](const auto& other) {
      return other.get() != &file && other->etag() == file.etag() &&
             (other->state() == State::kFetching || other->state() == State::kVerifying);
    });
    if (ours) return {};
    const std::string lock_path = cache_.lock_path(task_.repo, file.etag());
    ASSIGN_OR_RETURN(auto lock, FileLock::try_lock(lock_path));
    if (!lock) {
      if (!noted_wait_) note("another process downloads it too: waiting for what that brings");
      noted_wait_ = true;
      return {};
    }
    // It may have come while the lock was somebody else's.
    if (is_blob_there(file)) return take_blob(file);
    const int64_t part_bytes = limits_.part_bytes > 0
                                   ? limits_.part_bytes
                                   : PartialFile::usual_part_bytes(file.num_bytes());
    return file.begin(std::move(*lock), cache_.partial_path(task_.repo, file.etag()), part_bytes);
  }

  Result<void> take_blob(FileDownload& file) {
    file.set_state(State::kDone);
    return count_done(file, file.num_bytes(), true);
  }

  // Links the file, weights after all others. `link`: it is not linked yet.
  Result<void> count_done(FileDownload& file, int64_t num_bytes, bool link) {
    ++progress_.num_files;
    bytes_of_done_ += num_bytes;
    const bool weights = is_weights_file(file.path());
    if (link && weights && num_others_left_ > 0) {
      deferred_links_.emplace_back(file.path(), file.etag());
    } else if (link) {
      RETURN_IF_ERROR(cache_.link_file(task_.repo, task_.commit, file.path(), file.etag()));
    }
    if (weights || --num_others_left_ > 0) return {};
    for (const auto& [path, etag] : deferred_links_) {
      RETURN_IF_ERROR(cache_.link_file(task_.repo, task_.commit, path, etag));
    }
    deferred_links_.clear();
    return {};
  }

  std::string address_of(const FileDownload& file) const {
    return fmt::format("{}/{}/resolve/{}/{}", config_.endpoint, task_.repo, task_.commit,
                       percent_encoded(file.path(), "/"));
  }

  void start_transfers() {
    const auto now = Clock::now();
    if (now < hub_not_before_) return;
    for (const auto& file : active_) {
      if (file->state() == State::kNeedsMetadata) start_metadata(file, now);
      if (file->state() != State::kFetching) continue;
      for (int part = 0; part < static_cast<int>(file->parts().size()); ++part) {
        if (session_.num_running() >= limits_.max_connections) return;
        const FileDownload::Part& state = file->parts()[static_cast<size_t>(part)];
        if (state.running || file->part_complete(part) || now < state.not_before) continue;
        start_part(file, part);
      }
    }
  }

  void start_metadata(const std::shared_ptr<FileDownload>& file, Clock::time_point now) {
    if (file->parts().empty()) file->parts().resize(1);
    FileDownload::Part& state = file->parts()[0];
    if (state.running || now < state.not_before ||
        session_.num_running() >= limits_.max_connections) {
      return;
    }
    state.running = true;
    FetchRequest request;
    request.url = address_of(*file);
    request.head_only = true;
    request.on_end = [this, file](const FetchEnd& end) {
      FileDownload::Part& part = file->parts()[0];
      part.running = false;
      const bool good = end.kind == FetchEnd::Kind::kAnswered && end.head.status < 400;
      if (!good) return handle_failure(*file, part, end);
      const auto taken = file->take_metadata(end.head);
      if (!taken.ok()) return fail(taken.error());
      progress_.total_bytes += file->num_bytes();
    };
    session_.start(std::move(request));
  }

  void start_part(const std::shared_ptr<FileDownload>& file, int part) {
    FetchRequest request;
    request.url = address_of(*file);
    request.headers = file->start_part(part);
    const int generation = file->generation();
    request.on_head = [this, file, part, generation](const FetchHead& head) {
      if (generation != file->generation()) return false;
      switch (file->judge(part, head)) {
        case FileDownload::Verdict::kGoOn: return true;
        case FileDownload::Verdict::kFatal: fail(file->error()); return false;
        case FileDownload::Verdict::kRestart: restart(*file); return false;
      }
      return false;
    };
    request.on_data = [this, file, part, generation](std::string_view data) {
      if (generation != file->generation()) return false;
      const auto done = file->append(part, data);
      if (!done.ok()) fail(done.error());
      progress_.received_bytes += static_cast<int64_t>(data.size());
      return done.ok();
    };
    request.on_end = [this, file, part, generation](const FetchEnd& end) {
      if (generation == file->generation()) part_ended(*file, part, end);
    };
    session_.start(std::move(request));
  }

  void restart(FileDownload& file) {
    note(fmt::format("{} has changed on the hub, or cannot be had in parts: it begins anew",
                     printable(file.path())));
    const auto restarted = file.restart(limits_.max_restarts);
    if (!restarted.ok()) return fail(restarted.error());
    if (!*restarted) {
      fail(Error{ErrorCode::kUnavailable,
                 fmt::format("{} changes on the hub while it is downloaded; try again later",
                             printable(file.path()))});
    }
  }

  void part_ended(FileDownload& file, int part, const FetchEnd& end) {
    FileDownload::Part& state = file.parts()[static_cast<size_t>(part)];
    state.running = false;
    if (end.kind == FetchEnd::Kind::kStopped || file.part_complete(part)) return;
    handle_failure(file, state, end);
  }

  // Sets when the next try is due, or ends everything.
  void handle_failure(FileDownload& file, FileDownload::Part& part, const FetchEnd& end) {
    const int status = end.head.status;
    const bool answered = end.kind == FetchEnd::Kind::kAnswered && status >= 300;
    // A signed address of another server that has run out: the hub gives a new one.
    const bool passing = is_passing_trouble(status) || !end.head.at_hub;
    if (end.kind == FetchEnd::Kind::kRefused) {
      return fail(Error{ErrorCode::kUnavailable,
                        fmt::format("{}: {}", printable(file.path()), end.message)});
    }
    if (answered && !passing) {
      return fail(hub_error(config_, end.head, task_.repo, task_.revision, file.path()));
    }
    const int64_t brought = file.num_bytes_brought(part);
    part.num_failures = brought >= kWorthyBytes ? 1 : part.num_failures + 1;
    const std::string why = answered              ? fmt::format("status {}", status)
                            : end.message.empty() ? "the connection was cut"
                                                  : end.message;
    if (part.num_failures > limits_.max_failures || part.num_tries > kMaxTries) {
      return fail(Error{status == 429 ? ErrorCode::kOverloaded : ErrorCode::kUnavailable,
                        fmt::format("{}: given up after {} tries in a row: {}",
                                    printable(file.path()), part.num_failures, why)});
    }
    const std::string_view after = answered ? end.head.header("retry-after") : "";
    if (const auto asked = seconds_of(after); asked && *asked > limits_.max_retry_after) {
      return fail(Error{
          ErrorCode::kOverloaded,
          fmt::format("the hub asks to come back in {} s (status {})", asked->count(), status)});
    }
    const auto wait = retry_wait(limits_, part.num_failures, after);
    part.not_before = Clock::now() + wait;
    if (answered && end.head.at_hub) hub_not_before_ = part.not_before;
    if (wait >= std::chrono::seconds(2)) {
      note(fmt::format("{}: {}; trying again in {:.0f} s", printable(file.path()), why,
                       std::chrono::duration<double>(wait).count()));
    }
  }

  void fail(const Error& error) {
    if (!failure_) failure_ = error;
  }

  void note(const std::string& text) const {
    if (observer_.note) observer_.note(text);
  }

  void report(bool at_end) {
    const auto now = Clock::now();
    if (!observer_.progress || (!at_end && now < next_report_)) return;
    next_report_ = now + kReportInterval;
    progress_.num_bytes = bytes_of_done_;
    for (const auto& file : active_) progress_.num_bytes += file->num_bytes_done();
    progress_.num_connections = session_.num_running();
    observer_.progress(progress_);
  }

  const HubConfig& config_;
  const HubCache& cache_;
  FetchSession& session_;
  const DownloadTask& task_;
  const DownloadLimits& limits_;
  const PullObserver& observer_;
  std::deque<std::shared_ptr<FileDownload>> waiting_;
  std::list<std::shared_ptr<FileDownload>> active_;
  std::vector<std::pair<std::string, std::string>> deferred_links_;  // path, etag
  int num_others_left_ = 0;  // files that are no weights and not linked
  int64_t bytes_of_done_ = 0;
  PullProgress progress_;
  bool noted_wait_ = false;
  Clock::time_point hub_not_before_{};  // the hub has asked for patience
  Clock::time_point next_report_{};
  std::optional<Error> failure_;
};

}  // namespace

std::chrono::milliseconds retry_wait(const DownloadLimits& limits, int num_failures,
                                     std::string_view retry_after) {
  const int doublings = std::clamp(num_failures - 1, 0, 20);
  auto wait = std::min(limits.first_wait * (int64_t{1} << doublings), limits.max_wait);
  if (const auto asked = seconds_of(retry_after)) {
    wait = std::max<std::chrono::milliseconds>(wait, std::min(*asked, limits.max_retry_after));
  }
  static thread_local std::minstd_rand random{std::random_device()()};
  return wait + wait * static_cast<int64_t>(random() % 256) / 1024;
}

bool is_passing_trouble(int status) {
  return status == 408 || status == 429 || status >= 500;
}

Error hub_error(const HubConfig& config, const FetchHead& head, const std::string& repo,
                const std::string& revision, const std::string& what) {
  const std::string page = fmt::format("{}/{}", config.endpoint, repo);
  const std::string_view code = head.header("x-error-code");
  if (code == "GatedRepo") {
    return {ErrorCode::kUnauthenticated,
            config.token.empty()
                ? fmt::format("{} is gated: accept its licence at {} and set HF_TOKEN", repo, page)
                : fmt::format("{} is gated and the account of HF_TOKEN has no access: accept its "
                              "licence at {}",
                              repo, page)};
  }
  if (head.status == 403 && code.empty()) {
    return {
        ErrorCode::kUnauthenticated,
        fmt::format("{} is forbidden here (status 403): if it is gated, accept its licence at {}; "
                    "otherwise ask whoever runs the network",
                    repo, page)};
  }
  if (code == "RevisionNotFound") {
    return {ErrorCode::kNotFound,
            fmt::format("{} has no revision '{}' (see {}/tree/main)", repo, revision, page)};
  }
  if (code == "EntryNotFound" || (head.status == 404 && !what.empty())) {
    return {ErrorCode::kNotFound,
            fmt::format("{} has no file '{}' at revision '{}'", repo, printable(what), revision)};
  }
  if (head.status == 401 && !config.token.empty() && code != "RepoNotFound") {
    return {ErrorCode::kUnauthenticated,
            fmt::format("{} refuses HF_TOKEN (status 401): is it still valid?", config.endpoint)};
  }
  if (head.status == 401 || head.status == 404) {
    return {ErrorCode::kNotFound,
            fmt::format("there is no model {} at {}{}", repo, config.endpoint,
                        config.token.empty() ? ", or it is private: then set HF_TOKEN"
                                             : ", or the account of HF_TOKEN may not see it")};
  }
  return {ErrorCode::kUnavailable, fmt::format("{} answers with status {}{}", page, head.status,
                                               what.empty() ? "" : " for " + printable(what))};
}

Result<void> download_files(const HubConfig& config, const HubCache& cache, FetchSession& session,
                            const DownloadTask& task, const DownloadLimits& limits,
                            const PullObserver& observer) {
  return Downloader(config, cache, session, task, limits, observer).run();
}

}  // namespace pagoda
