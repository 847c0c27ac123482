// Checked reading of JSON fields.
#include "server/openai/schema.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace pagoda::openai {
namespace {

std::string range_text(const NumberRange& range) {
  return fmt::format("{}{}, {}]", range.above_min_only ? '(' : '[', range.min, range.max);
}

}  // namespace

Fields::Fields(const Json& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)) {
}

const Json* Fields::find(std::string_view key) const {
  const auto it = object_.find(std::string(key));
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::string Fields::path(std::string_view key) const {
  return prefix_.empty() ? std::string(key) : fmt::format("{}.{}", prefix_, key);
}

void Fields::refuse(std::string_view key, std::string_view message) {
  if (error_.has_value()) return;
  const std::string where = path(key);
  error_ = invalid_argument(fmt::format("{}: {}", where, message), where);
}

void Fields::refuse(const Error& error) {
  if (!error_.has_value()) error_ = error;
}

Result<void> Fields::status() const {
  if (error_.has_value()) return *error_;
  return {};
}

bool Fields::boolean(std::string_view key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  refuse(key, "must be a boolean, not " + describe(*value));
  return fallback;
}

int64_t Fields::integer(std::string_view key, IntegerRange range, int64_t fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (const auto integer = as_integer(*value, range)) return *integer;
  refuse(key, fmt::format("must be an integer in [{}, {}], not {}", range.min, range.max,
                          describe(*value)));
  return fallback;
}

double Fields::number(std::string_view key, NumberRange range, double fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_number()) {
    const double number = value->get<double>();
    const bool high_enough = range.above_min_only ? number > range.min : number >= range.min;
    if (std::isfinite(number) && high_enough && number <= range.max) return number;
  }
  refuse(key, fmt::format("must be a number in {}, not {}", range_text(range), describe(*value)));
  return fallback;
}

std::string Fields::string(std::string_view key, std::string fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_string()) return value->get<std::string>();
  refuse(key, "must be a string, not " + describe(*value));
  return fallback;
}

std::vector<std::string> Fields::strings(std::string_view key, size_t max_count) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> result;
  if (!value->is_array()) {
    refuse(key, "must be a string or an array of strings, not " + describe(*value));
  } else if (value->size() > max_count) {
    refuse(key, fmt::format("has {} entries, the limit is {}", value->size(), max_count));
  } else {
    for (const Json& entry : *value) {
      if (!entry.is_string()) {
        refuse(fmt::format("{}.{}", key, result.size()),
               "must be a string, not " + describe(entry));
        return {};
      }
      result.push_back(entry.get<std::string>());
    }
  }
  return result;
}

std::vector<TokenId> Fields::token_ids(std::string_view key, int32_t vocab_size, size_t max_count) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) {
    refuse(key, "must be an array of token ids, not " + describe(*value));
    return {};
  }
  if (value->size() > max_count) {
    refuse(key, fmt::format("has {} entries, the limit is {}", value->size(), max_count));
    return {};
  }
  auto ids = to_token_ids(*value, vocab_size, path(key));
  if (!ids.ok()) {
    if (!error_.has_value()) error_ = std::move(ids).error();
    return {};
  }
  return std::move(ids).value();
}

std::string describe(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "an array";
    case Json::value_t::string: return "a string";
    case Json::value_t::boolean: return value.get<bool>() ? "true" : "false";
    default: return dump_json(value).substr(0, 40);
  }
}

std::string quote(const Json& value) {
  if (!value.is_string()) return describe(value);
  return fmt::format("'{}'", value.get_ref<const std::string&>().substr(0, 40));
}

std::optional<int64_t> as_integer(const Json& value, IntegerRange range) {
  if (value.is_number_unsigned()) {
    const uint64_t number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  }
  int64_t number = 0;
  if (value.is_number_integer()) {
    number = value.get<int64_t>();
  } else if (value.is_number_float()) {
    // Doubles hold integers exactly up to 2^53 only.
    const double real = value.get<double>();
    if (!(std::abs(real) <= 9007199254740992.0) || real != std::floor(real)) return std::nullopt;
    number = static_cast<int64_t>(real);
  } else {
    return std::nullopt;
  }
  if (number < range.min || number > range.max) return std::nullopt;
  return number;
}

Result<std::vector<TokenId>> to_token_ids(const Json& array, int32_t vocab_size,
                                          const std::string& path) {
  std::vector<TokenId> ids;
  ids.reserve(array.size());
  for (const Json& entry : array) {
    const auto id = as_integer(entry, {.min = 0, .max = vocab_size - 1});
    if (!id.has_value()) {
      const std::string where = fmt::format("{}.{}", path, ids.size());
      return invalid_argument(fmt::format("{}: must be a token id in [0, {}), not {}", where,
                                          vocab_size, describe(entry)),
                              where);
    }
    ids.push_back(static_cast<TokenId>(*id));
  }
  return ids;
}

Result<Json> parse_body(std::string_view body) {
  // Several prompts of the longest contexts as token ids, and 200 MB of memory at the worst.
  constexpr JsonLimits kLimits = {.max_values = size_t{1} << 20};
  if (body.empty()) return invalid_argument("the request body is empty; a JSON object is needed");
  ASSIGN_OR_RETURN(Json json, parse_json(body, kLimits));
  if (!json.is_object()) {
    return invalid_argument("the request body must be a JSON object, not " + describe(json));
  }
  return json;
}

}  // namespace pagoda::openai
