// MergeQueue: a priority queue of candidate merges that takes constant time for most of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace pagoda {

// Orders candidates by rank, then by place. Candidates of one rank wait in a list: a text has far
// fewer ranks than candidates, and those of a rank mostly come in the order of their places, so
// that few comparisons are needed. O(log n) at worst. Not thread-safe.
class MergeQueue {
 public:
  // For ranks 0..num_ranks-1. Memory is touched only for the ranks that occur.
  explicit MergeQueue(size_t num_ranks);

  // REQUIRES: 0 <= rank < num_ranks.
  void push(int32_t rank, uint32_t place);
  // Takes out the first candidate; false when there is none.
  bool pop(int32_t& rank, uint32_t& place);
  // A place that pop() will probably give soon, to be fetched from memory; else any.
  uint32_t later_place() const { return next_ + 8 < places_.size() ? places_[next_ + 8] : 0; }

 private:
  static constexpr uint32_t kNone = 0;  // chunk 0 is not used, so that zeroed memory is empty lists
  // A part of a list, one line of the processor's cache.
  struct alignas(64) Chunk {
    uint32_t next = kNone;
    uint32_t count = 0;
    std::array<uint32_t, 14> places = {};
  };
  struct List {
    uint32_t first, last;
  };
  struct Free {
    void operator()(List* lists) const { std::free(lists); }
  };
  bool start_next_rank();
  uint32_t new_chunk();

  std::unique_ptr<List, Free> lists_;  // by rank
  std::vector<Chunk> chunks_{1};
  uint32_t unused_ = kNone;     // chunks that have been taken out
  std::vector<int32_t> ranks_;  // a heap of the ranks whose list is not empty, the least on top
  // The rank that is being emptied; no list has its rank or a better one.
  int32_t rank_ = -1;
  std::vector<uint32_t> places_;
  size_t next_ = 0;
  std::vector<uint64_t> early_;  // a heap of what came for this rank or better ones meanwhile
};

}  // namespace pagoda
