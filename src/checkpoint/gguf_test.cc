// GGUF files, whole and hostile.
#include "checkpoint/gguf.h"

#include <gtest/gtest.h>

#include "checkpoint/test_folder.h"
#include "checkpoint/test_gguf.h"

namespace pagoda {
namespace {

Result<GgufFile> open_bytes(const TestFolder& folder, const std::string& bytes) {
  folder.write("m.gguf", bytes);
  return GgufFile::open(folder.path("m.gguf"));
}

std::string open_error(const std::string& bytes) {
  const TestFolder folder;
  const auto file = open_bytes(folder, bytes);
  return file.ok() ? "opened" : file.error().message;
}

void expect_refused(const TestGguf& gguf, std::string_view what) {
  EXPECT_NE(open_error(gguf.bytes()).find(what), std::string::npos) << open_error(gguf.bytes());
}

std::string array_of(GgufType element, uint64_t count, std::string_view elements) {
  return le_bytes(static_cast<uint32_t>(element)) + le_bytes(count) + std::string(elements);
}

TEST(Gguf, ReadsEveryTypeOfMetadata) {
  TestGguf gguf;
  gguf.raw("u8", GgufType::kUint8, le_bytes(uint8_t{200}));
  gguf.raw("i8", GgufType::kInt8, le_bytes(int8_t{-3}));
  gguf.raw("u16", GgufType::kUint16, le_bytes(uint16_t{60000}));
  gguf.raw("i16", GgufType::kInt16, le_bytes(int16_t{-300}));
  gguf.u32("u32", 4000000000U);
  gguf.raw("i32", GgufType::kInt32, le_bytes(int32_t{-70000}));
  gguf.raw("u64", GgufType::kUint64, le_bytes(uint64_t{1} << 40));
  gguf.raw("i64", GgufType::kInt64, le_bytes(-(int64_t{1} << 40)));
  gguf.f32("f32", 0.5F);
  gguf.raw("f64", GgufType::kFloat64, le_bytes(0.1));
  gguf.flag("yes", true).text("name", "Llama");
  const std::string words = TestGguf::string("a") + TestGguf::string("") + TestGguf::string("bc");
  gguf.raw("words", GgufType::kArray, array_of(GgufType::kString, 3, words));
  gguf.raw("scores", GgufType::kArray,
           array_of(GgufType::kFloat32, 2, le_bytes(1.5F) + le_bytes(-2.0F)));
  gguf.raw("types", GgufType::kArray,
           array_of(GgufType::kInt32, 2, le_bytes(int32_t{-1}) + le_bytes(int32_t{6})));
  const std::string inner = array_of(GgufType::kString, 1, TestGguf::string("x"));
  gguf.raw("nested", GgufType::kArray, array_of(GgufType::kArray, 2, inner + inner));
  gguf.u32("last", 7);
  const TestFolder folder;
  const auto file = open_bytes(folder, gguf.bytes());
  ASSERT_TRUE(file.ok()) << file.error().message;
  for (const auto& [key, want] : {std::pair<const char*, int64_t>("u8", 200),
                                  {"i8", -3},
                                  {"u16", 60000},
                                  {"i16", -300},
                                  {"u32", 4000000000},
                                  {"i32", -70000},
                                  {"u64", int64_t{1} << 40},
                                  {"i64", -(int64_t{1} << 40)},
                                  {"last", 7}}) {
    EXPECT_EQ(file->integer(key, INT64_MIN, INT64_MAX).value(), want) << key;
  }
  EXPECT_EQ(file->real("f32", 0, 1).value(), 0.5);
  EXPECT_EQ(file->real("f64", 0, 1).value(), 0.1);
  EXPECT_EQ(file->boolean("yes").value(), true);
  EXPECT_EQ(file->text("name").value(), "Llama");
  EXPECT_EQ(file->strings("words", 3).value(), (std::vector<std::string>{"a", "", "bc"}));
  EXPECT_EQ(file->floats("scores", 9).value(), (std::vector<float>{1.5F, -2.0F}));
  EXPECT_EQ(file->integers("types", 9).value(), (std::vector<int64_t>{-1, 6}));
  EXPECT_EQ(file->text("absent").value(), std::nullopt);
  EXPECT_TRUE(file->strings("absent", 9).value().empty());
}

TEST(Gguf, ValuesOfOtherTypesOrRangesAreRefusedByKey) {
  const TestFolder folder;
  TestGguf gguf;
  gguf.u32("number", 7).f32("real", 2.0F).text("name", "Llama");
  gguf.raw("words", GgufType::kArray, array_of(GgufType::kString, 1, TestGguf::string("a")));
  const auto file = open_bytes(folder, gguf.bytes());
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->integer("number", 0, 6).error().message,
            folder.path("m.gguf") + ": metadata \"number\": 7 is not in [0, 6]");
  EXPECT_FALSE(file->integer("real", 0, 9).ok());
  EXPECT_FALSE(file->real("number", 0, 9).ok());
  EXPECT_FALSE(file->real("real", 0, 1).ok());
  EXPECT_FALSE(file->text("number").ok());
  EXPECT_FALSE(file->boolean("number").ok());
  EXPECT_FALSE(file->strings("name", 9).ok());
  EXPECT_FALSE(file->floats("words", 9).ok());
  EXPECT_FALSE(file->integers("words", 9).ok());
  EXPECT_EQ(file->strings("words", 0).error().code, ErrorCode::kTooLarge);
}

TEST(Gguf, TensorsHaveTheirOutermostDimensionFirst) {
  const TestFolder folder;
  TestGguf gguf;
  gguf.tensor("a", {32, 3, 2}, 8, std::string(6 * 34, 'a'));
  gguf.tensor("b", {256}, 16, std::string(66, 'b')).tensor("c", {2}, 0, "12345678");
  const auto file = open_bytes(folder, gguf.bytes());
  ASSERT_TRUE(file.ok()) << file.error().message;
  const GgufTensor* a = file->find_tensor("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (Shape{2, 3, 32}));
  EXPECT_EQ(a->dtype, DType::kQ8_0);
  EXPECT_EQ(a->num_bytes, 6 * 34);
  EXPECT_EQ(file->find_tensor("b")->type_name, "IQ2_XXS");
  EXPECT_EQ(file->find_tensor("b")->dtype, std::nullopt);
  std::string data(8, ' ');
  const auto span = std::as_writable_bytes(std::span<char>(data));
  ASSERT_TRUE(file->file().read_at(file->find_tensor("c")->offset, span).ok());
  EXPECT_EQ(data, "12345678");
}

TEST(Gguf, AlignmentIsThatOfTheFile) {
  const TestFolder folder;
  TestGguf gguf;
  gguf.u32("general.alignment", 64).tensor("a", {1}, 0, "abcd");
  gguf.tensor_at("b", {1}, 0, 64, std::string(32, 'x'));
  const auto file = open_bytes(folder, gguf.bytes() + std::string(64, 'x'));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->find_tensor("a")->offset % 64, 0);
  expect_refused(TestGguf().u32("general.alignment", 48), "must be a power of two");
  expect_refused(TestGguf().u32("general.alignment", 0), "0 is not in [1");
}

TEST(Gguf, FilesOfOtherKindsAreNamed) {
  EXPECT_NE(open_error("GG").find("cut short"), std::string::npos);
  EXPECT_NE(open_error("ggml....").find("no GGUF file"), std::string::npos);
  EXPECT_NE(open_error("version https://git-lfs").find("Git LFS pointer"), std::string::npos);
  TestGguf gguf;
  for (const auto& [version, what] : {std::pair<uint32_t, const char*>(1, "version 1"),
                                      {4, "version 4"},
                                      {0x03000000, "big-endian"}}) {
    gguf.version = version;
    expect_refused(gguf, what);
  }
  gguf.version = 2;
  EXPECT_EQ(open_error(gguf.bytes()), "opened");
}

TEST(Gguf, CountsAndLengthsThatTheFileHasNoRoomForAreRefused) {
  TestGguf gguf;
  gguf.extra_entries = 1;
  expect_refused(gguf, "the header is cut short");
  gguf.extra_entries = uint64_t{1} << 60;
  expect_refused(gguf, "metadata entries, over the limit");
  gguf.extra_entries = 0;
  gguf.extra_tensors = uint64_t{1} << 60;
  expect_refused(gguf, "tensors, over the limit");
  expect_refused(TestGguf().raw("a", GgufType::kString, le_bytes(~uint64_t{0})),
                 "metadata \"a\": a string of 18446744073709551615 bytes");
  for (const GgufType element : {GgufType::kUint8, GgufType::kString, GgufType::kArray}) {
    expect_refused(
        TestGguf().raw("a", GgufType::kArray, array_of(element, uint64_t{1} << 61, "xx")),
        "metadata \"a\": an array of 2305843009213693952 elements");
  }
  expect_refused(TestGguf().raw("a", GgufType::kArray,
                                array_of(GgufType::kString, 2, TestGguf::string("ok")) +
                                    le_bytes(uint64_t{1000})),
                 "metadata \"a\": a string of 1000 bytes");
  expect_refused(TestGguf().raw("a", static_cast<GgufType>(13), "x"), "type 13");
  expect_refused(TestGguf().raw("a", GgufType::kArray, array_of(static_cast<GgufType>(99), 0, "")),
                 "elements of type 99");
}

TEST(Gguf, ArraysNestedTooDeepAreRefused) {
  std::string value = array_of(GgufType::kUint8, 0, "");
  for (int depth = 0; depth < 5; ++depth) value = array_of(GgufType::kArray, 1, value);
  expect_refused(TestGguf().raw("a", GgufType::kArray, value), "nested deeper than the limit of 4");
}

TEST(Gguf, NamesThatComeTwiceAreRefused) {
  expect_refused(TestGguf().u32("a", 1).u32("a", 2), "metadata \"a\" comes twice");
  expect_refused(TestGguf().tensor("t", {1}, 0, "abcd").tensor("t", {1}, 0, "abcd"),
                 "tensor \"t\" comes twice");
}

TEST(Gguf, TensorsThatDoNotFitTheFileAreRefused) {
  const std::string data(64, 'd');
  expect_refused(TestGguf().tensor("t", {}, 0, data), "0 dimensions");
  expect_refused(TestGguf().tensor("t", {1, 1, 1, 1, 1}, 0, data), "5 dimensions");
  expect_refused(TestGguf().tensor("t", {0}, 0, data), "dimension 0 is 0");
  expect_refused(TestGguf().tensor("t", {uint64_t{1} << 32, uint64_t{1} << 32}, 0, data),
                 "dimension 1 is 4294967296");
  expect_refused(TestGguf().tensor("t", {~uint64_t{0}}, 0, data), "dimension 0 is 184467440737");
  expect_refused(TestGguf().tensor("t", {17}, 0, data), "68 bytes of F32 at byte 0 of a data");
  expect_refused(TestGguf().tensor("t", {31}, 2, data), "rows of 31 elements, Q4_0 comes in");
  expect_refused(TestGguf().tensor("t", {1}, 4, data), "type 4, which this build does not know");
  expect_refused(TestGguf().tensor_at("t", {1}, 0, 8, data), "no multiple of the alignment");
  expect_refused(TestGguf().tensor_at("t", {1}, 0, uint64_t{1} << 61, data), "data section");
  expect_refused(TestGguf().tensor_at("t", {1}, 0, ~uint64_t{0}, data), "beyond every file");
  expect_refused(TestGguf().tensor_at("t", {9}, 0, 0, data).tensor_at("u", {1}, 0, 32, data),
                 "tensors \"t\" and \"u\" overlap");
}

TEST(Gguf, HeadersCutAnywhereAreErrors) {
  TestGguf gguf;
  gguf.text("name", "Llama").u32("n", 1).tensor("t", {1}, 0, "abcd");
  const std::string bytes = gguf.bytes();
  EXPECT_EQ(open_error(bytes), "opened");
  for (size_t length = 0; length < bytes.size() - 32; ++length) {
    EXPECT_NE(open_error(bytes.substr(0, length)), "opened") << length;
  }
}

}  // namespace
}  // namespace pagoda
