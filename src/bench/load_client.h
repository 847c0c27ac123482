// LoadClient: many streamed HTTP requests on one event loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/request_record.h"

namespace pagoda {

struct LoadRequest {
  std::string url;
  std::string body;                  // JSON
  std::vector<std::string> headers;  // "Name: value"
  std::chrono::milliseconds timeout{600'000};
};

// Sends requests and reads their event streams, on the thread that calls it and no other. Uses
// libcurl's multi interface over epoll: the cost of an event does not grow with the number of
// streams. Records that were given to start() must live until wait() has returned them.
class LoadClient {
 public:
  struct Options {
    TimePoint start;                 // what the times of records count from
    bool fresh_connections = false;  // a connection for each request, as LLMPerf has it
    std::string ca_file;             // further certificate authorities; empty: the system's
    bool insecure = false;           // any certificate
  };

  // kInternal when the system gives no file descriptors.
  static Result<std::unique_ptr<LoadClient>> create(const Options& options);
  ~LoadClient();
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  // Sends now. The record's sent_ns, and whatever comes, are noted in it.
  void start(const LoadRequest& request, RequestRecord& record);
  // Reads what arrives until a request has ended, `until` has come, or a signal was handled;
  // returns the records of what ended.
  std::vector<RequestRecord*> wait(TimePoint until);
  // Ends all that run, as kCancelled, and returns their records.
  std::vector<RequestRecord*> cancel_all();

  size_t num_running() const;
  int64_t now_ns() const;  // since Options::start

 private:
  struct Impl;
  explicit LoadClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
