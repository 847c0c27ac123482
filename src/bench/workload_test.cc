// Tests of bench/workload.h.
#include "bench/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace pagoda {
namespace {

std::shared_ptr<const Tokenizer> demo_tokenizer() {
  std::ifstream in("models/demo/tokenizer.json", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  auto data = parse_tokenizer_json(text);
  CHECK(data.ok());
  auto tokenizer = Tokenizer::create(std::move(data).value());
  CHECK(tokenizer.ok());
  return std::move(tokenizer).value();
}

size_t num_tokens(const Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.encode(text, {.add_special_tokens = false, .parse_special_tokens = false})
      .value()
      .size();
}

class WorkloadFile : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return path_;
  }
  void TearDown() override { std::filesystem::remove(path_); }

  const std::string path_ = testing::TempDir() + "workload_" + std::to_string(getpid());
};

TEST(Workload, RandomPromptsHaveExactlyTheTokensAskedFor) {
  const auto tokenizer = demo_tokenizer();
  for (const int64_t tokens : {1, 7, 100, 1000}) {
    const auto made = make_workload({.kind = "random", .input_tokens = tokens, .output_tokens = 9},
                                    20, tokenizer.get());
    ASSERT_TRUE(made.ok());
    for (const Conversation& conversation : *made) {
      const Turn& turn = conversation.turns.at(0);
      EXPECT_EQ(num_tokens(*tokenizer, turn.prompt), static_cast<size_t>(tokens));
      EXPECT_EQ(turn.input_tokens, tokens);
      EXPECT_EQ(turn.output_tokens, 9);
    }
  }
}

TEST(Workload, TheSameSeedMakesTheSamePrompts) {
  const auto tokenizer = demo_tokenizer();
  const WorkloadOptions options{.kind = "random", .seed = 3, .input_stddev = 20.0};
  const auto a = make_workload(options, 5, tokenizer.get());
  const auto b = make_workload(options, 5, tokenizer.get());
  ASSERT_TRUE(a.ok() && b.ok());
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ((*a)[i].turns[0].prompt, (*b)[i].turns[0].prompt);
}

TEST(Workload, RequestsOfAGroupBeginAlike) {
  const auto tokenizer = demo_tokenizer();
  const auto made =
      make_workload({.kind = "prefix", .input_tokens = 10, .num_prefixes = 1, .prefix_tokens = 50},
                    4, tokenizer.get());
  ASSERT_TRUE(made.ok());
  const std::string& first = (*made)[0].turns[0].prompt;
  const std::string& second = (*made)[1].turns[0].prompt;
  const auto end = std::mismatch(first.begin(), first.end(), second.begin(), second.end()).first;
  EXPECT_GT(end - first.begin(), 100);
  EXPECT_NE(first, second);
}

TEST(Workload, LinesComeFromTheVersesWithoutAFile) {
  const auto made = make_workload({.kind = "lines", .input_tokens = 30}, 3, nullptr);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->size(), 3U);
  EXPECT_FALSE((*made)[0].turns[0].prompt.empty());
}

TEST(Workload, ConversationsHaveAsManyTurnsAsAsked) {
  const auto made = make_workload({.kind = "lines", .num_turns = 4}, 2, nullptr);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ((*made)[1].turns.size(), 4U);
}

TEST_F(WorkloadFile, ShareGptGivesPromptsAndLengthsOfAnswers) {
  const std::string file = write(R"([
    {"conversations": [{"from": "human", "value": "Hello there"}, {"from": "gpt", "value": "Hi!"}]},
    {"id": "no conversation"},
    {"conversations": [{"from": "human", "value": "Only a question"}]}])");
  const auto tokenizer = demo_tokenizer();
  const auto made = make_workload({.kind = "sharegpt", .file = file}, 10, tokenizer.get());
  ASSERT_TRUE(made.ok()) << made.error().message;
  ASSERT_EQ(made->size(), 1U);
  EXPECT_EQ((*made)[0].turns[0].prompt, "Hello there");
  EXPECT_EQ((*made)[0].turns[0].output_tokens, static_cast<int64_t>(num_tokens(*tokenizer, "Hi!")));
}

TEST_F(WorkloadFile, JsonLinesHoldPromptsMessagesAndTimes) {
  const std::string file = write(
      "{\"prompt\": \"One\", \"max_tokens\": 5, \"timestamp\": 2.5}\n\n"
      "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, "
      "{\"role\": \"user\", \"content\": \"Two\"}]}\n");
  const auto made = make_workload({.kind = "jsonl", .file = file, .output_tokens = 7}, 10, nullptr);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ((*made)[0].turns[0].output_tokens, 5);
  EXPECT_EQ((*made)[0].due_s, 2.5);
  EXPECT_EQ((*made)[1].turns[0].prompt, "Two");
  EXPECT_EQ((*made)[1].before.size(), 1U);
}

TEST_F(WorkloadFile, WhatCannotBeReadIsNamed) {
  const auto message = [&](const char* kind, const std::string& text) {
    const auto made = make_workload({.kind = kind, .file = write(text)}, 5, nullptr);
    return made.ok() ? std::string("ok") : made.error().message;
  };
  EXPECT_THAT(message("jsonl", "{\"prompt\": \"a\"}\n{]"), testing::HasSubstr("entry 2"));
  EXPECT_THAT(message("jsonl", "{\"prompt\": 3}"), testing::HasSubstr("neither"));
  EXPECT_THAT(message("jsonl", "[]"), testing::HasSubstr("no object"));
  EXPECT_THAT(message("sharegpt", "{}"), testing::HasSubstr("no array"));
  EXPECT_THAT(message("sharegpt", "[1, null, {\"conversations\": 4}]"),
              testing::HasSubstr("no conversation"));
  EXPECT_THAT(message("lines", ""), testing::HasSubstr("empty"));
  EXPECT_THAT(message("poems", "x"), testing::HasSubstr("none of"));
  EXPECT_THAT(make_workload({.kind = "random"}, 1, nullptr).error().message,
              testing::HasSubstr("--tokenizer"));
  EXPECT_THAT(make_workload({.kind = "jsonl"}, 1, nullptr).error().message,
              testing::HasSubstr("--workload-file"));
}

}  // namespace
}  // namespace pagoda
