// Error, ErrorCode and Result<T>: how every fallible function of the project answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace pagoda {

// What went wrong, as a closed set. The server maps each code to one HTTP status
// (server/openai/errors.cc); the command line maps them to exit code 1, `bench` some of them to 2.
enum class ErrorCode {
  kInvalidArgument,  // the caller's value is wrong: bad flag, bad field, bad file content
  kUnauthenticated,  // missing or wrong key
  kNotFound,         // file, model or route does not exist
  kTooLarge,         // a body, header or file is beyond a stated limit
  kUnsupported,      // understood, valid, and not provided by this build
  kOverloaded,       // try again later: a queue or a budget is full
  kUnavailable,      // not now: loading or draining
  kCancelled,        // the caller went away or asked to stop
  kInternal,         // a fault of ours or of the machine
};

// One failure. `message` names the thing, the value and the limit, and is fit to
// show to a user; it never holds prompt text. `param` is the dotted path of the
// offending request field, or empty.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string param = {};
  int32_t retry_after_s = 0;  // when to try again; 0: unknown
};

inline Error invalid_argument(std::string message, std::string param = {}) {
  return {ErrorCode::kInvalidArgument, std::move(message), std::move(param)};
}

// A value or an Error. Value type, no thread rules. Reading the wrong side is a
// CHECK, so test ok() first or use the macros below.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }

  T& value() & {
    CHECK(ok());
    return std::get<T>(state_);
  }
  const T& value() const& {
    CHECK(ok());
    return std::get<T>(state_);
  }
  T&& value() && {
    CHECK(ok());
    return std::get<T>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    CHECK(!ok());
    return std::get<Error>(state_);
  }
  Error&& error() && {
    CHECK(!ok());
    return std::get<Error>(std::move(state_));
  }

 private:
  std::variant<T, Error> state_;
};

// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& {
    CHECK(!ok());
    return *error_;
  }
  Error&& error() && {
    CHECK(!ok());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace pagoda

#define PAGODA_CONCAT_INNER(a, b) a##b
#define PAGODA_CONCAT(a, b) PAGODA_CONCAT_INNER(a, b)

// Returns the Error of `expr` (a Result) from the calling function if it has one.
#define RETURN_IF_ERROR(expr)                                         \
  do {                                                                \
    auto pagoda_status = (expr);                                      \
    if (!pagoda_status.ok()) return std::move(pagoda_status).error(); \
  } while (false)

#define PAGODA_ASSIGN_OR_RETURN(tmp, lhs, expr) \
  auto tmp = (expr);                            \
  if (!tmp.ok()) return std::move(tmp).error(); \
  lhs = std::move(tmp).value()

// ASSIGN_OR_RETURN(const int32_t n, parse(text)); declares n or returns the Error.
#define ASSIGN_OR_RETURN(lhs, ...) \
  PAGODA_ASSIGN_OR_RETURN(PAGODA_CONCAT(pagoda_result_, __COUNTER__), lhs, (__VA_ARGS__))
