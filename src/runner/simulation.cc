// Reads the spelling of a Simulation.
#include "runner/simulation.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <system_error>

namespace pagoda {
namespace {

using std::chrono::nanoseconds;

constexpr double kLongestSeconds = 3600.0;
constexpr double kLongestPeriodSeconds = 86400.0;
constexpr int32_t kMostTokens = 1'000'000'000;

// As it may be shown: a value can be of any length.
std::string shown(std::string_view text) {
  constexpr size_t kLongest = 40;
  return text.size() <= kLongest ? std::string(text)
                                 : std::string(text.substr(0, kLongest)) + "...";
}

// A number and what follows it; no number: NaN, whatever it begins with.
struct NumberAndRest {
  double number = std::numeric_limits<double>::quiet_NaN();
  std::string_view rest;
};

NumberAndRest leading_number(std::string_view text) {
  NumberAndRest found{.rest = text};
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return found;
  found.number = value;
  found.rest = text.substr(static_cast<size_t>(end - text.data()));
  return found;
}

Result<nanoseconds> parse_time(std::string_view key, std::string_view text, double low_s,
                               double high_s) {
  const NumberAndRest found = leading_number(text);
  double seconds = std::numeric_limits<double>::quiet_NaN();
  if (found.rest == "s") seconds = found.number;
  if (found.rest == "ms") seconds = found.number / 1e3;
  if (found.rest == "us") seconds = found.number / 1e6;
  if (found.rest.empty() && found.number == 0.0) seconds = 0.0;
  if (seconds >= low_s && seconds <= high_s) {
    return nanoseconds(std::llround(seconds * 1e9));
  }
  return invalid_argument(
      fmt::format("simulate: {}: '{}' is not a time from {} s to {} s with its unit (us, ms or s)",
                  key, shown(text), low_s, high_s));
}

Result<double> parse_number(std::string_view key, std::string_view text, double low, double high) {
  const NumberAndRest found = leading_number(text);
  if (found.rest.empty() && found.number >= low && found.number <= high) return found.number;
  return invalid_argument(
      fmt::format("simulate: {}: '{}' is not a number from {} to {}", key, shown(text), low, high));
}

template <typename Integer>
Result<Integer> parse_whole(std::string_view key, std::string_view text, Integer low,
                            Integer high) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= low && value <= high) {
    return value;
  }
  return invalid_argument(fmt::format("simulate: {}: '{}' is not a whole number from {} to {}", key,
                                      shown(text), low, high));
}

Result<void> set_stall(Simulation& simulation, std::string_view text) {
  const size_t at = text.find('@');
  ASSIGN_OR_RETURN(simulation.stall,
                   parse_time("stall", text.substr(0, at), 0.001, kLongestSeconds));
  if (at != std::string_view::npos) {
    simulation.stall_repeats = true;
    ASSIGN_OR_RETURN(simulation.stall_period,
                     parse_time("stall period", text.substr(at + 1), 0.002, kLongestPeriodSeconds));
    if (simulation.stall >= simulation.stall_period) {
      return invalid_argument(fmt::format(
          "simulate: stall: '{}' is not shorter than the period it comes after", shown(text)));
    }
  }
  return {};
}

Result<void> set_fail(Simulation& simulation, std::string_view text) {
  const size_t at = text.find('@');
  ASSIGN_OR_RETURN(simulation.fail_share, parse_number("fail", text.substr(0, at), 0.0, 1.0));
  if (at != std::string_view::npos) {
    ASSIGN_OR_RETURN(simulation.fail_at,
                     parse_whole<int32_t>("fail token", text.substr(at + 1), 1, kMostTokens));
  }
  return {};
}

Result<void> set(Simulation& simulation, std::string_view key, std::string_view text) {
  if (key == "ttft") {
    ASSIGN_OR_RETURN(simulation.ttft, parse_time(key, text, 0.0, kLongestSeconds));
  } else if (key == "itl") {
    ASSIGN_OR_RETURN(simulation.itl, parse_time(key, text, 0.0, kLongestSeconds));
  } else if (key == "prefill") {
    ASSIGN_OR_RETURN(simulation.prefill_tokens_per_s, parse_number(key, text, 1.0, 1e9));
  } else if (key == "jitter") {
    ASSIGN_OR_RETURN(simulation.jitter, parse_number(key, text, 0.0, 1.0));
  } else if (key == "stall") {
    return set_stall(simulation, text);
  } else if (key == "fail") {
    return set_fail(simulation, text);
  } else if (key == "output") {
    ASSIGN_OR_RETURN(simulation.output_tokens, parse_whole<int32_t>(key, text, 1, kMostTokens));
  } else if (key == "seed") {
    ASSIGN_OR_RETURN(simulation.seed,
                     parse_whole<uint64_t>(key, text, 0, std::numeric_limits<uint64_t>::max()));
  } else {
    return invalid_argument(
        fmt::format("simulate: unknown setting '{}'; there are ttft, itl, prefill, jitter, stall, "
                    "fail, output, seed",
                    shown(key)));
  }
  return {};
}

}  // namespace

Result<Simulation> parse_simulation(std::string_view text) {
  Simulation simulation;
  std::set<std::string_view> given;
  if (text.empty()) return invalid_argument("simulate: the value must not be empty");
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view item = text.substr(begin, end - begin);
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return invalid_argument(
          fmt::format("simulate: '{}' is not KEY=VALUE, as in ttft=200ms,itl=20ms", shown(item)));
    }
    const std::string_view key = item.substr(0, equals);
    RETURN_IF_ERROR(set(simulation, key, item.substr(equals + 1)));
    if (!given.insert(key).second) {
      return invalid_argument(fmt::format("simulate: {} is given twice", key));
    }
    begin = end + 1;
  }
  return simulation;
}

}  // namespace pagoda
