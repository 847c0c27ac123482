// ReplicaWatch: what the dashboard's table of servers says of other servers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace pagoda {

// Where other servers are. Value type; addresses are http:// or https:// without a path behind.
struct ReplicaSources {
  std::vector<std::string> peers;  // Pagoda servers
  std::string peer_api_key;        // sent to peers; empty: none
  std::string ray_dashboard;       // of a Ray cluster, for its Serve replicas; empty: none
  bool empty() const { return peers.empty() && ray_dashboard.empty(); }
};

// The answering server's own row of the body of GET /dashboard/api/replicas: known members of the
// known types, shortened; what is missing is null. `body` is untrusted.
Result<Json> peer_row(std::string_view body);

// A row for each replica in the body of Ray's GET /api/serve/applications/. `body` is untrusted.
Result<std::vector<Json>> ray_rows(std::string_view body);

// Thread-safe. Owns its thread, which asks all sources at once every two seconds, but only while
// rows() is called; none is waited for longer than two seconds. The process has initialised
// libcurl.
class ReplicaWatch {
 public:
  explicit ReplicaWatch(ReplicaSources sources);
  ~ReplicaWatch();
  ReplicaWatch(const ReplicaWatch&) = delete;
  ReplicaWatch& operator=(const ReplicaWatch&) = delete;

  // What is known now: rows in the order of the sources, as docs/dashboard-api.md describes them.
  // Returns at once; the first call begins to ask.
  std::vector<Json> rows(TimePoint now);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
