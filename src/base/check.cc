// The out-of-line half of CHECK: one cold function for the whole program.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace pagoda {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "pagoda: %s:%d: CHECK failed: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace pagoda
