// Fuzzes GGUF files: what the header of a file is trusted with can be read from that file.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/gguf_fix.h"

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

void read_arrays(const pagoda::GgufFile& file) {
  constexpr int64_t kMaxCount = 1 << 20;
  for (const pagoda::GgufEntry& entry : file.entries()) {
    CHECK(entry.offset >= 0 && entry.offset + entry.num_bytes <= file.file().num_bytes());
    if (entry.type != pagoda::GgufType::kArray) continue;
    (void)file.integers(entry.key, kMaxCount);
    (void)file.floats(entry.key, kMaxCount);
    (void)file.strings(entry.key, kMaxCount);
  }
}

void read_tensors(const pagoda::GgufFile& file) {
  for (const pagoda::GgufTensor& tensor : file.tensors()) {
    std::vector<std::byte> data(static_cast<size_t>(tensor.num_bytes));
    CHECK(file.file().read_at(tensor.offset, data).ok());
    if (!tensor.dtype) continue;
    for (const auto fix : {pagoda::GgufFix::kInterleavedQueryRows, pagoda::GgufFix::kUnitAdded}) {
      if (pagoda::check_gguf_fix(fix, 2, tensor.shape, *tensor.dtype).ok()) {
        pagoda::undo_gguf_fix(fix, 2, tensor.shape, data);
      }
    }
    const auto decode = pagoda::format_traits(*tensor.dtype).decode;
    if (decode == nullptr) continue;
    std::vector<float> values(static_cast<size_t>(tensor.shape.num_elements()));
    decode(data.data(), values.data(), tensor.shape.num_elements());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const MemoryFile memory({reinterpret_cast<const char*>(data), num_bytes});
  auto file = pagoda::GgufFile::open(memory.path());
  if (!file.ok()) return 0;
  read_arrays(*file);
  read_tensors(*file);
  const pagoda::GgufFile files[] = {std::move(file).value()};
  (void)pagoda::read_gguf_config(files);
  return 0;
}
