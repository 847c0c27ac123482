// Downloader: brings files of one repository into the cache, many connections at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/fetch_session.h"
#include "hub/hub_cache.h"
#include "hub/hub_config.h"
#include "hub/progress.h"
#include "hub/repo_listing.h"

namespace pagoda {

struct DownloadLimits {
  int max_connections = 8;
  // Tries of one range, or of the list, that bring nothing; the waits between them double.
  int max_failures = 9;
  // A file begins anew when it changes on the hub or its checksum is wrong.
  int max_restarts = 2;
  std::chrono::milliseconds first_wait{250};
  std::chrono::milliseconds max_wait{15'000};
  // Longest that a Retry-After of the hub is obeyed; a longer one ends the pull.
  std::chrono::seconds max_retry_after{300};
  int64_t part_bytes = 0;  // 0: PartialFile::usual_part_bytes()
};

// What the caller hears. Called on the downloading thread; may be null.
struct PullObserver {
  std::function<void(const std::string&)> note = {};       // one line for people
  std::function<void(const PullProgress&)> progress = {};  // several times a second
};

// How long to wait before try number `num_failures` (from 1) of what failed. `retry_after` is the
// header's value; seconds or nothing. Doubles, and is spread by a quarter so that many clients do
// not come back together.
std::chrono::milliseconds retry_wait(const DownloadLimits& limits, int num_failures,
                                     std::string_view retry_after);

// The words for an answer that cannot be helped by trying again: no access, not there. `what` is
// the file, or empty for the repository itself.
Error hub_error(const HubConfig& config, const FetchHead& head, const std::string& repo,
                const std::string& revision, const std::string& what);

// Whether the same request may succeed later: 408, 429, 5xx.
bool is_passing_trouble(int status);

struct DownloadTask {
  std::string repo;
  std::string revision;  // for messages
  std::string commit;
  std::vector<HubFile> files;  // those to have; the snapshot lists them in this order
};

// Downloads what is missing of `task` and links it into the snapshot. Files of weights are linked
// after all others, so that a snapshot with weights is a whole one. Contents are verified by their
// checksums before they get their names. A file that another process downloads is waited for. After
// an error, or a kill, the parts that are there are kept for the next time. Blocks.
//
// kNotFound, kUnauthenticated: the hub's words. kOverloaded: no room on the disk, or the hub is
// too busy. kUnavailable: it cannot be reached. kInvalidArgument: it sends what cannot be right.
Result<void> download_files(const HubConfig& config, const HubCache& cache, FetchSession& session,
                            const DownloadTask& task, const DownloadLimits& limits,
                            const PullObserver& observer);

}  // namespace pagoda
