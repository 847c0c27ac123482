// Tests of the names of models, revisions and files.
#include "hub/model_ref.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(ModelRef, ReadsNameRevisionAndQuantizationInAnyOrder) {
  const auto plain = parse_model_ref("meta-llama/Llama-3.2-1B");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->repo, "meta-llama/Llama-3.2-1B");
  EXPECT_EQ(plain->revision, "main");
  EXPECT_EQ(plain->quantization, "");
  for (const char* text : {"a/b@refs/pr/3:Q4_K_M", "a/b:Q4_K_M@refs/pr/3"}) {
    const auto full = parse_model_ref(text);
    ASSERT_TRUE(full.ok()) << text;
    EXPECT_EQ(full->repo, "a/b");
    EXPECT_EQ(full->revision, "refs/pr/3");
    EXPECT_EQ(full->quantization, "Q4_K_M");
  }
}

TEST(ModelRef, RefusesWhatNoHubWouldName) {
  for (const char* text :
       {"",           "/",       "a/",       "/b",         "a/b/c",   "../b",   "a/..",
        "a/b@",       "a/b:",    "a/b@x@y",  "a/b:x:y",    "a b/c",   "a--b/c", "a/-b",
        "a/b.",       "a/b.git", "a/b@../x", "a/b@/x",     "a/b@x y", "a/b@.x", "a/b@x/.y",
        "a/b@x.lock", "a/b:q/x", "a/b\n",    "~/models/x", "./models"}) {
    EXPECT_FALSE(parse_model_ref(text).ok()) << text;
  }
  EXPECT_FALSE(parse_model_ref("a/" + std::string(95, 'x')).ok());
  EXPECT_TRUE(parse_model_ref("a/" + std::string(94, 'x')).ok());
}

TEST(ModelRef, TellsNamesFromPaths) {
  EXPECT_TRUE(looks_like_model_ref("org/name"));
  EXPECT_TRUE(looks_like_model_ref("org/name@refs/pr/1"));
  for (const char* path :
       {"name", "/models/llama", "./name", "models/llama/8b", "../name", "a/b/"}) {
    EXPECT_FALSE(looks_like_model_ref(path)) << path;
  }
}

TEST(RelativePath, AcceptsPlainPathsOfAnyLanguage) {
  for (const char* path :
       {"config.json", "a/b/c.json", "파일 ü.json", "..a", "a..b/.hidden", "a\\b"}) {
    EXPECT_TRUE(check_relative_path("file name", path).ok()) << path;
  }
}

TEST(RelativePath, RefusesEverythingThatCouldLeaveItsFolder) {
  using std::string_literals::operator""s;
  for (const std::string& path :
       {""s, "/a"s, ".."s, "."s, "../a"s, "a/../b"s, "a/.."s, "a//b"s, "a/"s, "./a"s, "a\0b"s,
        "a\nb"s, "a\x7f"s, std::string(256, 'x'), std::string(1025, 'x')}) {
    const auto checked = check_relative_path("file name", path);
    ASSERT_FALSE(checked.ok()) << path;
    EXPECT_NE(checked.error().message.find("file name '"), std::string::npos);
  }
  std::string deep = "x";
  for (int i = 0; i < 31; ++i) deep = "d/" + deep;
  EXPECT_TRUE(check_relative_path("file name", deep).ok());
  EXPECT_FALSE(check_relative_path("file name", "d/" + deep).ok());
}

TEST(Checksums, AreLowerHexadecimalOfTheRightLength) {
  EXPECT_TRUE(is_commit_hash(std::string(40, 'a')));
  EXPECT_FALSE(is_commit_hash(std::string(40, 'A')));
  EXPECT_FALSE(is_commit_hash(std::string(39, 'a')));
  EXPECT_TRUE(is_sha256(std::string(64, '0')));
  EXPECT_FALSE(is_sha256(std::string(63, '0') + "g"));
}

}  // namespace
}  // namespace pagoda
