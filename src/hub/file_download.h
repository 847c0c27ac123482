// FileDownload: one file on its way into the cache, and what each answer of the hub means for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/fetch_session.h"
#include "hub/file_lock.h"
#include "hub/partial_file.h"
#include "hub/repo_listing.h"

namespace pagoda {

// The state of one file. One thread. It does no HTTP by itself: Downloader asks for what it lacks
// and shows it each answer.
class FileDownload {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  enum class State {
    kNeedsMetadata,  // etag or size are unknown
    kNeedsLock,
    kFetching,
    kVerifying,
    kDone,
  };

  // One range of the file and the request that brings it.
  struct Part {
    bool running = false;
    int num_failures = 0;         // one after another that brought nothing
    int num_tries = 0;            // ever
    int64_t done_before_try = 0;  // bytes
    TimePoint not_before{};       // of the next try
  };

  // What an answer means.
  enum class Verdict { kGoOn, kRestart, kFatal };

  FileDownload(HubFile file, std::string commit);

  const std::string& path() const { return path_; }
  const std::string& etag() const { return etag_; }
  int64_t num_bytes() const { return num_bytes_.value_or(0); }
  int64_t num_bytes_done() const;
  State state() const { return state_; }
  void set_state(State state) { state_ = state; }
  std::vector<Part>& parts() { return parts_; }
  int generation() const { return generation_; }

  // Takes etag and size from the answer to HEAD.
  Result<void> take_metadata(const FetchHead& head);

  // Opens the partial file under a lock that is held until the file is done.
  Result<void> begin(FileLock lock, const std::string& partial_path, int64_t part_bytes);
  bool part_complete(int part) const;
  bool complete() const;
  // Headers of the request for what a part lacks, and the part is running.
  std::vector<std::string> start_part(int part);
  // Looks at the head of an answer to it, redirects too. After kFatal, error() says why.
  Verdict judge(int part, const FetchHead& head);
  // What the last try of a part has brought.
  int64_t num_bytes_brought(const Part& part) const;
  // Writes a piece of the body.
  Result<void> append(int part, std::string_view data);

  // Begins anew; answers of earlier generations are then to be ignored. False when it has done so
  // too often. The etag may be another one now: then state() is kNeedsLock.
  Result<bool> restart(int max_restarts);

  // The checksum is computed on another thread.
  void start_verifying();
  bool verified() const;  // whether finish() will not wait
  // True when the checksum is right and the file has its name; false when the content is corrupt.
  Result<bool> finish(const std::string& blob_path);
  // The checksum found by finish().
  const std::string& found_checksum() const { return found_checksum_; }

  const Error& error() const { return error_; }

 private:
  Verdict fatal(std::string message);
  Verdict judge_hub(const FetchHead& head);
  Verdict judge_whole(int part, const FetchHead& head);
  Verdict judge_range(int part, const FetchHead& head);
  bool asks_for_range(int part) const;

  const std::string path_;
  const std::string commit_;
  std::string etag_;
  std::optional<int64_t> num_bytes_;
  State state_ = State::kNeedsLock;
  std::optional<FileLock> lock_;
  std::optional<PartialFile> partial_;
  std::vector<Part> parts_;
  int64_t part_bytes_ = 0;
  bool one_stream_ = false;  // the server does not do ranges
  std::string served_etag_;  // of the server that sends the bytes
  std::string new_etag_;     // seen by judge(), taken by restart()
  int generation_ = 0;
  int num_restarts_ = 0;
  std::future<Result<std::string>> checksum_;
  std::string found_checksum_;
  Error error_;
};

// An ETag header without W/ and quotes.
std::string plain_etag(std::string_view text);

}  // namespace pagoda
