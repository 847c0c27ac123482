// Laying out and writing GGUF files.
#include "checkpoint/gguf_writer.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/check.h"

namespace pagoda {
namespace {

constexpr int64_t kAlignment = 32;  // the format's default

template <typename T>
void append(std::string& to, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  to.append(bytes, sizeof(T));
}

void append_string(std::string& to, std::string_view text) {
  append(to, uint64_t{text.size()});
  to.append(text);
}

int64_t aligned(int64_t num_bytes) {
  return (num_bytes + kAlignment - 1) / kAlignment * kAlignment;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// A file that becomes the wanted one when all is written. Until then it has no name, so that
// nothing is left of it however the program ends. Where files without a name are not provided
// (O_TMPFILE; some network file systems) it is "PATH.part", which is removed when dropped before.
class NewFile {
 public:
  explicit NewFile(const std::string& path) : path_(path), part_(path + ".part") {}
  ~NewFile() {
    file_.reset();
    if (has_part_) ::unlink(part_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  Result<void> open() {
    const auto folder = std::filesystem::path(path_).parent_path();
    int descriptor = -1;
    // Without /proc there is no way to name it later.
    if (::access("/proc/self/fd", X_OK) == 0) {
      descriptor =
          ::open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    }
    if (descriptor < 0) {
      descriptor = ::open(part_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
      has_part_ = descriptor >= 0;
    }
    if (descriptor < 0) return failed("cannot be created");
    file_.reset(::fdopen(descriptor, "wb"));
    if (file_) return {};
    ::close(descriptor);
    return failed("cannot be created");
  }
  Result<void> write(const void* data, size_t num_bytes) {
    if (num_bytes == 0 || std::fwrite(data, 1, num_bytes, file_.get()) == num_bytes) return {};
    return failed("cannot be written");
  }
  Result<void> finish() {
    if (std::fflush(file_.get()) != 0) return failed("cannot be written");
    if (!has_part_) {
      const std::string self = fmt::format("/proc/self/fd/{}", ::fileno(file_.get()));
      // What a killed program has left.
      ::unlink(part_.c_str());
      if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, part_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
        return failed("cannot be created");
      }
      has_part_ = true;
    }
    if (std::fclose(file_.release()) != 0) return failed("cannot be written");
    if (std::rename(part_.c_str(), path_.c_str()) != 0) return failed("cannot be renamed");
    has_part_ = false;
    return {};
  }

 private:
  Error failed(const char* what) const {
    return {ErrorCode::kInternal,
            fmt::format("{}: {}: {}", part_, what,
                        std::error_code(errno, std::generic_category()).message())};
  }

  std::string path_, part_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  bool has_part_ = false;  // the file has a name, that of the part
};

}  // namespace

void GgufWriter::begin_entry(std::string_view key, GgufType type) {
  append_string(entries_, key);
  append(entries_, static_cast<uint32_t>(type));
  ++num_entries_;
}

void GgufWriter::add_u32(std::string_view key, uint32_t value) {
  begin_entry(key, GgufType::kUint32);
  append(entries_, value);
}

void GgufWriter::add_f32(std::string_view key, float value) {
  begin_entry(key, GgufType::kFloat32);
  append(entries_, value);
}

void GgufWriter::add_bool(std::string_view key, bool value) {
  begin_entry(key, GgufType::kBool);
  append(entries_, static_cast<uint8_t>(value ? 1 : 0));
}

void GgufWriter::add_string(std::string_view key, std::string_view value) {
  begin_entry(key, GgufType::kString);
  append_string(entries_, value);
}

void GgufWriter::add_strings(std::string_view key, std::span<const std::string> values) {
  begin_entry(key, GgufType::kArray);
  append(entries_, static_cast<uint32_t>(GgufType::kString));
  append(entries_, uint64_t{values.size()});
  for (const std::string& value : values) append_string(entries_, value);
}

void GgufWriter::add_i32s(std::string_view key, std::span<const int32_t> values) {
  begin_entry(key, GgufType::kArray);
  append(entries_, static_cast<uint32_t>(GgufType::kInt32));
  append(entries_, uint64_t{values.size()});
  for (const int32_t value : values) append(entries_, value);
}

void GgufWriter::add_bools(std::string_view key, std::span<const int32_t> values) {
  begin_entry(key, GgufType::kArray);
  append(entries_, static_cast<uint32_t>(GgufType::kBool));
  append(entries_, uint64_t{values.size()});
  for (const int32_t value : values) append(entries_, static_cast<uint8_t>(value != 0 ? 1 : 0));
}

void GgufWriter::add_raw(std::span<const std::byte> entry) {
  entries_.append(reinterpret_cast<const char*>(entry.data()), entry.size());
  ++num_entries_;
}

void GgufWriter::add_tensor(std::string_view name, const Shape& shape, DType dtype) {
  CHECK(format_traits(dtype).gguf_type >= 0 && shape.rank() >= 1);
  CHECK(shape[shape.rank() - 1] % format_traits(dtype).block_elements == 0);
  tensors_.push_back({std::string(name), shape, dtype});
}

std::string GgufWriter::header() const {
  std::string bytes = "GGUF";
  append(bytes, uint32_t{3});
  append(bytes, uint64_t{tensors_.size()});
  append(bytes, num_entries_);
  bytes += entries_;
  int64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    append_string(bytes, tensor.name);
    append(bytes, static_cast<uint32_t>(tensor.shape.rank()));
    for (int32_t axis = tensor.shape.rank() - 1; axis >= 0; --axis) {
      append(bytes, static_cast<uint64_t>(tensor.shape[axis]));
    }
    append(bytes, static_cast<uint32_t>(format_traits(tensor.dtype).gguf_type));
    append(bytes, static_cast<uint64_t>(offset));
    offset += aligned(dtype_bytes(tensor.dtype, tensor.shape.num_elements()));
  }
  bytes.resize(static_cast<size_t>(aligned(static_cast<int64_t>(bytes.size()))));
  return bytes;
}

Result<void> GgufWriter::write(
    const std::string& path,
    const std::function<Result<std::span<const std::byte>>(size_t index)>& data) {
  constexpr char kPadding[kAlignment] = {};
  NewFile file(path);
  RETURN_IF_ERROR(file.open());
  const std::string start = header();
  RETURN_IF_ERROR(file.write(start.data(), start.size()));
  for (size_t i = 0; i < tensors_.size(); ++i) {
    ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, data(i));
    const auto size = static_cast<int64_t>(bytes.size());
    CHECK(size == dtype_bytes(tensors_[i].dtype, tensors_[i].shape.num_elements()));
    RETURN_IF_ERROR(file.write(bytes.data(), bytes.size()));
    RETURN_IF_ERROR(file.write(kPadding, static_cast<size_t>(aligned(size) - size)));
  }
  return file.finish();
}

}  // namespace pagoda
