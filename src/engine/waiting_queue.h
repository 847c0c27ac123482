// WaitingQueue: the sequences without blocks, and who of them is next.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/types.h"
#include "engine/sequence.h"

namespace pagoda {

// Interactive sequences go before background ones. Among equals, those that lost their blocks go
// first, then the tenant that has had least so far, each tenant's in the order they came. What a
// tenant has had is counted in tokens computed, and a tenant that comes back after a time without
// work starts from the least of those who wait, or from the last one served: the Virtual Token
// Counter of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024). A background
// sequence that lost its blocks goes before interactive ones that come later, so that it cannot
// lose for ever.
//
// Owned by the Scheduler; engine thread only. Owns the sequences in it.
class WaitingQueue {
 public:
  bool empty() const { return size_ == 0; }
  int32_t size() const { return size_; }

  void push(std::unique_ptr<Sequence> sequence);
  // One that was running. Sets Sequence::is_guaranteed.
  void push_preempted(std::unique_ptr<Sequence> sequence);
  // Who is next, and who would be if none had lost its blocks; null when there is nobody. They hold
  // until the next change.
  Sequence* next() const;
  Sequence* next_unguaranteed() const;
  // REQUIRES: `sequence` is what next() or next_unguaranteed() says.
  std::unique_ptr<Sequence> take(const Sequence& sequence);
  void remove_if(const std::function<bool(const Sequence&)>& matches);
  void for_each(const std::function<void(const Sequence&)>& visit) const;

  // `num_tokens` were computed for this tenant.
  void charge(TenantId tenant, int64_t num_tokens);

 private:
  struct Waiting {
    std::unique_ptr<Sequence> sequence;
    uint64_t ticket = 0;  // order of coming
  };
  using Line = std::deque<Waiting>;
  using LineOfTenant = std::map<TenantId, Line>;  // only tenants that wait

  const Waiting* next_of(const LineOfTenant& lines) const;
  int64_t charged_to(TenantId tenant) const;
  void catch_up(TenantId tenant);
  std::vector<Line*> all_lines();
  void drop_empty_lines();

  Line preempted_interactive_;
  Line preempted_background_;
  LineOfTenant interactive_;
  LineOfTenant background_;
  std::map<TenantId, int64_t> charged_;  // tokens, of every tenant seen
  TenantId last_tenant_ = 0;             // whose sequence was taken last
  uint64_t next_ticket_ = 1;
  int32_t size_ = 0;
};

}  // namespace pagoda
