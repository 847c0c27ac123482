// JSON parsing behind limits, on nlohmann's SAX interface so that nothing throws.
#include "base/json.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "base/utf8.h"

namespace pagoda {
namespace {

// Builds a value while counting depth. nlohmann's own DOM builder has no depth limit, and
// destroying a deep value recurses, so the limit must hold while the value grows.
class LimitedBuilder final : public nlohmann::json_sax<Json> {
 public:
  explicit LimitedBuilder(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return count() && put(nullptr); }
  bool boolean(bool value) override { return count() && put(value); }
  bool number_integer(number_integer_t value) override { return count() && put(value); }
  bool number_unsigned(number_unsigned_t value) override { return count() && put(value); }
  bool number_float(number_float_t value, const string_t&) override {
    return count() && put(value);
  }
  bool string(string_t& value) override { return count() && put(std::move(value)); }
  bool binary(binary_t&) override { return fail("binary value"); }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Frame& frame = stack_.back();
    // A set beside the object keeps this linear in the number of keys; the object itself is a list.
    if (!frame.keys.insert(name).second) {
      if (limits_.refuse_duplicate_keys) return fail("duplicate key");
      frame.duplicates = true;
    }
    frame.key = std::move(name);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception& error) override {
    // 406: a number that does not fit a double.
    return fail(error.id == 406 ? "number out of range" : "syntax error", position);
  }

  const std::string& failure() const { return failure_; }
  Json take() { return std::move(root_); }

 private:
  struct Frame {
    Json value;
    std::string key = {};
    std::set<std::string> keys = {};
    bool duplicates = false;
  };

  bool fail(std::string_view what, size_t position = 0) {
    failure_ = position > 0 ? fmt::format("{} at byte {}", what, position) : std::string(what);
    return false;
  }

  // One more value; false when it is one too many.
  bool count() {
    if (++num_values_ <= limits_.max_values) return true;
    return fail(fmt::format("more than {} values", limits_.max_values));
  }

  bool open(Json empty) {
    if (!count()) return false;
    if (static_cast<int>(stack_.size()) >= limits_.max_depth) {
      return fail(fmt::format("nesting deeper than {} levels", limits_.max_depth));
    }
    stack_.push_back({std::move(empty)});
    return true;
  }

  bool close() {
    Json done = std::move(stack_.back().value);
    stack_.pop_back();
    return put(std::move(done));
  }

  bool put(Json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Frame& frame = stack_.back();
    if (frame.value.is_array()) {
      frame.value.push_back(std::move(value));
      return true;
    }
    auto& members = frame.value.get_ref<Json::object_t&>();
    if (frame.duplicates) {
      frame.value[frame.key] = std::move(value);  // the last one wins
    } else {
      // emplace() and operator[] of the ordered map search all keys; the set has done that already.
      members.Container::emplace_back(std::move(frame.key), std::move(value));
    }
    return true;
  }

  const JsonLimits limits_;
  std::vector<Frame> stack_;
  size_t num_values_ = 0;
  Json root_;
  std::string failure_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return Error{ErrorCode::kTooLarge,
                 fmt::format("JSON text of {} bytes is over the limit of {} bytes", text.size(),
                             limits.max_bytes)};
  }
  LimitedBuilder builder(limits);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
    return invalid_argument("invalid JSON: " + builder.failure());
  }
  return builder.take();
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_json_escaped(std::string& out, std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        } else if (const size_t length = utf8_length(text.substr(i)); length > 0) {
          out.append(text, i, length);
          i += length - 1;
        } else {
          out += "\xEF\xBF\xBD";
        }
    }
    ++i;
  }
}

}  // namespace pagoda
