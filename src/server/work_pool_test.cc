// Tests of WorkPool.
#include "server/work_pool.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>

namespace pagoda {
namespace {

using Lane = WorkPool::Lane;
using Put = WorkPool::Put;
constexpr std::chrono::seconds kLong{20};

// Keeps a thread busy until told otherwise. Must outlive the pool.
struct Blocker {
  std::promise<void> begun;
  std::promise<void> release;
  std::future<void> released = release.get_future();
  std::function<void()> work() {
    return [this] {
      begun.set_value();
      released.wait();
    };
  }
};

TEST(WorkPool, LightWorkDoesNotWaitForHeavyWork) {
  Blocker heavy;
  std::promise<void> done;
  WorkPool pool(10);
  pool.put(Lane::kHeavy, heavy.work());
  heavy.begun.get_future().wait();
  pool.put(Lane::kHeavy, [] {});
  pool.put(Lane::kLight, [&] { done.set_value(); });
  EXPECT_EQ(done.get_future().wait_for(kLong), std::future_status::ready);
  EXPECT_EQ(pool.num_queued(), 1U);
  heavy.release.set_value();
}

TEST(WorkPool, HeavyWorkComesBeforeTheLightWorkThatWaits) {
  Blocker first;
  Blocker second;
  WorkPool pool(10);
  // In this order, for the heavy thread too takes light work when there is no other.
  pool.put(Lane::kHeavy, second.work());
  second.begun.get_future().wait();
  pool.put(Lane::kLight, first.work());
  first.begun.get_future().wait();
  std::string order;
  std::mutex mutex;
  const auto note = [&](char name) {
    return [&order, &mutex, name] {
      const std::lock_guard lock(mutex);
      order += name;
    };
  };
  std::promise<void> done;
  for (int i = 0; i < 3; ++i) pool.put(Lane::kLight, note('l'));
  pool.put(Lane::kHeavy, note('h'));
  pool.put(Lane::kLight, [&] { done.set_value(); });
  second.release.set_value();
  EXPECT_EQ(done.get_future().wait_for(kLong), std::future_status::ready);
  first.release.set_value();
  pool.stop();
  EXPECT_EQ(order, "hlll");
}

TEST(WorkPool, RefusesMoreThanItsQueueHolds) {
  Blocker heavy;
  WorkPool pool(2);
  EXPECT_EQ(pool.put(Lane::kHeavy, heavy.work()), Put::kTaken);
  heavy.begun.get_future().wait();
  EXPECT_EQ(pool.put(Lane::kHeavy, [] {}), Put::kTaken);
  EXPECT_EQ(pool.put(Lane::kHeavy, [] {}), Put::kTaken);
  EXPECT_EQ(pool.put(Lane::kHeavy, [] {}), Put::kFull);
  heavy.release.set_value();
}

TEST(WorkPool, StoppingDropsWhatWaitsAndRefusesTheRest) {
  Blocker heavy;
  WorkPool pool(10);
  pool.put(Lane::kHeavy, heavy.work());
  heavy.begun.get_future().wait();
  const auto held = std::make_shared<int>(0);
  pool.put(Lane::kHeavy, [held] { FAIL() << "ran after the stop"; });
  std::thread stopping([&] { pool.stop(); });
  while (pool.num_queued() > 0) std::this_thread::yield();
  heavy.release.set_value();
  stopping.join();
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(pool.put(Lane::kLight, [] {}), Put::kStopped);
}

}  // namespace
}  // namespace pagoda
