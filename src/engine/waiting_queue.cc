// Order among those who wait.
#include "engine/waiting_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace pagoda {

void WaitingQueue::push(std::unique_ptr<Sequence> sequence) {
  Class& where = class_of(sequence->request->priority);
  push_into(where, std::move(sequence));
}

void WaitingQueue::push_preempted(std::unique_ptr<Sequence> sequence) {
  CHECK(!sequence->is_guaranteed);
  sequence->is_guaranteed = true;
  if (sequence->request->priority == Priority::kBackground) {
    return push_into(classes_[0], std::move(sequence));
  }
  classes_[0].preempted.push_back(std::move(sequence));
  ++size_;
}

void WaitingQueue::push_into(Class& where, std::unique_ptr<Sequence> sequence) {
  const TenantId tenant = sequence->request->tenant;
  const auto waits = [&](const Class& c) { return c.by_tenant.contains(tenant); };
  if (!std::ranges::any_of(classes_, waits)) {
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const Class& c : classes_) {
      for (const auto& [other, sequences] : c.by_tenant) least = std::min(least, charged_[other]);
    }
    if (least == std::numeric_limits<int64_t>::max()) least = charged_[last_tenant_];
    charged_[tenant] = std::max(charged_[tenant], least);
  }
  where.by_tenant[tenant].push_back(std::move(sequence));
  ++size_;
}

WaitingQueue::Sequences* WaitingQueue::next_list() {
  for (Class& c : classes_) {
    if (!c.preempted.empty()) return &c.preempted;
    Sequences* best = nullptr;
    int64_t least = 0;
    for (auto& [tenant, sequences] : c.by_tenant) {
      const int64_t charged = charged_[tenant];
      if (best == nullptr || charged < least ||
          (charged == least && sequences.front()->id < best->front()->id)) {
        best = &sequences;
        least = charged;
      }
    }
    if (best != nullptr) return best;
  }
  return nullptr;
}

Sequence* WaitingQueue::next() {
  const Sequences* list = next_list();
  return list == nullptr ? nullptr : list->front().get();
}

std::unique_ptr<Sequence> WaitingQueue::pop_next() {
  Sequences* list = next_list();
  CHECK(list != nullptr);
  std::unique_ptr<Sequence> sequence = std::move(list->front());
  list->pop_front();
  --size_;
  last_tenant_ = sequence->request->tenant;
  for (Class& c : classes_)
    std::erase_if(c.by_tenant, [](const auto& e) { return e.second.empty(); });
  return sequence;
}

void WaitingQueue::remove_if(const std::function<bool(const Sequence&)>& matches) {
  const auto remove_from = [&](Sequences& list) {
    size_ -= static_cast<int32_t>(std::erase_if(list, [&](const auto& s) { return matches(*s); }));
  };
  for (Class& c : classes_) {
    remove_from(c.preempted);
    for (auto& [tenant, sequences] : c.by_tenant) remove_from(sequences);
    std::erase_if(c.by_tenant, [](const auto& e) { return e.second.empty(); });
  }
}

void WaitingQueue::for_each(const std::function<void(const Sequence&)>& visit) const {
  for (const Class& c : classes_) {
    for (const auto& s : c.preempted) visit(*s);
    for (const auto& [tenant, sequences] : c.by_tenant) {
      for (const auto& s : sequences) visit(*s);
    }
  }
}

void WaitingQueue::charge(TenantId tenant, int64_t num_tokens) {
  charged_[tenant] += num_tokens;
}

}  // namespace pagoda
