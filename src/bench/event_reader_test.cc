// Tests of bench/event_reader.h.
#include "bench/event_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda {
namespace {

const std::string kAnswer =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
    "\"finish_reason\":null}]}\n\n"
    ": a comment\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\r\n\r\n"
    "data:{\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,"
    "\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n"
    "data: [DONE]\n\n";

TEST(EventReader, NotesTextTimesAndUsageHoweverTheBytesAreCut) {
  for (size_t step = 1; step < kAnswer.size(); step += 7) {
    RequestRecord record;
    EventReader reader(record);
    for (size_t at = 0; at < kAnswer.size(); at += step) {
      ASSERT_TRUE(reader.take(kAnswer.substr(at, step), static_cast<int64_t>(at)));
    }
    reader.finish(1000);
    EXPECT_EQ(record.cause, FailureCause::kNone);
    EXPECT_TRUE(reader.done());
    EXPECT_EQ(record.content, "Hello");
    EXPECT_EQ(record.reasoning, "hm");
    EXPECT_EQ(record.piece_ns.size(), 3U);
    EXPECT_EQ(record.num_events, 4);
    EXPECT_EQ(record.finish_reason, "stop");
    EXPECT_EQ(record.usage_input_tokens, 7);
    EXPECT_EQ(record.usage_output_tokens, 3);
    EXPECT_EQ(record.usage_cached_tokens, 4);
    EXPECT_LT(record.first_content_ns, record.last_content_ns + 1);
  }
}

FailureCause cause_of(const std::string& answer, std::string* message = nullptr) {
  RequestRecord record;
  EventReader reader(record);
  if (reader.take(answer, 1)) reader.finish(2);
  if (message != nullptr) *message = record.message;
  return record.cause;
}

TEST(EventReader, TakesTheTextOfCompletions) {
  RequestRecord record;
  EventReader reader(record);
  ASSERT_TRUE(reader.take("data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: [DONE]\n", 5));
  EXPECT_EQ(record.content, "a");
  EXPECT_EQ(record.piece_ns, std::vector<int64_t>{5});
}

TEST(EventReader, NamesWhyAnAnswerHasNoFigures) {
  std::string message;
  EXPECT_EQ(cause_of("<html>busy</html>", &message), FailureCause::kNotEventStream);
  EXPECT_THAT(message, testing::HasSubstr("busy"));
  EXPECT_EQ(cause_of(""), FailureCause::kNotEventStream);
  EXPECT_EQ(cause_of("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"),
            FailureCause::kCut);
  EXPECT_EQ(cause_of("data: [DONE]\n\n"), FailureCause::kNoTokens);
  EXPECT_EQ(cause_of("data: {\"choices\":[{]\n\n"), FailureCause::kMalformedEvent);
  EXPECT_EQ(cause_of("data: {\"error\":{\"message\":\"out of memory\"}}\n\n", &message),
            FailureCause::kStreamError);
  EXPECT_EQ(message, "out of memory");
  EXPECT_EQ(cause_of("data: {\"error\":\"gone\"}\n\n", &message), FailureCause::kStreamError);
  EXPECT_EQ(message, "gone");
}

TEST(EventReader, RefusesDepthAndLinesWithoutEnd) {
  EXPECT_EQ(cause_of("data: " + std::string(100'000, '[') + "\n"), FailureCause::kMalformedEvent);
  EXPECT_EQ(cause_of(std::string((size_t{16} << 20) + 1, 'a')), FailureCause::kMalformedEvent);
}

TEST(EventReader, AnAnswerEndsAtDoneWhateverComesBehindIt) {
  RequestRecord record;
  EventReader reader(record);
  ASSERT_TRUE(reader.take("data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: [DONE]\n\n", 5));
  ASSERT_TRUE(reader.take("data: {\"choices\":[{\"text\":\"b\"}]}\n\ndata: {no json\n\n", 90));
  reader.finish(99);
  EXPECT_EQ(record.end_ns, 5);
  EXPECT_EQ(record.content, "a");
  EXPECT_EQ(record.cause, FailureCause::kNone);
}

TEST(EventReader, TheLastLineMayLackItsEnd) {
  EXPECT_EQ(cause_of("data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: [DONE]"), FailureCause::kNone);
}

TEST(EventReader, ACountBeyondReasonIsNone) {
  RequestRecord record;
  EventReader reader(record);
  ASSERT_TRUE(reader.take("data: {\"usage\":{\"completion_tokens\":9223372036854775807}}\n", 5));
  EXPECT_EQ(record.usage_output_tokens, -1);
}

TEST(EventReader, AnErrorOfNullIsNone) {
  EXPECT_EQ(cause_of("data: {\"error\":null,\"choices\":[{\"delta\":{\"content\":\"a\"},"
                     "\"finish_reason\":\"length\"}]}\n\n"),
            FailureCause::kNone);
}

}  // namespace
}  // namespace pagoda
