// Tests of WaitingQueue.
#include "engine/waiting_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <utility>

namespace pagoda {
namespace {

using testing::ElementsAre;

// A queue and what its sequences point to.
class World {
 public:
  std::unique_ptr<Sequence> make(TenantId tenant, Priority priority = Priority::kInteractive) {
    Request& request = requests_.emplace_back();
    request.prompt_token_ids = {1};
    request.tenant = tenant;
    request.priority = priority;
    const SequenceId id = requests_.size();
    return std::make_unique<Sequence>(id, id, request, 0, pool_);
  }
  void push(TenantId tenant, Priority priority = Priority::kInteractive) {
    queue.push(make(tenant, priority));
  }
  // Takes everybody; each costs its tenant `cost` tokens.
  std::vector<SequenceId> take_all(int64_t cost = 0) {
    std::vector<SequenceId> order;
    while (const Sequence* next = queue.next()) {
      order.push_back(next->id);
      queue.charge(next->request->tenant, cost);
      queue.take(*next);
    }
    EXPECT_TRUE(queue.empty());
    return order;
  }

  WaitingQueue queue;

 private:
  BlockPool pool_{1, 1};
  std::list<Request> requests_;
};

TEST(WaitingQueue, FirstComeFirstServedAmongEquals) {
  World world;
  for (int i = 0; i < 3; ++i) world.push(0);
  EXPECT_THAT(world.take_all(), ElementsAre(1, 2, 3));
}

TEST(WaitingQueue, InteractiveBeforeBackground) {
  World world;
  world.push(0, Priority::kBackground);
  world.push(1);
  world.push(0);
  EXPECT_THAT(world.take_all(), ElementsAre(2, 3, 1));
}

TEST(WaitingQueue, TheTenantThatHadLeastIsNext) {
  World world;
  for (const TenantId tenant : {0, 0, 0, 1, 1, 2}) world.push(tenant);
  EXPECT_THAT(world.take_all(10), ElementsAre(1, 4, 6, 2, 5, 3));
}

TEST(WaitingQueue, ATenantThatWasAwayHasNoClaimToWhatItMissed) {
  World world;
  world.push(1);
  world.queue.take(*world.queue.next());
  for (int i = 0; i < 3; ++i) world.push(0);
  world.queue.charge(0, 1000);
  world.push(1);
  world.push(1);
  // From now on they take turns, though tenant 0 has had a thousand tokens more.
  EXPECT_THAT(world.take_all(10), ElementsAre(2, 5, 3, 6, 4));
}

TEST(WaitingQueue, WhoLostItsBlocksGoesFirst) {
  World world;
  world.push(0);
  world.queue.push_preempted(world.make(0));
  EXPECT_TRUE(world.queue.next()->is_guaranteed);
  EXPECT_EQ(world.queue.next_unguaranteed()->id, 1U);
  EXPECT_THAT(world.take_all(), ElementsAre(2, 1));
}

TEST(WaitingQueue, ABackgroundSequenceThatLostItsBlocksGoesBeforeThoseThatComeLater) {
  World world;
  world.push(0);
  world.queue.push_preempted(world.make(0, Priority::kBackground));
  world.push(0);
  EXPECT_THAT(world.take_all(), ElementsAre(1, 2, 3));
}

TEST(WaitingQueue, WhatIsRemovedIsNeitherNextNorCounted) {
  World world;
  world.push(0);
  world.push(1, Priority::kBackground);
  world.queue.push_preempted(world.make(2));
  world.queue.remove_if([](const Sequence& s) { return s.id != 2; });
  EXPECT_EQ(world.queue.size(), 1);
  int num_seen = 0;
  world.queue.for_each([&](const Sequence&) { ++num_seen; });
  EXPECT_EQ(num_seen, 1);
  EXPECT_THAT(world.take_all(), ElementsAre(2));
}

}  // namespace
}  // namespace pagoda
