// Tests of AdmissionControl.
#include "engine/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda {
namespace {

using testing::HasSubstr;

struct ManualClock : Clock {
  TimePoint now() const override { return time; }
  TimePoint time{};
};

Request request_of(TenantId tenant, size_t num_tokens = 10,
                   Priority priority = Priority::kInteractive) {
  Request request;
  request.prompt_token_ids.resize(num_tokens);
  request.tenant = tenant;
  request.priority = priority;
  return request;
}

TEST(AdmissionControl, RefusesWhatIsBeyondTheNumberOfRequestsAndNamesBothNumbers) {
  AdmissionControl admission({.max_num_queued_requests = 2});
  EXPECT_TRUE(admission.enter(request_of(0)).ok());
  EXPECT_TRUE(admission.enter(request_of(0)).ok());
  const Result<void> refused = admission.enter(request_of(0));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_THAT(refused.error().message, HasSubstr("2 requests are queued, the limit is 2"));
  EXPECT_GE(refused.error().retry_after_s, 1);
  EXPECT_FALSE(admission.check(0, Priority::kInteractive).ok());
  admission.leave(request_of(0));
  EXPECT_TRUE(admission.check(0, Priority::kInteractive).ok());
  EXPECT_EQ(admission.num_queued(), 1);
}

TEST(AdmissionControl, RefusesWhatIsBeyondTheNumberOfTokensButNeverALoneRequest) {
  AdmissionControl admission({.max_num_queued_tokens = 100});
  EXPECT_TRUE(admission.enter(request_of(0, 500)).ok());
  const Result<void> refused = admission.enter(request_of(0, 1));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("500 prompt tokens are queued, the limit is 100"));
  admission.leave(request_of(0, 500));
  EXPECT_TRUE(admission.enter(request_of(0, 60)).ok());
  EXPECT_TRUE(admission.enter(request_of(0, 40)).ok());
  EXPECT_EQ(admission.num_queued_tokens(), 100);
}

TEST(AdmissionControl, BackgroundRequestsLeaveHalfOfThePlaces) {
  AdmissionControl admission({.max_num_queued_requests = 4});
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(admission.enter(request_of(0, 1, Priority::kBackground)).ok());
  }
  EXPECT_FALSE(admission.enter(request_of(0, 1, Priority::kBackground)).ok());
  EXPECT_TRUE(admission.enter(request_of(0)).ok());
}

TEST(AdmissionControl, OneTenantCannotTakeThePlacesKeptForOthers) {
  AdmissionControl admission({.max_num_queued_requests = 12, .num_tenants = 3});
  int num_taken = 0;
  while (admission.enter(request_of(0)).ok()) ++num_taken;
  EXPECT_EQ(num_taken, 8);  // two are kept for each of the others
  for (const TenantId tenant : {1, 1, 2, 2}) EXPECT_TRUE(admission.enter(request_of(tenant)).ok());
  EXPECT_FALSE(admission.enter(request_of(2)).ok());
}

TEST(AdmissionControl, SaysToComeBackWhenHalfOfTheQueueWillBeGone) {
  ManualClock clock;
  AdmissionControl admission({.max_num_queued_requests = 10}, clock);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(admission.enter(request_of(0)).ok());
    clock.time += std::chrono::seconds(2);
    admission.leave(request_of(0));
  }
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(admission.enter(request_of(0)).ok());
  EXPECT_EQ(admission.enter(request_of(0)).error().retry_after_s, 11);  // six at 1.8 s each
}

}  // namespace
}  // namespace pagoda
