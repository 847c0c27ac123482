// Split models, whole and contradicting themselves.
#include "checkpoint/gguf_parts.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/test_folder.h"
#include "checkpoint/test_gguf.h"

namespace pagoda {
namespace {

std::string part(uint16_t number, uint16_t count, std::string_view tensor, int32_t num_tensors) {
  TestGguf gguf;
  gguf.raw("split.no", GgufType::kUint16, le_bytes(number));
  gguf.raw("split.count", GgufType::kUint16, le_bytes(count));
  gguf.raw("split.tensors.count", GgufType::kInt32, le_bytes(num_tensors));
  return gguf.tensor(tensor, {1}, 0, "abcd").bytes();
}

std::string open_error(const TestFolder& folder, std::string_view name) {
  const auto files = open_gguf_parts(folder.path(name));
  return files.ok() ? "opened" : files.error().message;
}

TEST(GgufParts, NamesOfPartsAreRecognised) {
  const auto found = gguf_part("dir/model-q4-00002-of-00003.gguf");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->base, "dir/model-q4");
  EXPECT_EQ(found->number, 2);
  EXPECT_EQ(found->count, 3);
  for (const char* name :
       {"model.gguf", "m-00001-of-00003.bin", "m-0001-of-00003.gguf", "m-00004-of-00003.gguf",
        "m-00000-of-00003.gguf", "m-0000x-of-00003.gguf", "-00001-of-00003.gguf"}) {
    EXPECT_FALSE(gguf_part(name).has_value()) << name;
  }
}

TEST(GgufParts, TheFirstPartOpensAll) {
  const TestFolder folder;
  folder.write("m-00001-of-00002.gguf", part(0, 2, "a", 2));
  folder.write("m-00002-of-00002.gguf", part(1, 2, "b", 2));
  const auto files = open_gguf_parts(folder.path("m-00001-of-00002.gguf"));
  ASSERT_TRUE(files.ok()) << files.error().message;
  ASSERT_EQ(files->size(), 2U);
  EXPECT_NE((*files)[1].find_tensor("b"), nullptr);
  EXPECT_NE(open_error(folder, "m-00002-of-00002.gguf").find("give the first"), std::string::npos);
}

TEST(GgufParts, PartsThatContradictTheirNamesAreRefused) {
  const TestFolder folder;
  folder.write("m-00001-of-00002.gguf", part(0, 2, "a", 2));
  EXPECT_NE(open_error(folder, "m-00001-of-00002.gguf").find("m-00002-of-00002.gguf"),
            std::string::npos);
  folder.write("m-00002-of-00002.gguf", part(0, 2, "b", 2));
  EXPECT_NE(open_error(folder, "m-00001-of-00002.gguf").find("split.no is 0"), std::string::npos);
  folder.write("m-00002-of-00002.gguf", part(1, 3, "b", 2));
  EXPECT_NE(open_error(folder, "m-00001-of-00002.gguf").find("split.count 3"), std::string::npos);
  folder.write("m-00002-of-00002.gguf", TestGguf().bytes());
  EXPECT_NE(open_error(folder, "m-00001-of-00002.gguf").find("split.no is -1"), std::string::npos);
  folder.write("m-00002-of-00002.gguf", part(1, 2, "b", 2));
  folder.write("m-00001-of-00002.gguf", part(0, 2, "a", 3));
  EXPECT_NE(open_error(folder, "m-00001-of-00002.gguf").find("split.tensors.count is 3"),
            std::string::npos);
  folder.write("renamed.gguf", part(0, 2, "a", 2));
  EXPECT_NE(open_error(folder, "renamed.gguf").find("not of the form"), std::string::npos);
  folder.write("whole-00001-of-00002.gguf", TestGguf().bytes());
  EXPECT_EQ(open_error(folder, "whole-00001-of-00002.gguf"), "opened");
}

}  // namespace
}  // namespace pagoda
