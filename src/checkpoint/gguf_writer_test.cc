// What is written is what is read.
#include "checkpoint/gguf_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "checkpoint/read_only_file.h"
#include "checkpoint/test_folder.h"

namespace pagoda {
namespace {

TEST(GgufWriter, WritesWhatGgufFileReads) {
  const TestFolder folder;
  const std::string path = folder.path("m.gguf");
  GgufWriter writer;
  writer.add_u32("n", 7);
  writer.add_f32("x", 0.5F);
  writer.add_bool("yes", true);
  writer.add_string("name", "tiny");
  const std::vector<std::string> words = {"a", "", "bc"};
  writer.add_strings("words", words);
  const std::vector<int32_t> types = {1, -3};
  writer.add_i32s("types", types);
  writer.add_bools("flags", types);
  writer.add_tensor("q", {2, 32}, DType::kQ8_0);
  writer.add_tensor("v", {3}, DType::kF32);
  const std::vector<std::string> data = {std::string(68, 'q'), "aaaabbbbcccc"};
  const auto written = writer.write(path, [&](size_t i) -> Result<std::span<const std::byte>> {
    return std::as_bytes(std::span<const char>(data[i]));
  });
  ASSERT_TRUE(written.ok()) << written.error().message;

  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->integer("n", 0, 9).value(), 7);
  EXPECT_EQ(file->real("x", 0, 1).value(), 0.5);
  EXPECT_EQ(file->boolean("yes").value(), true);
  EXPECT_EQ(file->text("name").value(), "tiny");
  EXPECT_EQ(file->strings("words", 9).value(), words);
  EXPECT_EQ(file->integers("types", 9).value(), (std::vector<int64_t>{1, -3}));
  EXPECT_EQ(file->integers("flags", 9).value(), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(file->find_tensor("q")->shape, (Shape{2, 32}));
  for (size_t i = 0; i < data.size(); ++i) {
    const GgufTensor& tensor = file->tensors()[i];
    std::vector<std::byte> got(static_cast<size_t>(tensor.num_bytes));
    ASSERT_TRUE(file->file().read_at(tensor.offset, got).ok());
    EXPECT_EQ(std::memcmp(got.data(), data[i].data(), data[i].size()), 0);
  }

  // Entries can be taken over as they are.
  GgufWriter copy;
  std::vector<std::byte> entry;
  for (const GgufEntry& from : file->entries()) {
    entry.resize(static_cast<size_t>(from.num_bytes));
    ASSERT_TRUE(file->file().read_at(from.offset, entry).ok());
    copy.add_raw(entry);
  }
  ASSERT_TRUE(copy.write(folder.path("copy.gguf"), nullptr).ok());
  const auto copied = GgufFile::open(folder.path("copy.gguf"));
  ASSERT_TRUE(copied.ok()) << copied.error().message;
  EXPECT_EQ(copied->strings("words", 9).value(), words);
}

TEST(GgufWriter, AFailedWriteLeavesNothingAndKeepsTheOldFile) {
  const TestFolder folder;
  folder.write("m.gguf", "old");
  GgufWriter writer;
  writer.add_tensor("v", {3}, DType::kF32);
  const auto written =
      writer.write(folder.path("m.gguf"), [](size_t) -> Result<std::span<const std::byte>> {
        return Error{ErrorCode::kCancelled, "stopped"};
      });
  EXPECT_EQ(written.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(read_text_file(folder.path("m.gguf"), 100).value(), "old");
  EXPECT_FALSE(std::filesystem::exists(folder.path("m.gguf.part")));
  EXPECT_FALSE(writer.write(folder.path("none/m.gguf"), nullptr).ok());
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

// Whether the file system of the tests has files without names.
bool has_nameless_files(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (descriptor >= 0) ::close(descriptor);
  return descriptor >= 0;
}

TEST(GgufWriter, AFileHasNoNameBeforeAllIsWritten) {
  const TestFolder folder;
  const bool nameless = has_nameless_files(folder.path());
  // As a killed program may have left it on a file system that has no such files.
  folder.write("m.gguf.part", "stale");
  GgufWriter writer;
  writer.add_tensor("v", {3}, DType::kF32);
  const std::string data(12, 'v');
  const auto written =
      writer.write(folder.path("m.gguf"), [&](size_t) -> Result<std::span<const std::byte>> {
        if (nameless) {
          EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"m.gguf.part"});
          EXPECT_EQ(read_text_file(folder.path("m.gguf.part"), 100).value(), "stale");
        }
        return std::as_bytes(std::span<const char>(data));
      });
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"m.gguf"});
  EXPECT_TRUE(GgufFile::open(folder.path("m.gguf")).ok());
}

}  // namespace
}  // namespace pagoda
