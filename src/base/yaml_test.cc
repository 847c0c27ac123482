// Flat YAML: what is taken and what is refused.
#include "base/yaml.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(Yaml, ReadsScalarsAndListsInFileOrder) {
  const auto entries =
      parse_flat_yaml("port: 8000\nserved-model-name: [a, b]\n# note\nhost: ::1\n");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 3U);
  EXPECT_EQ((*entries)[0].key, "port");
  EXPECT_EQ((*entries)[0].values, (std::vector<std::string>{"8000"}));
  EXPECT_EQ((*entries)[1].values, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ((*entries)[2].values, (std::vector<std::string>{"::1"}));
}

TEST(Yaml, DuplicateKeysAreRefusedWithTheirLine) {
  const auto entries = parse_flat_yaml("port: 1\nhost: x\nport: 2\n");
  ASSERT_FALSE(entries.ok());
  EXPECT_EQ(entries.error().message, "line 3: duplicate key 'port'");
}

TEST(Yaml, NestingListsAndBrokenSyntaxAreErrorsNotCrashes) {
  for (const std::string& text :
       {std::string("a: {b: 1}"), std::string("- a"), std::string("a: [1, [2]]"),
        std::string("a: 'x"), std::string(20'000, '['), std::string("? [a]\n: b"),
        std::string("text"), std::string("a: 1\n---\nb: 2")}) {
    EXPECT_FALSE(parse_flat_yaml(text).ok()) << text.substr(0, 20);
  }
}

TEST(Yaml, AnEmptyFileHasNoEntries) {
  const auto entries = parse_flat_yaml("# nothing\n");
  ASSERT_TRUE(entries.ok());
  EXPECT_TRUE(entries->empty());
}

}  // namespace
}  // namespace pagoda
