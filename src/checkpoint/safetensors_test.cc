// Headers and indices that lie, one lie at a time.
#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include "checkpoint/test_folder.h"

namespace pagoda {
namespace {

struct BadText {
  const char* what;
  const char* json;
  const char* message;  // part of what must be said
};

TEST(Safetensors, ReadsEntriesInOrderOfTheirData) {
  const auto entries = parse_safetensors_header(
      R"({"__metadata__":{"format":"pt"},
          "b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},
          "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
          "none":{"dtype":"F16","shape":[0,7],"data_offsets":[4,4]},
          "ids":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}}   )",
      24);
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  ASSERT_EQ(entries->size(), 4U);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[0].shape.rank(), 0);
  EXPECT_EQ((*entries)[1].num_bytes, 0);
  EXPECT_EQ((*entries)[2].name, "b");
  EXPECT_EQ((*entries)[2].shape, (Shape{2, 3}));
  EXPECT_EQ((*entries)[2].dtype, DType::kBF16);
  EXPECT_EQ((*entries)[2].offset, 4);
  EXPECT_FALSE((*entries)[3].dtype.has_value());
}

TEST(Safetensors, RefusesHeadersThatContradictThemselves) {
  // All against 16 bytes of data.
  const BadText cases[] = {
      {"no JSON", "{", "invalid JSON"},
      {"an array", "[]", "not a JSON object"},
      {"nothing", "{}", "cover 0 bytes"},
      {"too deep", R"({"a":{"dtype":"F32","shape":[[[[4]]]],"data_offsets":[0,16]}})", "nesting"},
      {"twice", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                    "a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
       "duplicate"},
      {"no object", R"({"a":[]})", "not an object"},
      {"no name", R"({"":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "name is empty"},
      {"no dtype", R"({"a":{"shape":[4],"data_offsets":[0,16]}})", "no \"dtype\""},
      {"no shape", R"({"a":{"dtype":"F32","data_offsets":[0,16]}})", "no \"shape\""},
      {"no offsets", R"({"a":{"dtype":"F32","shape":[4]}})", "no \"data_offsets\""},
      {"dtype", R"({"a":{"dtype":"F31","shape":[4],"data_offsets":[0,16]}})", "unknown dtype"},
      {"dtype type", R"({"a":{"dtype":32,"shape":[4],"data_offsets":[0,16]}})", "not a string"},
      {"shape type", R"({"a":{"dtype":"F32","shape":4,"data_offsets":[0,16]}})", "not an array"},
      {"rank", R"({"a":{"dtype":"F32","shape":[1,1,1,1,4],"data_offsets":[0,16]}})",
       "5 dimensions"},
      {"negative", R"({"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})", "no count"},
      {"fraction", R"({"a":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}})", "no count"},
      {"huge", R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,16]}})",
       "no count"},
      {"product", R"({"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,16]}})", "product"},
      {"wrapping", R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}})",
       "no count"},
      {"one offset", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[16]}})", "not a pair"},
      {"offset type", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":["0",16]}})",
       "not a range"},
      {"backwards", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}})", "not a range"},
      {"beyond", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[1,17]}})", "not a range"},
      {"beyond int64", R"({"a":{"dtype":"F32","shape":[4],
                           "data_offsets":[18446744073709551600,18446744073709551615]}})",
       "not a range"},
      {"too short", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,12]}})", "takes 16"},
      {"hole before", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", "hole"},
      {"hole after", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "cover 8 bytes"},
      {"overlap", R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},
                      "b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
       "inside"},
  };
  for (const BadText& bad : cases) {
    const auto entries = parse_safetensors_header(bad.json, 16);
    ASSERT_FALSE(entries.ok()) << bad.what;
    EXPECT_EQ(entries.error().code, ErrorCode::kInvalidArgument) << bad.what;
    EXPECT_NE(entries.error().message.find(bad.message), std::string::npos)
        << bad.what << ": " << entries.error().message;
  }
}

TEST(Safetensors, MessagesStayShortAndPrintable) {
  const std::string json = "{\"" + std::string(100000, 'n') + "\\u0007\":{\"dtype\":\"F32\"}}";
  const auto entries = parse_safetensors_header(json, 16);
  ASSERT_FALSE(entries.ok());
  EXPECT_LT(entries.error().message.size(), 300U);
}

TEST(Safetensors, RefusesFilesWhoseLengthsLie) {
  const TestFolder folder;
  const std::string header = R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})";
  const std::string good = safetensors_bytes(header, std::string(16, '\0'));
  const auto message_for = [&](const std::string& bytes) {
    folder.write("f", bytes);
    const auto file = ReadOnlyFile::open(folder.path("f"));
    const auto contents = read_safetensors(*file);
    return contents.ok() ? std::string("ok") : contents.error().message;
  };
  EXPECT_EQ(message_for(good), "ok");
  EXPECT_NE(message_for("").find("0 bytes"), std::string::npos);
  EXPECT_NE(message_for(good.substr(0, 7)).find("7 bytes"), std::string::npos);
  EXPECT_NE(message_for(good.substr(0, 20)).find("over the limit"), std::string::npos);
  EXPECT_NE(message_for(good.substr(0, good.size() - 1)).find("larger than the file"),
            std::string::npos);
  EXPECT_NE(message_for(good + "x").find("cover 16 bytes"), std::string::npos);
  EXPECT_NE(message_for(std::string(8, '\xFF') + good).find("over the limit"), std::string::npos);
  EXPECT_NE(message_for("version https://git-lfs.github.com/spec/v1\n").find("Git LFS"),
            std::string::npos);
}

TEST(Safetensors, EveryTruncationOfAFileIsRefused) {
  const TestFolder folder;
  const std::string good = safetensors_bytes(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", std::string(8, '\1'));
  for (size_t length = 0; length < good.size(); ++length) {
    folder.write("f", std::string_view(good).substr(0, length));
    const auto file = ReadOnlyFile::open(folder.path("f"));
    EXPECT_FALSE(read_safetensors(*file).ok()) << length;
  }
}

TEST(SafetensorsIndex, ReadsTheWeightMap) {
  const auto index = parse_safetensors_index(
      R"({"metadata":{"total_size":8},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  ASSERT_TRUE(index.ok());
  ASSERT_EQ(index->size(), 2U);
  EXPECT_EQ((*index)[1].tensor, "b");
  EXPECT_EQ((*index)[1].file, "m-2.safetensors");
}

TEST(SafetensorsIndex, RefusesNamesThatLeaveTheFolder) {
  for (const char* file :
       {"../other.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..\\\\x.safetensors",
        ".hidden.safetensors", "..", "", "x\\u0000.safetensors", "weights.bin"}) {
    const std::string json = R"({"weight_map":{"a":")" + std::string(file) + R"("}})";
    const auto index = parse_safetensors_index(json);
    ASSERT_FALSE(index.ok()) << file;
    EXPECT_NE(index.error().message.find("no plain"), std::string::npos) << index.error().message;
  }
}

TEST(SafetensorsIndex, RefusesMalformedIndices) {
  for (const char* json :
       {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{}})", R"({"weight_map":{"a":1}})",
        R"({"weight_map":{"a":"m.safetensors","a":"m.safetensors"}})"}) {
    EXPECT_FALSE(parse_safetensors_index(json).ok()) << json;
  }
}

}  // namespace
}  // namespace pagoda
