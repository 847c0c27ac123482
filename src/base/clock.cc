// The real clock.
#include "base/clock.h"

namespace pagoda {
namespace {

class SteadyClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace

const Clock& real_clock() {
  static const SteadyClock clock;
  return clock;
}

}  // namespace pagoda
