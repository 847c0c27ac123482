// MergeQueue: lists by rank, a heap of ranks, and a heap for what comes late.
#include "text/merge_queue.h"

#include <algorithm>
#include <array>
#include <functional>

#include "base/check.h"

namespace pagoda {
namespace {

uint64_t key_of(int32_t rank, uint32_t place) {
  return (uint64_t{static_cast<uint32_t>(rank)} << 32) | place;
}

// In passes over 11 bits each, as many as the largest place needs.
void sort_places(std::vector<uint32_t>& places) {
  constexpr size_t kWorthPasses = 512;
  constexpr uint32_t kBits = 11, kMask = (1U << kBits) - 1;
  if (std::is_sorted(places.begin(), places.end())) return;
  if (places.size() < kWorthPasses) {
    std::sort(places.begin(), places.end());
    return;
  }
  const uint32_t largest = *std::max_element(places.begin(), places.end());
  std::vector<uint32_t> sorted(places.size());
  for (uint32_t shift = 0; shift < 32 && (largest >> shift) != 0; shift += kBits) {
    std::array<size_t, kMask + 2> begin = {};
    for (const uint32_t place : places) ++begin[((place >> shift) & kMask) + 1];
    for (size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    for (const uint32_t place : places) sorted[begin[(place >> shift) & kMask]++] = place;
    places.swap(sorted);
  }
}

}  // namespace

// calloc's pages are zero without being touched.
MergeQueue::MergeQueue(size_t num_ranks)
    : lists_(static_cast<List*>(std::calloc(num_ranks + 1, sizeof(List)))) {
  CHECK(lists_ != nullptr);
}

void MergeQueue::push(int32_t rank, uint32_t place) {
  if (rank <= rank_) {
    early_.push_back(key_of(rank, place));
    std::push_heap(early_.begin(), early_.end(), std::greater<>());
    return;
  }
  List& list = lists_.get()[rank];
  if (list.first == kNone) {
    list.first = list.last = new_chunk();
    ranks_.push_back(rank);
    std::push_heap(ranks_.begin(), ranks_.end(), std::greater<>());
  } else if (chunks_[list.last].count == chunks_[list.last].places.size()) {
    const uint32_t chunk = new_chunk();
    chunks_[list.last].next = chunk;
    list.last = chunk;
  }
  Chunk& chunk = chunks_[list.last];
  chunk.places[chunk.count++] = place;
}

uint32_t MergeQueue::new_chunk() {
  const uint32_t chunk = unused_;
  if (chunk == kNone) {
    chunks_.emplace_back();
    return static_cast<uint32_t>(chunks_.size() - 1);
  }
  unused_ = chunks_[chunk].next;
  chunks_[chunk].next = kNone;
  chunks_[chunk].count = 0;
  return chunk;
}

bool MergeQueue::start_next_rank() {
  if (ranks_.empty()) return false;
  std::pop_heap(ranks_.begin(), ranks_.end(), std::greater<>());
  rank_ = ranks_.back();
  ranks_.pop_back();
  List& list = lists_.get()[rank_];
  places_.clear();
  next_ = 0;
  for (uint32_t at = list.first; at != kNone; at = chunks_[at].next) {
    const Chunk& chunk = chunks_[at];
    places_.insert(places_.end(), chunk.places.begin(), chunk.places.begin() + chunk.count);
  }
  chunks_[list.last].next = unused_;
  unused_ = list.first;
  list = {kNone, kNone};
  sort_places(places_);
  return true;
}

bool MergeQueue::pop(int32_t& rank, uint32_t& place) {
  if (!early_.empty() &&
      (next_ == places_.size() || early_.front() < key_of(rank_, places_[next_]))) {
    rank = static_cast<int32_t>(early_.front() >> 32);
    place = static_cast<uint32_t>(early_.front());
    std::pop_heap(early_.begin(), early_.end(), std::greater<>());
    early_.pop_back();
    return true;
  }
  if (next_ == places_.size() && !start_next_rank()) return false;
  rank = rank_;
  place = places_[next_++];
  return true;
}

}  // namespace pagoda
