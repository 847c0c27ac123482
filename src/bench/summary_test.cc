// Tests of bench/summary.h.
#include "bench/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/terminal.h"

namespace pagoda {
namespace {

constexpr int64_t kMs = 1'000'000;

// Sent when it was intended, first token 100 ms later, then one each 20 ms, ended 10 ms after.
RequestRecord answer(int64_t sent_ms, int64_t num_tokens) {
  RequestRecord record;
  record.intended_ns = sent_ms * kMs;
  record.sent_ns = sent_ms * kMs;
  for (int64_t i = 0; i < num_tokens; ++i) {
    record.piece_ns.push_back((sent_ms + 100 + 20 * i) * kMs);
  }
  record.end_ns = record.piece_ns.back() + 10 * kMs;
  record.usage_input_tokens = 50;
  record.usage_output_tokens = num_tokens;
  record.output_tokens = num_tokens;
  record.asked_output_tokens = num_tokens;
  record.http_status = 200;
  record.finish_reason = "length";
  return record;
}

LoadResult result_of(std::deque<RequestRecord> records) {
  LoadResult result;
  result.records = std::move(records);
  for (const RequestRecord& r : result.records) {
    result.elapsed_s = std::max(result.elapsed_s, static_cast<double>(r.end_ns) * 1e-9);
    result.sending_s = std::max(result.sending_s, static_cast<double>(r.sent_ns) * 1e-9);
  }
  return result;
}

Json describe() {
  return {{"model", "m"}, {"load", {{"kind", "closed"}, {"concurrency", 1}}}};
}

TEST(Summary, FiguresFollowTheirDefinitions) {
  const LoadResult result = result_of({answer(0, 11), answer(1000, 11), answer(2000, 11)});
  const Json summary = summarize({}, result, {}, describe(), nullptr);
  const Json& metrics = summary["metrics"];
  EXPECT_NEAR(metrics["ttft_s"]["p50"].get<double>(), 0.100, 1e-9);
  EXPECT_NEAR(metrics["e2el_s"]["p50"].get<double>(), 0.310, 1e-9);
  EXPECT_NEAR(metrics["tpot_s"]["p50"].get<double>(), 0.210 / 10, 1e-9);
  EXPECT_NEAR(metrics["itl_s"]["p50"].get<double>(), 0.020, 1e-9);
  EXPECT_EQ(metrics["itl_s"]["count"], 30);
  EXPECT_EQ(metrics["output_tokens"]["mean"], 11.0);
  EXPECT_EQ(summary["warnings"].size(), 0U);
}

TEST(Summary, TextBesideAUsageOfNoughtIsAWarning) {
  RequestRecord odd = answer(500, 5);
  odd.usage_output_tokens = 0;
  const Json summary = summarize({}, result_of({answer(0, 5), odd}), {}, describe(), nullptr);
  EXPECT_EQ(summary["requests"]["text_with_usage_of_0"], 1);
  ASSERT_EQ(summary["warnings"].size(), 1U);
  EXPECT_THAT(summary["warnings"][0].get<std::string>(),
              testing::HasSubstr("1 answers held text while the server's usage said 0"));
}

TEST(Summary, AnAnswerOfOneTokenHasNoTimePerToken) {
  const Json summary =
      summarize({}, result_of({answer(0, 1), answer(500, 1)}), {}, describe(), nullptr);
  EXPECT_EQ(summary["metrics"]["tpot_s"]["count"], 0);
  EXPECT_TRUE(summary["metrics"]["tpot_s"]["p50"].is_null());
}

TEST(Summary, LateSendingShowsFromTheIntendedTimeAlone) {
  std::deque<RequestRecord> records = {answer(0, 5), answer(3000, 5), answer(3500, 5)};
  records[1].intended_ns = 1000 * kMs;
  const LoadResult result = result_of(std::move(records));
  const Json summary = summarize({}, result, {}, describe(), nullptr);
  EXPECT_NEAR(summary["metrics"]["ttft_s"]["max"].get<double>(), 0.1, 1e-9);
  EXPECT_NEAR(summary["metrics"]["ttft_from_intended_s"]["max"].get<double>(), 2.1, 1e-9);
}

TEST(Summary, TheTailIsNotInTheThroughput) {
  // One token each 20 ms from 100 ms on, without a break: 50 a second; then a lone long answer.
  std::deque<RequestRecord> records;
  for (int64_t i = 0; i < 10; ++i) records.push_back(answer(i * 1000, 50));
  records.push_back(answer(10'000, 150));
  const LoadResult result = result_of(std::move(records));
  const Window window = steady_window({}, result);
  EXPECT_FALSE(window.whole_run);
  EXPECT_EQ(window.end_s, 10.0);
  const Json summary = summarize({}, result, {}, describe(), nullptr);
  EXPECT_NEAR(summary["throughput"]["output_tokens_per_s"].get<double>(), 50.0, 1.0);
}

TEST(Summary, FailuresAreCountedByCauseAndWarnedOf) {
  RequestRecord failed;
  failed.sent_ns = 0;
  failed.end_ns = 5 * kMs;
  failed.cause = FailureCause::kCut;
  failed.message = "gone";
  const LoadResult result = result_of({answer(0, 5), failed});
  const Json summary = summarize({}, result, {}, describe(), nullptr);
  EXPECT_EQ(summary["requests"]["failed"], 1);
  EXPECT_EQ(summary["requests"]["failures"]["connection cut"], 1);
  EXPECT_THAT(summary["warnings"].dump(), testing::HasSubstr("1 of 2 requests failed"));
  EXPECT_THAT(summary_text(summary), testing::HasSubstr("1 x connection cut: gone"));
}

TEST(Summary, GoodputCountsWhatMeetsEveryLimit) {
  std::deque<RequestRecord> records = {answer(0, 5), answer(1000, 5), answer(2000, 5)};
  for (int64_t& ns : records[1].piece_ns) ns += 500 * kMs;
  records[1].end_ns += 500 * kMs;
  const LoadResult result = result_of(std::move(records));
  const Json summary = summarize({}, result, {.ttft_s = 0.2}, describe(), nullptr);
  EXPECT_EQ(summary["goodput"]["met"], 2);
  EXPECT_EQ(summary["goodput"]["sent"], 3);
}

TEST(Summary, ARunWithoutAnyAnswerStillHasADocument) {
  const Json summary = summarize({}, {}, {}, describe(), nullptr);
  EXPECT_THAT(summary["warnings"].dump(), testing::HasSubstr("no request succeeded"));
  EXPECT_FALSE(summary_text(summary).empty());
  EXPECT_FALSE(sweep_text(Json::array({summary})).empty());
}

TEST(Summary, CsvHasALineForEachRecordAndQuotesText) {
  RequestRecord record = answer(0, 2);
  record.message = "a \"b\",\nc";
  const std::string csv = records_csv({record});
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 2);
  EXPECT_THAT(csv, testing::HasSubstr("\"a \"\"b\"\", c\""));
}

}  // namespace
}  // namespace pagoda
