// How much memory this process may use: the machine's and the cgroup's word.
#pragma once

#include <cstdint>
#include <string>

namespace pagoda {

struct SystemMemory {
  int64_t total_bytes = 0;      // of the machine, or the cgroup's limit when that is lower
  int64_t available_bytes = 0;  // usable now without swapping; never above the limit's remainder
  bool limited_by_cgroup = false;
};

// Reads /proc/meminfo and the cgroup files (v2 memory.max and memory.current, v1
// memory.limit_in_bytes and memory.usage_in_bytes) of this process and of its ancestors. `root` is
// put before every path, for tests.
SystemMemory read_system_memory(const std::string& root = "");

// Resident memory of this process in bytes; 0 when /proc does not say.
int64_t resident_bytes();

// "512 MB", "1.5 GB": decimal units, for people.
std::string format_bytes(int64_t num_bytes);

}  // namespace pagoda
