// The progress bar and the progress line.
#include "hub/progress.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/system_memory.h"

namespace pagoda {
namespace {

constexpr std::chrono::seconds kBetweenLines{5};
constexpr std::chrono::milliseconds kRateInterval{1000};
// Weight of the last second in the rate shown.
constexpr double kSmoothing = 0.3;
constexpr int kBarColumns = 24;

double share_done(const PullProgress& progress) {
  if (progress.total_bytes <= 0) return progress.num_files == progress.total_files ? 1.0 : 0.0;
  return std::clamp(
      static_cast<double>(progress.num_bytes) / static_cast<double>(progress.total_bytes), 0.0,
      1.0);
}

std::string duration_text(double seconds) {
  if (seconds < 100) return fmt::format("{:.0f} s", seconds);
  if (seconds < 6000) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", std::min(seconds / 3600, 9999.0));
}

}  // namespace

std::string ProgressText::counts(const PullProgress& progress, TimePoint now) {
  if (rate_time_ == TimePoint{}) {
    rate_time_ = now;
    rate_bytes_ = progress.received_bytes;
  } else if (now - rate_time_ >= kRateInterval) {
    const double seconds = std::chrono::duration<double>(now - rate_time_).count();
    const double rate = static_cast<double>(progress.received_bytes - rate_bytes_) / seconds;
    bytes_per_second_ = bytes_per_second_ == 0.0
                            ? rate
                            : kSmoothing * rate + (1.0 - kSmoothing) * bytes_per_second_;
    rate_time_ = now;
    rate_bytes_ = progress.received_bytes;
  }
  std::string text =
      fmt::format("{} of {}, {} of {} files", format_bytes(progress.num_bytes),
                  format_bytes(progress.total_bytes), progress.num_files, progress.total_files);
  const int64_t left = progress.total_bytes - progress.num_bytes;
  if (bytes_per_second_ >= 1.0 && left > 0) {
    text += fmt::format(", {}/s, {} left", format_bytes(static_cast<int64_t>(bytes_per_second_)),
                        duration_text(static_cast<double>(left) / bytes_per_second_));
  }
  return text;
}

std::string ProgressText::bar(const PullProgress& progress, TimePoint now, int width) {
  const double share = share_done(progress);
  const auto filled = static_cast<size_t>(share * kBarColumns);
  std::string text = fmt::format(
      "{:>5.1f}% [{}{}] {}",
      std::min(share * 100, progress.num_files < progress.total_files ? 99.9 : 100.0),
      std::string(filled, '#'), std::string(kBarColumns - filled, ' '), counts(progress, now));
  if (width > 0 && text.size() > static_cast<size_t>(width))
    text.resize(static_cast<size_t>(width));
  return text;
}

std::string ProgressText::line(const PullProgress& progress, TimePoint now) {
  if (line_time_ != TimePoint{} && now - line_time_ < kBetweenLines) return "";
  line_time_ = now;
  return fmt::format("{:.0f}%: {}", share_done(progress) * 100, counts(progress, now));
}

}  // namespace pagoda
