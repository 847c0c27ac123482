// Tests of bench/event_reader.h.
#include "bench/event_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace pagoda {
namespace {

const std::string kAnswer =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
    "\"finish_reason\":null}]}\n\n"
    ": a comment\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\r\n\r\n"
    "data:{\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: "
    "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n"
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

TEST(EventReader, ReasoningUnderBothItsNamesCountsOnce) {
  RequestRecord record;
  EventReader reader(record);
  ASSERT_TRUE(
      reader.take("data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\","
                  "\"reasoning_content\":\"hm\"}}]}\n\n",
                  5));
  EXPECT_EQ(record.reasoning, "hm");
  EXPECT_EQ(record.piece_ns.size(), 1U);
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
  EXPECT_EQ(cause_of("data: {\"error\":{\"code\":500}}\n\n", &message), FailureCause::kStreamError);
  EXPECT_EQ(message, "{\"error\":{\"code\":500}}");
}

TEST(EventReader, RefusesDepthAndLinesWithoutEnd) {
  EXPECT_EQ(cause_of("data: " + std::string(100'000, '[') + "\n\n"), FailureCause::kMalformedEvent);
  const std::string long_line((size_t{16} << 20) + 1, 'a');
  EXPECT_EQ(cause_of(long_line), FailureCause::kMalformedEvent);
  EXPECT_EQ(cause_of(long_line + "\n\n"), FailureCause::kMalformedEvent);
  const std::string line = "data: " + std::string(size_t{1} << 20, 'a') + "\n";
  std::string long_event;
  for (int i = 0; i < 17; ++i) long_event += line;
  std::string message;
  EXPECT_EQ(cause_of(long_event, &message), FailureCause::kMalformedEvent);
  EXPECT_THAT(message, testing::HasSubstr("an event of more than 16 MiB"));
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

TEST(EventReader, TheLastEventMayLackItsEnd) {
  const std::string start = "data: {\"choices\":[{\"text\":\"a\"}]}\n\n";
  EXPECT_EQ(cause_of(start + "data: [DONE]"), FailureCause::kNone);
  EXPECT_EQ(cause_of(start + "data: [DONE]\n"), FailureCause::kNone);
  EXPECT_EQ(cause_of(start + "data: [DONE]\r"), FailureCause::kNone);
}

TEST(EventReader, AnEndWithinAnEventIsACut) {
  std::string message;
  EXPECT_EQ(cause_of("data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choi", &message),
            FailureCause::kCut);
  EXPECT_EQ(message, "the stream ended within an event");
  EXPECT_EQ(cause_of("data: {\"choices\":[{\"text\":\"a\"}]}\n\nda"), FailureCause::kCut);
}

// Reads in pieces that end at `ends`; the time of a piece is that of its last byte, which are
// counted.
RequestRecord read_in_pieces(std::string_view answer, const std::vector<size_t>& ends) {
  RequestRecord record;
  EventReader reader(record);
  size_t start = 0;
  for (const size_t end : ends) {
    if (!reader.take(answer.substr(start, end - start), static_cast<int64_t>(end))) break;
    start = end;
  }
  reader.finish(static_cast<int64_t>(answer.size()));
  return record;
}
RequestRecord read_whole(std::string_view answer) {
  return read_in_pieces(answer, {answer.size()});
}

std::string text_event(const std::string& text, const std::string& line_end) {
  return "data: {\"choices\":[{\"text\":\"" + text + "\"}]}" + line_end + line_end;
}

TEST(EventReader, LinesEndWithCarriageReturnsLineFeedsOrBoth) {
  for (const char* end : {"\n", "\r", "\r\n"}) {
    const std::string answer = text_event("a", end) + ": ping" + end + end + text_event("b", end) +
                               "data: [DONE]" + end + end;
    EXPECT_EQ(read_whole(answer).content, "ab");
    EXPECT_EQ(read_whole(answer).cause, FailureCause::kNone);
  }
  // Each kind once, and two line ends in a row are a blank line whichever they are.
  EXPECT_EQ(read_whole("data: {\"choices\":[{\"text\":\"a\"}]}\r\n\rdata: [DONE]\n\r\n").content,
            "a");
}

TEST(EventReader, ALineFeedInTheNextPieceBelongsToTheCarriageReturnBeforeIt) {
  RequestRecord record;
  EventReader reader(record);
  ASSERT_TRUE(reader.take("data: {\"choices\":\r", 1));
  ASSERT_TRUE(reader.take("", 2));
  // A blank line here would end the event too early.
  ASSERT_TRUE(reader.take("\ndata: [{\"text\":\"a\"}]}\r", 3));
  ASSERT_TRUE(reader.take("\n\r", 4));
  EXPECT_EQ(record.content, "a");
  EXPECT_EQ(record.piece_ns, std::vector<int64_t>{4});
  ASSERT_TRUE(reader.take("\n\n\r\r", 5));
  EXPECT_EQ(record.cause, FailureCause::kNone);
}

TEST(EventReader, DataLinesOfOneEventAreOneText) {
  const RequestRecord record = read_whole(
      "event: message\ndata: {\"choices\":\nid: 7\n: between\ndata:[{\"text\":\"a\"}]\ndata\n"
      "retry: 10\ndata:}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(record.content, "a");
  EXPECT_EQ(record.num_events, 1);
  EXPECT_EQ(record.cause, FailureCause::kNone);
  // Without a blank line between them two texts are one event, and that is no JSON.
  EXPECT_EQ(cause_of("data: {}\ndata: {}\n\n"), FailureCause::kMalformedEvent);
  EXPECT_EQ(cause_of("data\n\n"), FailureCause::kMalformedEvent);
}

TEST(EventReader, OtherFieldsAndCommentsHoldNoData) {
  EXPECT_EQ(cause_of("database: {\n\ndatax\n\n:data: {\n\n data: {\n\nData: {\n\nid\n\n"),
            FailureCause::kNotEventStream);
}

TEST(EventReader, AByteOrderMarkIsSkippedAtTheBeginningAlone) {
  const std::string mark = "\xEF\xBB\xBF";
  const std::string answer = mark + text_event("a", "\n") + "data: [DONE]\n\n";
  for (size_t cut = 0; cut <= 4; ++cut) {
    EXPECT_EQ(read_in_pieces(answer, {cut, answer.size()}).content, "a") << cut;
  }
  EXPECT_EQ(cause_of(mark + mark + "data: {\"choices\":[{\"text\":\"a\"}]}\n\n"),
            FailureCause::kNotEventStream);
}

TEST(EventReader, AnEventCameWhenItsBlankLineDid) {
  RequestRecord record;
  EventReader reader(record);
  ASSERT_TRUE(reader.take("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", 10));
  ASSERT_TRUE(reader.take("\n", 20));
  EXPECT_TRUE(record.piece_ns.empty());
  ASSERT_TRUE(reader.take("\n", 30));
  EXPECT_EQ(record.piece_ns, std::vector<int64_t>{30});
  EXPECT_EQ(record.first_content_ns, 30);
  ASSERT_TRUE(reader.take("data: [DONE]\n", 40));
  EXPECT_FALSE(reader.done());
  ASSERT_TRUE(reader.take("\n", 50));
  EXPECT_EQ(record.end_ns, 50);
}

TEST(EventReader, AnEndWithoutABlankLineCameWithTheEnd) {
  RequestRecord record;
  EventReader reader(record);
  ASSERT_TRUE(reader.take(text_event("a", "\n") + "data: [DONE]", 10));
  reader.finish(70);
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(record.end_ns, 70);
}

// An answer of parts that mean something to the grammar, in any order.
std::string random_answer(std::mt19937& random) {
  static const std::string parts[] = {"\n",
                                      "\r",
                                      "\r\n",
                                      "\n\n",
                                      "\r\n\r\n",
                                      "\xEF\xBB\xBF",
                                      "data",
                                      "data:",
                                      "data: ",
                                      ":",
                                      "id: 1",
                                      "{",
                                      "x",
                                      "[DONE]",
                                      "data: [DONE]\n\n",
                                      "data: {\"error\":\"e\"}\n\n",
                                      "data: {\"choices\":[{\"delta\":{\"content\":\"c\"}}]}\n\n",
                                      "data: {\"choices\":[{\"text\":\"t\"}]}\r\r",
                                      "data: {\"choices\":\r\ndata: [{\"text\":\"u\"}]}\r\n\r\n",
                                      "data:{\"usage\":{\"completion_tokens\":3}}\n\n"};
  std::string out;
  const size_t count = random() % 12;
  for (size_t i = 0; i < count; ++i) out += parts[random() % std::size(parts)];
  return out;
}

TEST(EventReader, AnyCutOfAnyAnswerGivesTheSameRecord) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const std::string answer = random_answer(random);
    std::vector<size_t> each;
    for (size_t i = 1; i <= answer.size(); ++i) each.push_back(i);
    const RequestRecord exact = read_in_pieces(answer, each);
    std::vector<size_t> ends;
    for (const size_t end : each) {
      if (random() % 8 == 0) ends.push_back(end);
    }
    ends.push_back(answer.size());
    // What came with a byte comes with the piece that the byte is in.
    const auto later = [&](int64_t ns) {
      if (ns < 0) return ns;
      const auto piece = std::lower_bound(ends.begin(), ends.end(), static_cast<size_t>(ns));
      return piece == ends.end() ? ns : static_cast<int64_t>(*piece);
    };
    RequestRecord expected = exact;
    for (int64_t& ns : expected.piece_ns) ns = later(ns);
    expected.first_content_ns = later(exact.first_content_ns);
    expected.last_content_ns = later(exact.last_content_ns);
    expected.end_ns = later(exact.end_ns);
    const RequestRecord record = read_in_pieces(answer, ends);
    EXPECT_TRUE(record == expected)
        << testing::PrintToString(answer) << ": " << record.message << " / " << expected.message
        << testing::PrintToString(record.piece_ns) << testing::PrintToString(expected.piece_ns);
  }
}

TEST(EventReader, ACountBeyondReasonIsNone) {
  RequestRecord record;
  EventReader reader(record);
  ASSERT_TRUE(reader.take("data: {\"usage\":{\"completion_tokens\":9223372036854775807}}\n\n", 5));
  EXPECT_EQ(record.usage_output_tokens, -1);
}

TEST(EventReader, AnErrorOfNullIsNone) {
  EXPECT_EQ(cause_of("data: {\"error\":null,\"choices\":[{\"delta\":{\"content\":\"a\"},"
                     "\"finish_reason\":\"length\"}]}\n\n"),
            FailureCause::kNone);
}

}  // namespace
}  // namespace pagoda
