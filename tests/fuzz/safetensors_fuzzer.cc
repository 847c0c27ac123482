// Fuzzes weight files: what the header of a file is trusted with can be read from that file.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "checkpoint/read_only_file.h"
#include "checkpoint/safetensors.h"

namespace {

// A file of these bytes in memory. Closed when destroyed.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
    CHECK(descriptor_ >= 0);
    CHECK(write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

void read_every_tensor(std::string_view bytes) {
  const MemoryFile memory(bytes);
  const auto file = pagoda::ReadOnlyFile::open(memory.path());
  CHECK(file.ok());
  const auto parsed = pagoda::read_safetensors(*file);
  if (!parsed.ok()) return;
  for (const auto& entry : parsed->entries) {
    std::vector<std::byte> data(static_cast<size_t>(entry.num_bytes));
    CHECK(file->read_at(parsed->data_start + entry.offset, data).ok());
  }
}

// The header alone, over a data section of a length taken from the input.
void parse_header(std::string_view text) {
  if (text.empty()) return;
  const int64_t data_bytes = static_cast<unsigned char>(text.front());
  const auto entries = pagoda::parse_safetensors_header(text.substr(1), data_bytes);
  if (!entries.ok()) return;
  for (const auto& entry : *entries) {
    CHECK(entry.offset >= 0 && entry.num_bytes >= 0);
    CHECK(entry.offset + entry.num_bytes <= data_bytes);
  }
}

void parse_index(std::string_view text) {
  const auto index = pagoda::parse_safetensors_index(text);
  if (!index.ok()) return;
  for (const auto& entry : *index) {
    CHECK(!entry.file.empty() && entry.file.find('/') == std::string::npos && entry.file != "..");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), num_bytes);
  read_every_tensor(bytes);
  parse_header(bytes);
  parse_index(bytes);
  return 0;
}
