// Tests of ConnectionGate.
#include "server/http/connection_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

namespace pagoda {
namespace {

using testing::HasSubstr;

bool admitted(const ConnectionGate::Admission& admission) {
  return admission.slot != nullptr && admission.refusal.empty();
}

TEST(ConnectionGate, CountsTheLivingOfEachAddress) {
  ConnectionGate gate({.max_connections = 100, .max_per_address = 2});
  auto first = gate.admit({.address = "192.0.2.1"});
  auto second = gate.admit({.address = "192.0.2.1"});
  EXPECT_TRUE(admitted(first) && admitted(second));
  const auto third = gate.admit({.address = "192.0.2.1"});
  EXPECT_FALSE(admitted(third));
  EXPECT_THAT(third.refusal, HasSubstr("2"));
  EXPECT_STREQ(third.reason, "connections_per_address");
  EXPECT_TRUE(admitted(gate.admit({.address = "192.0.2.2"})));
  first.slot.reset();
  EXPECT_TRUE(admitted(gate.admit({.address = "192.0.2.1"})));
  EXPECT_EQ(gate.num_connections(), 1);
  EXPECT_EQ(gate.num_addresses(), 1);
}

TEST(ConnectionGate, LimitsTheSumOfAllAddresses) {
  ConnectionGate gate({.max_connections = 1});
  const auto first = gate.admit({.address = "192.0.2.1"});
  const auto second = gate.admit({.address = "192.0.2.2"});
  EXPECT_FALSE(admitted(second));
  EXPECT_STREQ(second.reason, "connections");
  // Unix sockets are no way around it.
  EXPECT_FALSE(admitted(gate.admit({.address = "unix", .is_loopback = true})));
}

TEST(ConnectionGate, LoopbackIsExemptUnlessAskedForAndUnixSocketsAlways) {
  const Peer proxy = {.address = "127.0.0.1", .is_loopback = true};
  const Peer unix_socket = {.address = "unix", .is_loopback = true};
  std::vector<ConnectionGate::Admission> held;
  ConnectionGate by_default({});
  for (int i = 0; i < ConnectionLimits::kDefaultPerAddress + 1; ++i) {
    EXPECT_TRUE(admitted(held.emplace_back(by_default.admit(proxy))));
    const bool fits = i < ConnectionLimits::kDefaultPerAddress;
    EXPECT_EQ(admitted(held.emplace_back(by_default.admit({.address = "192.0.2.1"}))), fits);
  }
  ConnectionGate asked({.max_per_address = 1});
  EXPECT_TRUE(admitted(held.emplace_back(asked.admit(proxy))));
  EXPECT_FALSE(admitted(held.emplace_back(asked.admit(proxy))));
  EXPECT_TRUE(admitted(held.emplace_back(asked.admit(unix_socket))));
  EXPECT_TRUE(admitted(held.emplace_back(asked.admit(unix_socket))));
}

TEST(ConnectionGate, ManyRefusalsAtOnceAreNotWorthAWord) {
  ConnectionGate gate({.max_connections = 0});
  std::vector<ConnectionGate::Admission> held;
  while (held.size() < 1000) {
    held.push_back(gate.admit({.address = "192.0.2.1"}));
    if (held.back().slot == nullptr) break;
    EXPECT_FALSE(held.back().refusal.empty());
  }
  EXPECT_LT(held.size(), 1000U);
  held.clear();
  EXPECT_NE(gate.admit({.address = "192.0.2.1"}).slot, nullptr);
  EXPECT_EQ(gate.num_connections(), 0);
}

TEST(ConnectionGate, ASlotMayOutliveTheGate) {
  ConnectionGate::Admission admission;
  {
    ConnectionGate gate({});
    admission = gate.admit({.address = "192.0.2.1"});
  }
  EXPECT_TRUE(admitted(admission));
}

TEST(PeerOf, AUnixSocketIsThisHost) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  EXPECT_EQ(peer_of(ends[0]).address, "unix");
  EXPECT_TRUE(peer_of(ends[0]).is_loopback);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_FALSE(peer_of(-1).is_loopback);
}

}  // namespace
}  // namespace pagoda
