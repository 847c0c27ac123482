// Reads memory limits from /proc and the cgroup file systems.
#include "base/system_memory.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>

namespace pagoda {
namespace {

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<int64_t> leading_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// "MemTotal:       24000 kB" -> bytes.
std::optional<int64_t> meminfo_bytes(std::string_view meminfo, std::string_view key) {
  const size_t at = meminfo.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = meminfo.substr(at + key.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  const auto kilobytes = leading_number(rest);
  if (!kilobytes) return std::nullopt;
  return *kilobytes * 1024;
}

std::optional<int64_t> number_in(const std::string& path) {
  const auto text = read_file(path);
  return text ? leading_number(*text) : std::nullopt;  // "max" is not a number: no limit
}

// Page cache counts as used in a cgroup but gives way under pressure.
int64_t reclaimable_bytes(const std::string& folder) {
  const auto stat = read_file(folder + "/memory.stat");
  if (!stat) return 0;
  for (const std::string_view key : {"\ninactive_file ", "\ntotal_inactive_file "}) {
    const size_t at = stat->find(key);
    if (at != std::string::npos) {
      return leading_number(std::string_view(*stat).substr(at + key.size())).value_or(0);
    }
  }
  return 0;
}

struct CgroupFiles {
  const char* limit;
  const char* usage;
};

void apply_limit(const std::string& folder, const CgroupFiles& files, SystemMemory& memory) {
  const auto limit = number_in(folder + "/" + files.limit);
  if (!limit || *limit <= 0 || *limit >= memory.total_bytes) return;
  const int64_t usage = number_in(folder + "/" + files.usage).value_or(0);
  const int64_t used = std::max<int64_t>(usage - reclaimable_bytes(folder), 0);
  memory.total_bytes = *limit;
  memory.available_bytes = std::min(memory.available_bytes, std::max<int64_t>(*limit - used, 0));
  memory.limited_by_cgroup = true;
}

// A limit may sit on any ancestor of the process's own group.
void apply_limits_upwards(const std::string& mount, std::string group, const CgroupFiles& files,
                          SystemMemory& memory) {
  while (true) {
    apply_limit(mount + group, files, memory);
    if (group.empty() || group == "/") return;
    group.erase(group.rfind('/'));
  }
}

}  // namespace

SystemMemory read_system_memory(const std::string& root) {
  SystemMemory memory;
  const std::string meminfo = read_file(root + "/proc/meminfo").value_or("");
  memory.total_bytes = meminfo_bytes(meminfo, "MemTotal:").value_or(0);
  memory.available_bytes = meminfo_bytes(meminfo, "MemAvailable:").value_or(memory.total_bytes);

  std::istringstream groups(read_file(root + "/proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(groups, line);) {
    // "0::/path" is v2; "5:memory:/path" is v1's memory controller.
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      apply_limits_upwards(root + "/sys/fs/cgroup", group, {"memory.max", "memory.current"},
                           memory);
    } else if (controllers.find("memory") != std::string::npos) {
      apply_limits_upwards(root + "/sys/fs/cgroup/memory", group,
                           {"memory.limit_in_bytes", "memory.usage_in_bytes"}, memory);
    }
  }
  return memory;
}

int64_t resident_bytes() {
  const auto status = read_file("/proc/self/status");
  return status ? meminfo_bytes(*status, "VmRSS:").value_or(0) : 0;
}

std::string format_bytes(int64_t num_bytes) {
  const auto bytes = static_cast<double>(num_bytes);
  if (num_bytes >= 1'000'000'000) return fmt::format("{:.2f} GB", bytes / 1e9);
  if (num_bytes >= 1'000'000) return fmt::format("{:.1f} MB", bytes / 1e6);
  if (num_bytes >= 1'000) return fmt::format("{:.1f} kB", bytes / 1e3);
  return fmt::format("{} bytes", num_bytes);
}

}  // namespace pagoda
