// Least-squares lines through the recent past.
#include "bench/saturation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace pagoda {
namespace {

constexpr double kWindow_s = 30.0;
constexpr double kShortest_s = 10.0;
constexpr size_t kFewestPoints = 10;
constexpr double kOneSided99 = 2.33;
constexpr double kGrowth = 0.5;

struct Point {
  double x;
  double y;
};

// The slope is certainly above zero, and what it adds up to matters.
bool grows(const std::vector<Point>& points) {
  const auto n = static_cast<double>(points.size());
  if (points.size() < kFewestPoints) return false;
  double x = 0.0;
  double y = 0.0;
  for (const Point& p : points) {
    x += p.x / n;
    y += p.y / n;
  }
  double sxx = 0.0;
  double sxy = 0.0;
  for (const Point& p : points) {
    sxx += (p.x - x) * (p.x - x);
    sxy += (p.x - x) * (p.y - y);
  }
  if (!(sxx > 0.0)) return false;
  const double slope = sxy / sxx;
  double rest = 0.0;
  for (const Point& p : points) {
    const double off = p.y - y - slope * (p.x - x);
    rest += off * off;
  }
  const double error = std::sqrt(rest / (n - 2.0) / sxx);
  const double length = points.back().x - points.front().x;
  return slope > kOneSided99 * error && slope * length > kGrowth * y;
}

}  // namespace

bool is_over_saturated(const std::deque<RequestRecord>& records, double elapsed_s) {
  if (elapsed_s < kShortest_s) return false;
  const double from = std::max(0.0, elapsed_s - kWindow_s);
  std::vector<Point> ttft;
  for (const RequestRecord& r : records) {
    const double intended = static_cast<double>(r.intended_ns) * 1e-9;
    if (intended < from || r.piece_ns.empty()) continue;
    ttft.push_back({intended, static_cast<double>(r.piece_ns.front()) * 1e-9 - intended});
  }
  std::vector<Point> running;
  for (double t = from; t < elapsed_s; t += 0.5) {
    const auto ns = static_cast<int64_t>(t * 1e9);
    const auto count = std::count_if(records.begin(), records.end(), [ns](const RequestRecord& r) {
      return r.intended_ns <= ns && (r.end_ns < 0 || r.end_ns > ns);
    });
    running.push_back({t, static_cast<double>(count)});
  }
  return grows(ttft) && grows(running);
}

}  // namespace pagoda
