// Reads /proc/self.
#include "base/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace pagoda {
namespace {

// The fields of /proc/self/stat behind the program's name, which may hold anything.
std::istringstream stat_fields() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t end_of_name = text.rfind(')');
  return std::istringstream(end_of_name == std::string::npos ? "" : text.substr(end_of_name + 1));
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// The start of the process in clock ticks since the start of the machine, as Unix time.
double started_at(double start_ticks) {
  std::ifstream file("/proc/uptime");
  double uptime_s = 0;
  if (!(file >> uptime_s)) return 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count() - uptime_s +
         start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessStats process_stats() {
  ProcessStats stats;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    stats.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) stats.max_files = static_cast<int64_t>(files.rlim_cur);
  // Field 3 of proc(5), the state, comes first here; 22 is the start, 23 and 24 the memory.
  constexpr size_t kStart = 22 - 3;
  std::istringstream fields = stat_fields();
  std::array<std::string, 24 - 3 + 1> text;
  for (std::string& field : text) fields >> field;
  if (!fields) return stats;
  std::istringstream numbers(text[kStart] + " " + text[kStart + 1] + " " + text[kStart + 2]);
  double start_ticks = 0;
  int64_t resident_pages = 0;
  if (numbers >> start_ticks >> stats.virtual_bytes >> resident_pages) {
    stats.resident_bytes = resident_pages * sysconf(_SC_PAGESIZE);
    static const double kStartedAt = started_at(start_ticks);
    stats.started_at = kStartedAt;
  }
  return stats;
}

int64_t count_open_files() {
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  // One of them is the folder itself, being read.
  return error ? 0 : std::distance(begin(files), end(files)) - 1;
}

}  // namespace pagoda
