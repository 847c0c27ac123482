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
// sequence that lost its blocks comes back as an interactive one that has just arrived, so that it
// cannot lose for ever.
//
// Owned by the Scheduler; engine thread only. Owns the sequences in it.
class WaitingQueue {
 public:
  bool empty() const { return size_ == 0; }
  int32_t size() const { return size_; }

  void push(std::unique_ptr<Sequence> sequence);
  // Of one that was running. Sets Sequence::is_guaranteed.
  void push_preempted(std::unique_ptr<Sequence> sequence);
  // Null when empty; holds until the next change.
  Sequence* next();
  // REQUIRES: !empty().
  std::unique_ptr<Sequence> pop_next();
  void remove_if(const std::function<bool(const Sequence&)>& matches);
  void for_each(const std::function<void(const Sequence&)>& visit) const;

  // `num_tokens` were computed for this tenant.
  void charge(TenantId tenant, int64_t num_tokens);

 private:
  using Sequences = std::deque<std::unique_ptr<Sequence>>;
  struct Class {
    Sequences preempted;
    std::map<TenantId, Sequences> by_tenant;  // only tenants that wait
  };

  Sequences* next_list();
  Class& class_of(Priority priority) {
    return priority == Priority::kInteractive ? classes_[0] : classes_[1];
  }
  void push_into(Class& where, std::unique_ptr<Sequence> sequence);

  Class classes_[2];                     // interactive, background
  std::map<TenantId, int64_t> charged_;  // tokens, of every tenant seen
  TenantId last_tenant_ = 0;             // whose sequence left last
  int32_t size_ = 0;
};

}  // namespace pagoda
