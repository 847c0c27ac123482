// What this process takes of the machine: time, memory, files.
#pragma once

#include <cstdint>

namespace pagoda {

struct ProcessStats {
  double cpu_s = 0;       // of all threads, in user and kernel mode
  double started_at = 0;  // Unix seconds
  int64_t resident_bytes = 0;
  int64_t virtual_bytes = 0;
  int64_t max_files = 0;  // that may be open at once
};

// As of now; what the system does not say is 0. Takes tens of microseconds.
ProcessStats process_stats();

// Open files, sockets included; takes longer the more there are.
int64_t count_open_files();

}  // namespace pagoda
