// OutputLengthPredictor: how long outputs turn out to be, so that not too many start at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace pagoda {

// Keeps the lengths of the latest outputs that ended by themselves and predicts a new one by their
// distribution, given how long it is already, as the Past-Future scheduler does (Gong et al.,
// ASPLOS 2025). The 80th percentile rather than a draw: the same load gives the same schedule.
// Value type.
class OutputLengthPredictor {
 public:
  void observe(int32_t num_output_tokens) {
    latest_.push_back(num_output_tokens);
    sorted_.insert(std::ranges::upper_bound(sorted_, num_output_tokens), num_output_tokens);
    if (latest_.size() <= kNumLatest) return;
    sorted_.erase(std::ranges::lower_bound(sorted_, latest_.front()));
    latest_.pop_front();
  }

  // Tokens still to come of an output that has `num_so_far` of at most `max_tokens`; at least 1
  // while it is not full.
  int32_t predict_remaining(int32_t num_so_far, int32_t max_tokens) const {
    const int32_t most = std::max(max_tokens - num_so_far, 0);
    const auto longer = std::ranges::upper_bound(sorted_, num_so_far);
    const auto num_longer = static_cast<size_t>(sorted_.end() - longer);
    // Nothing to go by: as long again as it is, and not less than a short answer.
    int32_t remaining = std::max(num_so_far, kShortAnswer);
    if (num_longer > 0)
      remaining = longer[static_cast<std::ptrdiff_t>(num_longer * 4 / 5)] - num_so_far;
    return std::clamp(remaining, std::min(1, most), most);
  }

 private:
  static constexpr size_t kNumLatest = 256;
  static constexpr int32_t kShortAnswer = 64;

  std::deque<int32_t> latest_;
  std::vector<int32_t> sorted_;
};

}  // namespace pagoda
