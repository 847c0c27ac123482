// Rings of samples and their sums.
#include "server/monitor/history.h"

#include <algorithm>
#include <utility>

namespace pagoda {
namespace {

int64_t round_up(int64_t t, int64_t step) {
  return (t + step - 1) / step * step;
}

}  // namespace

Window::Window(const SpreadBounds& bounds) : bounds_(&bounds) {
}

void Window::add(const Sample& sample) {
  seconds_ += sample.seconds;
  for (size_t i = 0; i < kNumCounts; ++i) counts_[i] += sample.counts[i];
  for (size_t i = 0; i < kNumLevels; ++i) level_seconds_[i] += sample.levels[i] * sample.seconds;
  for (size_t i = 0; i < kNumSpreads; ++i) sums_[i] += sample.sums[i];
  for (const Sample::Bucket& bucket : sample.buckets) {
    std::vector<uint64_t>& counts = buckets_[bucket.spread];
    if (counts.empty()) counts.resize((*bounds_)[bucket.spread].size() + 1);
    counts[bucket.index] += bucket.count;
  }
}

std::optional<double> Window::level(Level what) const {
  if (empty()) return std::nullopt;
  return level_seconds_[static_cast<size_t>(what)] / seconds_;
}

std::span<const uint64_t> Window::buckets(Spread what) const {
  return buckets_[static_cast<size_t>(what)];
}

uint64_t Window::num(Spread what) const {
  uint64_t sum = 0;
  for (const uint64_t count : buckets(what)) sum += count;
  return sum;
}

std::optional<double> Window::mean(Spread what) const {
  const uint64_t n = num(what);
  if (n == 0) return std::nullopt;
  return sums_[static_cast<size_t>(what)] / static_cast<double>(n);
}

std::optional<double> Window::quantile(Spread what, double share) const {
  const std::vector<double>& bounds = (*bounds_)[static_cast<size_t>(what)];
  const std::span<const uint64_t> counts = buckets(what);
  const uint64_t n = num(what);
  if (n == 0) return std::nullopt;
  const double wanted = share * static_cast<double>(n);
  double before = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && before + here >= wanted) {
      const double low = i == 0 ? 0.0 : bounds[i - 1];
      return low + (bounds[i] - low) * std::clamp((wanted - before) / here, 0.0, 1.0);
    }
    before += here;
  }
  return bounds.empty() ? 0.0 : bounds.back();
}

double Window::num_requests() const {
  double sum = 0;
  for (size_t i = 0; i < kNumRequestEnds; ++i) sum += count(end_count(static_cast<RequestEnd>(i)));
  return sum;
}

Sample Window::to_sample(int64_t t) const {
  Sample sample{.t = t,
                .seconds = seconds_,
                .counts = counts_,
                .levels = level_seconds_,
                .sums = sums_,
                .buckets = {}};
  for (double& level : sample.levels) level = empty() ? 0.0 : level / seconds_;
  for (size_t spread = 0; spread < kNumSpreads; ++spread) {
    for (size_t i = 0; i < buckets_[spread].size(); ++i) {
      if (buckets_[spread][i] == 0) continue;
      sample.buckets.push_back({static_cast<uint16_t>(spread), static_cast<uint16_t>(i),
                                static_cast<uint32_t>(buckets_[spread][i])});
    }
  }
  return sample;
}

void History::Ring::push(Sample sample, int64_t keep_s) {
  const int64_t oldest = sample.t - keep_s;
  num_buckets += sample.buckets.size();
  sample.buckets.shrink_to_fit();
  samples.push_back(std::move(sample));
  while (samples.front().t <= oldest || (num_buckets > kMaxBuckets && samples.size() > 1)) {
    num_buckets -= samples.front().buckets.size();
    samples.pop_front();
  }
}

History::History(SpreadBounds bounds) : bounds_(std::move(bounds)), pending_(bounds_) {
}

void History::add(Sample sample) {
  const int64_t end = round_up(sample.t, kCoarseStep);
  if (end != pending_end_) {
    if (!pending_.empty()) coarse_.push(pending_.to_sample(pending_end_), kCoarseSeconds);
    pending_ = Window(bounds_);
    pending_end_ = end;
  }
  pending_.add(sample);
  fine_.push(std::move(sample), kFineSeconds);
}

const std::deque<Sample>& History::samples_for(int64_t range_s) const {
  return range_s <= kFineSeconds ? fine_.samples : coarse_.samples;
}

Window History::window(int64_t now, int64_t seconds) const {
  Window window(bounds_);
  const std::deque<Sample>& samples = samples_for(seconds);
  const auto first = std::ranges::upper_bound(samples, now - seconds, {}, &Sample::t);
  for (auto it = first; it != samples.end(); ++it) window.add(*it);
  return window;
}

std::vector<History::Point> History::points(int64_t now, int64_t range_s, int64_t step) const {
  std::vector<Point> points;
  const std::deque<Sample>& samples = samples_for(range_s);
  const auto first = std::ranges::upper_bound(samples, now - range_s, {}, &Sample::t);
  for (auto it = first; it != samples.end(); ++it) {
    const int64_t end = round_up(it->t, step);
    if (points.empty() || points.back().t != end) points.push_back({end, Window(bounds_)});
    points.back().window.add(*it);
  }
  return points;
}

int64_t History::choose_step(int64_t range_s, int64_t max_points) {
  const int64_t least = range_s <= kFineSeconds ? 1 : kCoarseStep;
  // Widths that people can read off a time axis.
  for (const int64_t step : {1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200}) {
    if (step >= least && range_s <= step * max_points) return step;
  }
  return 10'800;
}

size_t History::num_bytes() const {
  const size_t num_samples = fine_.samples.size() + coarse_.samples.size();
  const size_t num_buckets = fine_.num_buckets + coarse_.num_buckets;
  return num_samples * sizeof(Sample) + num_buckets * sizeof(Sample::Bucket);
}

}  // namespace pagoda
