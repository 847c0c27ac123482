// Tests of the Chrome trace file.
#include "base/trace.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"

namespace pagoda {
namespace {

using std::chrono::microseconds;

class TraceFile : public ::testing::Test {
 protected:
  TraceFile() {
    std::string folder = ::testing::TempDir() + "trace-XXXXXX";
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    path_ = folder + "/trace.json";
  }
  ~TraceFile() override {
    unlink(path_.c_str());
    rmdir(folder_.c_str());
  }

  std::unique_ptr<Trace> create(int64_t max_bytes = int64_t{1} << 20) {
    auto made = Trace::create(path_, max_bytes);
    EXPECT_TRUE(made.ok());
    return std::move(made).value();
  }

  std::string text() const {
    std::ifstream file(path_);
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
  }

  // The events of a closed file, which must be strict JSON.
  Json events() const {
    auto parsed = parse_json(text());
    EXPECT_TRUE(parsed.ok()) << text();
    return parsed.ok() ? std::move(parsed).value() : Json::array();
  }

  std::vector<Json> of_phase(const std::string& phase) const {
    std::vector<Json> found;
    for (const Json& event : events()) {
      if (event.at("ph") == phase) found.push_back(event);
    }
    return found;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(TraceFile, ASpanHasItsNameItsTimesItsThreadAndItsNumbers) {
  {
    const auto trace = create();
    const TimePoint begin = real_clock().now();
    trace->span("step", begin, begin + microseconds(1500), {{"num_tokens", 7}, {"failed", -1}});
  }
  const std::vector<Json> spans = of_phase("X");
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].at("name"), "step");
  EXPECT_EQ(spans[0].at("pid"), getpid());
  EXPECT_EQ(spans[0].at("tid"), gettid());
  EXPECT_GE(spans[0].at("ts").get<double>(), 0);
  EXPECT_DOUBLE_EQ(spans[0].at("dur").get<double>(), 1500);
  EXPECT_EQ(spans[0].at("args"), (Json{{"num_tokens", 7}, {"failed", -1}}));
}

TEST_F(TraceFile, PartsOfARequestShareItsIdOnWhateverThread) {
  {
    const auto trace = create();
    const TimePoint begin = real_clock().now();
    trace->request_span("queued", 41, begin, begin + microseconds(10), {{"prompt", 3}});
    std::thread([&] {
      trace->request_span("prefill", 41, begin + microseconds(10), begin + microseconds(30));
    }).join();
  }
  const std::vector<Json> begins = of_phase("b");
  const std::vector<Json> ends = of_phase("e");
  ASSERT_EQ(begins.size(), 2u);
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(begins[0].at("args").at("prompt"), 3);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(begins[i].at("id"), "0x29");
    EXPECT_EQ(ends[i].at("id"), "0x29");
    EXPECT_EQ(begins[i].at("cat"), ends[i].at("cat"));
    EXPECT_EQ(begins[i].at("name"), ends[i].at("name"));
    EXPECT_LT(begins[i].at("ts").get<double>(), ends[i].at("ts").get<double>());
  }
}

TEST_F(TraceFile, CountersHoldTheirValues) {
  {
    const auto trace = create();
    trace->counter("requests", real_clock().now(), {{"running", 2}, {"waiting", 5}});
  }
  const std::vector<Json> counters = of_phase("C");
  ASSERT_EQ(counters.size(), 1u);
  EXPECT_EQ(counters[0].at("args"), (Json{{"running", 2}, {"waiting", 5}}));
}

TEST_F(TraceFile, NamesOfAnyBytesLeaveValidJson) {
  {
    const auto trace = create();
    const TimePoint now = real_clock().now();
    trace->span("a\"b\\c\nd\xff", now, now, {{"x\"\n", 1}});
  }
  ASSERT_EQ(of_phase("X").size(), 1u);
  EXPECT_EQ(of_phase("X")[0].at("name"), "a\"b\\c\nd\xEF\xBF\xBD");
}

TEST_F(TraceFile, EachThreadIsNamedOnce) {
  {
    const auto trace = create();
    const TimePoint now = real_clock().now();
    std::thread([&] {
      pthread_setname_np(pthread_self(), "engine-x");
      for (int i = 0; i < 3; ++i) trace->span("step", now, now);
    }).join();
  }
  int named = 0;
  for (const Json& event : of_phase("M")) {
    named += event.at("name") == "thread_name" && event.at("args").at("name") == "engine-x";
  }
  EXPECT_EQ(named, 1);
}

TEST_F(TraceFile, AFullFileIsClosedWithinItsBoundAndTheRestIsCounted) {
  constexpr int64_t kMaxBytes = 20'000;
  constexpr int64_t kNumEvents = 1000;
  int64_t num_dropped = 0;
  {
    const auto trace = create(kMaxBytes);
    const TimePoint now = real_clock().now();
    for (int64_t i = 0; i < kNumEvents; ++i) trace->span("step", now, now, {{"i", i}});
    // The file is closed by the writer's next turn, not by the destructor alone.
    while (trace->num_dropped() == 0) std::this_thread::yield();
    trace->span("late", now, now);
    num_dropped = trace->num_dropped();
  }
  EXPECT_LE(text().size(), size_t{kMaxBytes});
  const auto num_written = static_cast<int64_t>(of_phase("X").size());
  EXPECT_GT(num_written, 50);
  EXPECT_EQ(num_written + num_dropped, kNumEvents + 1);
  EXPECT_EQ(of_phase("i").at(0).at("name"), "events were dropped");
}

TEST_F(TraceFile, ManyThreadsRecordAtOnceAndNothingIsLost) {
  constexpr int kNumThreads = 4;
  constexpr int kNumEach = 500;
  {
    const auto trace = create(int64_t{8} << 20);
    std::vector<std::thread> threads;
    for (int t = 0; t < kNumThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kNumEach; ++i) {
          const TimePoint now = real_clock().now();
          trace->span("work", now, now, {{"i", i}});
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(trace->num_dropped(), 0);
  }
  std::map<int64_t, int> seen;
  for (const Json& event : of_phase("X")) ++seen[event.at("args").at("i").get<int64_t>()];
  ASSERT_EQ(seen.size(), size_t{kNumEach});
  for (const auto& [i, times] : seen) EXPECT_EQ(times, kNumThreads) << i;
}

TEST_F(TraceFile, AnOpenFileIsATraceWithoutItsLastBracket) {
  const auto trace = create();
  const TimePoint now = real_clock().now();
  trace->span("step", now, now);
  while (text().find("\"step\"") == std::string::npos) std::this_thread::yield();
  std::string so_far = text();
  ASSERT_EQ(so_far.substr(so_far.size() - 2), ",\n");
  EXPECT_TRUE(parse_json(so_far.substr(0, so_far.size() - 2) + "]").ok());
}

TEST_F(TraceFile, OthersCannotReadIt) {
  const auto trace = create();
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST(Trace, AFileThatCannotBeCreatedIsNamed) {
  const auto made = Trace::create("/nonexistent/trace.json");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(made.error().message.find("/nonexistent/trace.json"), std::string::npos);
}

TEST(Trace, ADiskThatRefusesTheFirstLineIsAnErrorOfCreate) {
  const auto made = Trace::create("/dev/full");
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("/dev/full"), std::string::npos);
}

TEST_F(TraceFile, ADiskThatRefusesLaterEndsTheTraceAndNothingElse) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  {
    const auto trace = create();
    rlimit small = before;
    small.rlim_cur = 1000;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const TimePoint now = real_clock().now();
    for (int i = 0; i < 100; ++i) trace->span("step", now, now);
    while (trace->num_dropped() == 0) std::this_thread::yield();
    trace->span("late", now, now);
  }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_LE(text().size(), 1000u);
}

}  // namespace
}  // namespace pagoda
