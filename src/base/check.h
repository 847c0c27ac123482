// CHECK and DCHECK: stop the process when our own reasoning is wrong, never for bad input.
#pragma once

namespace pagoda {

// Prints the failed condition with its place to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace pagoda

// Always on. No input may reach one: input errors are Result, shortage is a return value.
#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::pagoda::check_failed(#condition, __FILE__, __LINE__))

// On in debug and sanitizer builds only: for the inner loops of kernels.
#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(0)
#else
#define DCHECK(condition) CHECK(condition)
#endif
