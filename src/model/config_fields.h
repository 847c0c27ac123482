// Fields: checked reading of the values of config.json, all of which come from outside.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace pagoda {

inline Error bad_value(std::string_view key, const Json& value, std::string_view wanted) {
  return invalid_argument(fmt::format("config.json: \"{}\" is {}, wanted {}", key,
                                      dump_json(value).substr(0, 80), wanted));
}

inline Error unsupported(std::string message) {
  return {ErrorCode::kUnsupported, "config.json: " + std::move(message)};
}

// The member, or null where it is absent or JSON null, which Transformers takes as absent.
inline const Json* member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

// Reads numbers of one object. The first failure is kept and later reads change nothing, so that a
// list of fields reads as a list.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  // A whole number in [low, high]. Without `fallback` the key must be there.
  int32_t count(const char* key, int32_t low, int32_t high,
                std::optional<int32_t> fallback = std::nullopt) {
    const Json* value = member(object_, key);
    if (value == nullptr) {
      if (!fallback) fail(invalid_argument(fmt::format("config.json: no \"{}\"", key)));
      return fallback.value_or(low);
    }
    const std::string wanted = fmt::format("a whole number in [{}, {}]", low, high);
    if (!value->is_number_integer()) return fail(bad_value(key, *value, wanted)), low;
    const bool huge =
        value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    const int64_t number = huge ? INT64_MAX : value->get<int64_t>();
    if (number < low || number > high) return fail(bad_value(key, *value, wanted)), low;
    return static_cast<int32_t>(number);
  }

  // A finite number in [low, high].
  double real(const char* key, double low, double high,
              std::optional<double> fallback = std::nullopt) {
    const Json* value = member(object_, key);
    if (value == nullptr) {
      if (!fallback) fail(invalid_argument(fmt::format("config.json: no \"{}\"", key)));
      return fallback.value_or(low);
    }
    const std::string wanted = fmt::format("a number in [{}, {}]", low, high);
    if (!value->is_number()) return fail(bad_value(key, *value, wanted)), low;
    const double number = value->get<double>();
    if (!(number >= low && number <= high)) return fail(bad_value(key, *value, wanted)), low;
    return number;
  }

  // As real(), at least `low` and small enough for a float; absent: `fallback`.
  float positive(const char* key, double low, float fallback) {
    return static_cast<float>(real(key, low, 1e9, static_cast<double>(fallback)));
  }

  bool flag(const char* key, bool fallback) {
    const Json* value = member(object_, key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) return fail(bad_value(key, *value, "true or false")), fallback;
    return value->get<bool>();
  }

  std::string text(const char* key, std::string fallback) {
    const Json* value = member(object_, key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) return fail(bad_value(key, *value, "a string")), fallback;
    return value->get<std::string>();
  }

  // A list of exactly `length` numbers in [low, high].
  std::vector<double> reals(const char* key, size_t length, double low, double high) {
    std::vector<double> numbers;
    const Json* value = member(object_, key);
    if (value == nullptr) {
      fail(invalid_argument(fmt::format("config.json: no \"{}\"", key)));
      return numbers;
    }
    const std::string wanted = fmt::format("a list of {} numbers in [{}, {}]", length, low, high);
    if (!value->is_array() || value->size() != length) {
      fail(bad_value(key, *value, wanted));
      return numbers;
    }
    for (const Json& item : *value) {
      const double number = item.is_number() ? item.get<double>() : low - 1.0;
      if (!(number >= low && number <= high)) fail(bad_value(key, item, wanted));
      numbers.push_back(number);
    }
    return numbers;
  }

  bool has(const char* key) const { return member(object_, key) != nullptr; }
  const Json& object() const { return object_; }

  void fail(Error error) {
    if (!error_) error_ = std::move(error);
  }
  Result<void> status() const { return error_ ? Result<void>(*error_) : Result<void>(); }

 private:
  const Json& object_;
  std::optional<Error> error_;
};

// Most positions, and so the largest window, of any model.
inline constexpr int32_t kMaxPositions = 1 << 24;

}  // namespace pagoda
