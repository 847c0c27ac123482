// Tests of what is kept of requests.
#include "server/monitor/request_board.h"

#include <gtest/gtest.h>

#include <chrono>

namespace pagoda {
namespace {

std::shared_ptr<RequestFacts> make_facts(const std::string& id = "a") {
  auto facts = std::make_shared<RequestFacts>();
  facts->request_id = id;
  return facts;
}

FinishedRequest finished(RequestId id, double total_s, double ended_at = 1000,
                         RequestEnd end = RequestEnd::kStop) {
  FinishedRequest request;
  request.id = id;
  request.facts = make_facts();
  request.total_s = total_s;
  request.ended_at = ended_at;
  request.end = end;
  return request;
}

TEST(RequestBoard, KnowsWhoIsInFlightInWhateverOrderItIsTold) {
  RequestBoard board;
  board.started(1, make_facts("one"));
  EXPECT_EQ(board.find(1)->request_id, "one");
  board.finished(finished(1, 1));
  EXPECT_EQ(board.find(1), nullptr);
  board.finished(finished(2, 1));  // the engine was faster
  EXPECT_EQ(board.find(2), nullptr);
  board.started(2, make_facts("two"));
  EXPECT_EQ(board.num_in_flight(), 0U);
}

TEST(RequestBoard, ShowsTheSlowestOfTheLastHour) {
  RequestBoard board;
  for (RequestId id = 1; id <= 100; ++id) {
    board.finished(finished(id, static_cast<double>(id), 60.0 * static_cast<double>(id)));
  }
  const auto slowest = board.slowest(6000, 3);
  ASSERT_EQ(slowest.size(), 3U);
  EXPECT_EQ(slowest[0].id, 100U);
  EXPECT_EQ(slowest[2].id, 98U);
  EXPECT_EQ(board.slowest(6000, 200).size(), 60U);
  EXPECT_TRUE(board.slowest(60'000, 200).empty());
}

TEST(RequestBoard, KeepsTheSlowestOfAMinuteHoweverMany) {
  RequestBoard board;
  for (RequestId id = 1; id <= 5000; ++id) {
    board.finished(finished(id, static_cast<double>((id * 7919) % 5000)));
  }
  const auto slowest = board.slowest(1000, 200);
  ASSERT_EQ(slowest.size(), RequestBoard::kSlowestAMinute);
  EXPECT_EQ(slowest[0].total_s, 4999);
  EXPECT_EQ(slowest[9].total_s, 4990);
  EXPECT_EQ(board.newest(1000).size(), RequestBoard::kNumKept);
  EXPECT_EQ(board.newest(1).front().id, 5000U);
}

TEST(RequestBoard, ListsFailuresByThemselves) {
  RequestBoard board;
  board.finished(finished(1, 1));
  board.finished(finished(2, 1, 1000, RequestEnd::kStepFailed));
  board.finished(finished(3, 1, 1000, RequestEnd::kClientLeft));
  board.finished(finished(4, 1, 1000, RequestEnd::kExpired));
  const auto failed = board.failed(10);
  ASSERT_EQ(failed.size(), 2U);
  EXPECT_EQ(failed[0].id, 4U);
  EXPECT_EQ(failed[1].id, 2U);
}

TEST(RequestBoard, WithAnObjectiveSlowIsBeyondIt) {
  RequestBoard board;
  board.set_slo({.ttft_s = 1, .tpot_s = 0});
  FinishedRequest slow = finished(1, 2);
  slow.is_slow = true;
  board.finished(slow);
  board.finished(finished(2, 100));
  ASSERT_EQ(board.slowest(1000, 10).size(), 1U);
  EXPECT_EQ(board.slowest(1000, 10)[0].id, 1U);
}

TEST(RequestBoard, PartsOfARequestsTimeAddUp) {
  using std::chrono::milliseconds;
  const TimePoint start{std::chrono::hours(1)};
  RequestOutput output;
  output.id = 7;
  output.num_output_tokens = 11;
  output.times = {start, start + milliseconds(100), start + milliseconds(400),
                  start + milliseconds(1400)};
  FinishedRequest request = summarize(output, make_facts(), {.ttft_s = 0.3, .tpot_s = 0}, 50);
  EXPECT_NEAR(request.queue_s, 0.1, 1e-9);
  EXPECT_NEAR(request.prefill_s, 0.3, 1e-9);
  EXPECT_NEAR(request.decode_s, 1.0, 1e-9);
  EXPECT_NEAR(request.total_s, 1.4, 1e-9);
  EXPECT_NEAR(*request.ttft_s, 0.4, 1e-9);
  EXPECT_NEAR(*request.tpot_s, 0.1, 1e-9);
  EXPECT_TRUE(request.is_slow);

  output.num_output_tokens = 0;
  output.times.first_scheduled = output.times.first_token = TimePoint{};
  request = summarize(output, make_facts(), {}, 50);
  EXPECT_NEAR(request.queue_s, 1.4, 1e-9);
  EXPECT_EQ(request.prefill_s + request.decode_s, 0);
  EXPECT_FALSE(request.ttft_s.has_value());
  EXPECT_FALSE(request.is_slow);
}

}  // namespace
}  // namespace pagoda
