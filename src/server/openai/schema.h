// Fields: checked reading of the fields of one JSON object.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "core/types.h"

namespace pagoda::openai {

struct IntegerRange {
  int64_t min = 0;
  int64_t max = 0;
};

struct NumberRange {
  double min = 0;
  double max = 0;
  bool above_min_only = false;  // `min` itself is outside
};

// Reads fields by name and keeps the first thing found wrong, so that a caller reads them all and
// asks once. Absent fields and null give the fallback. Error messages name the dotted path and the
// limits, and echo at most 40 bytes of a value. Borrows the object. Not thread-safe.
class Fields {
 public:
  // REQUIRES: `object` is an object. `prefix` is its own dotted path, "" for the body.
  explicit Fields(const Json& object, std::string prefix = {});

  const Json* find(std::string_view key) const;  // null when absent or JSON null
  std::string path(std::string_view key) const;

  bool boolean(std::string_view key, bool fallback);
  int64_t integer(std::string_view key, IntegerRange range, int64_t fallback);
  double number(std::string_view key, NumberRange range, double fallback);
  std::string string(std::string_view key, std::string fallback = {});
  // A string or an array of at most `max_count` strings.
  std::vector<std::string> strings(std::string_view key, size_t max_count);
  // An array of at most `max_count` integers in [0, vocab_size).
  std::vector<TokenId> token_ids(std::string_view key, int32_t vocab_size, size_t max_count);

  // Records that a field is wrong; `message` goes behind the path.
  void refuse(std::string_view key, std::string_view message);
  // Records what was found wrong in a part of the object.
  void refuse(const Error& error);
  bool ok() const { return !error_.has_value(); }
  Result<void> status() const;

 private:
  const Json& object_;
  std::string prefix_;
  std::optional<Error> error_;
};

// "a string", "an array", "-1": what a value is, in at most 40 bytes, and never the content of a
// string.
std::string describe(const Json& value);

// The same, but a string by its first 40 bytes: for fields that hold one of a few words.
std::string quote(const Json& value);

// The integer in `value`, when it is one (5 and 5.0 are) within the range.
std::optional<int64_t> as_integer(const Json& value, IntegerRange range);

// Token ids of a JSON array; the error's param is `path`, with the index of the wrong element.
Result<std::vector<TokenId>> to_token_ids(const Json& array, int32_t vocab_size,
                                          const std::string& path);

// The body of a request as a JSON object.
Result<Json> parse_body(std::string_view body);

}  // namespace pagoda::openai
