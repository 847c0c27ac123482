// Order among those who wait.
#include "engine/waiting_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace pagoda {

void WaitingQueue::push(std::unique_ptr<Sequence> sequence) {
  const TenantId tenant = sequence->request->tenant;
  catch_up(tenant);
  LineOfTenant& lines =
      sequence->request->priority == Priority::kInteractive ? interactive_ : background_;
  lines[tenant].push_back({.sequence = std::move(sequence), .ticket = next_ticket_++});
  ++size_;
}

void WaitingQueue::push_preempted(std::unique_ptr<Sequence> sequence) {
  CHECK(!sequence->is_guaranteed);
  sequence->is_guaranteed = true;
  Line& line = sequence->request->priority == Priority::kInteractive ? preempted_interactive_
                                                                     : preempted_background_;
  line.push_back({.sequence = std::move(sequence), .ticket = next_ticket_++});
  ++size_;
}

// A tenant that did not wait has no claim to what it could have had meanwhile.
void WaitingQueue::catch_up(TenantId tenant) {
  if (interactive_.contains(tenant) || background_.contains(tenant)) return;
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const LineOfTenant* lines : {&interactive_, &background_}) {
    for (const auto& [other, line] : *lines) least = std::min(least, charged_to(other));
  }
  if (least == std::numeric_limits<int64_t>::max()) least = charged_to(last_tenant_);
  charged_[tenant] = std::max(charged_to(tenant), least);
}

int64_t WaitingQueue::charged_to(TenantId tenant) const {
  const auto found = charged_.find(tenant);
  return found == charged_.end() ? 0 : found->second;
}

const WaitingQueue::Waiting* WaitingQueue::next_of(const LineOfTenant& lines) const {
  const Waiting* best = nullptr;
  int64_t least = 0;
  for (const auto& [tenant, line] : lines) {
    const int64_t charged = charged_to(tenant);
    if (best == nullptr || charged < least ||
        (charged == least && line.front().ticket < best->ticket)) {
      best = &line.front();
      least = charged;
    }
  }
  return best;
}

Sequence* WaitingQueue::next() const {
  if (!preempted_interactive_.empty()) return preempted_interactive_.front().sequence.get();
  const Waiting* interactive = next_of(interactive_);
  if (!preempted_background_.empty()) {
    const Waiting& preempted = preempted_background_.front();
    if (interactive == nullptr || preempted.ticket < interactive->ticket) {
      return preempted.sequence.get();
    }
  }
  return next_unguaranteed();
}

Sequence* WaitingQueue::next_unguaranteed() const {
  for (const LineOfTenant* lines : {&interactive_, &background_}) {
    if (const Waiting* next = next_of(*lines)) return next->sequence.get();
  }
  return nullptr;
}

std::vector<WaitingQueue::Line*> WaitingQueue::all_lines() {
  std::vector<Line*> lines = {&preempted_interactive_, &preempted_background_};
  for (LineOfTenant* of_tenant : {&interactive_, &background_}) {
    for (auto& [tenant, line] : *of_tenant) lines.push_back(&line);
  }
  return lines;
}

void WaitingQueue::drop_empty_lines() {
  for (LineOfTenant* lines : {&interactive_, &background_}) {
    std::erase_if(*lines, [](const auto& entry) { return entry.second.empty(); });
  }
}

std::unique_ptr<Sequence> WaitingQueue::take(const Sequence& sequence) {
  for (Line* line : all_lines()) {
    if (line->empty() || line->front().sequence.get() != &sequence) continue;
    std::unique_ptr<Sequence> taken = std::move(line->front().sequence);
    line->pop_front();
    --size_;
    last_tenant_ = taken->request->tenant;
    drop_empty_lines();
    return taken;
  }
  CHECK(false);
  return nullptr;
}

void WaitingQueue::remove_if(const std::function<bool(const Sequence&)>& matches) {
  for (Line* line : all_lines()) {
    size_ -= static_cast<int32_t>(
        std::erase_if(*line, [&](const Waiting& w) { return matches(*w.sequence); }));
  }
  drop_empty_lines();
}

void WaitingQueue::for_each(const std::function<void(const Sequence&)>& visit) const {
  const auto visit_line = [&](const Line& line) {
    for (const Waiting& waiting : line) visit(*waiting.sequence);
  };
  visit_line(preempted_interactive_);
  visit_line(preempted_background_);
  for (const LineOfTenant* lines : {&interactive_, &background_}) {
    for (const auto& [tenant, line] : *lines) visit_line(line);
  }
}

void WaitingQueue::charge(TenantId tenant, int64_t num_tokens) {
  charged_[tenant] += num_tokens;
}

}  // namespace pagoda
