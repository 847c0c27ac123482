// Tests of the sampling, on a fake clock.
#include "server/monitor/monitor.h"

#include <gtest/gtest.h>

#include <chrono>

namespace pagoda {
namespace {

using std::chrono::seconds;

TEST(Monitor, TakesTheTrueLengthOfASecond) {
  MetricsRegistry registry;
  const EngineMetrics metrics(&registry, "demo", 4096, 0);
  Monitor monitor({});
  monitor.tick(real_clock().now(), 5);  // nothing yet
  monitor.with_history([](const History* history) { EXPECT_EQ(history, nullptr); });
  monitor.set_engine(metrics);
  const TimePoint start = real_clock().now() + seconds(100);
  monitor.tick(start, 1000);
  metrics.generation_tokens_total.add(300);
  monitor.tick(start + seconds(3), 1003);  // late: the machine was busy
  monitor.with_history([](const History* history) {
    const Window last = history->window(1003, 1);
    EXPECT_EQ(last.per_second(Count::kGenerationTokens), 100);
  });
}

TEST(Monitor, GoesOnWhenTheTimeOfDayIsSetBack) {
  MetricsRegistry registry;
  Monitor monitor({});
  monitor.set_engine(EngineMetrics(&registry, "demo", 4096, 0));
  const TimePoint start = real_clock().now();
  for (int i = 1; i <= 5; ++i) monitor.tick(start + seconds(i), i < 3 ? 1000 + i : 500 + i);
  monitor.with_history([](const History* history) {
    EXPECT_EQ(history->last()->t, 1005);
    EXPECT_EQ(history->points(1005, 60, 1).size(), 5U);
  });
}

TEST(Monitor, ATwoHourRunDoesNotGrow) {
  MetricsRegistry registry;
  const EngineMetrics metrics(&registry, "demo", 4096, 0);
  Monitor monitor({});
  monitor.set_engine(metrics);
  const TimePoint start = real_clock().now();
  size_t after_an_hour = 0;
  for (int i = 1; i <= 7200; ++i) {
    metrics.time_to_first_token.observe(0.01 * (i % 10));
    monitor.tick(start + seconds(i), 100'000 + i);
    if (i == 3600) monitor.with_history([&](const History* h) { after_an_hour = h->num_bytes(); });
  }
  monitor.with_history([&](const History* history) {
    // The day's ring goes on to fill, at a tenth of the pace.
    EXPECT_LT(history->num_bytes(), after_an_hour + 360 * 1000);
    EXPECT_EQ(history->window(107'200, 3600).num(Spread::kTtft), 3600U);
  });
}

TEST(Monitor, StopsAtOnceAndTwice) {
  Monitor monitor({});
  monitor.start();
  monitor.stop();
  monitor.stop();
  EXPECT_EQ(monitor.num_watchers(), 0U);
}

}  // namespace
}  // namespace pagoda
