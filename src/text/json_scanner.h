// JsonScanner: walks a large JSON text in place, for tables too big to build as a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda {

// A cursor over a JSON text. After the first fault every reading function returns false and error()
// says where. Values that are skipped are checked for balance only; the caller parses what it keeps
// of them. Not thread-safe; `text` must outlive it and be valid UTF-8.
class JsonScanner {
 public:
  JsonScanner(std::string_view text, size_t offset) : text_(text), offset_(offset) {}

  // Steps into an object ('{') or array ('[').
  bool enter(char open);
  // Steps to the next member of the object entered last and reads its key; false at its end.
  bool next_member(std::string& key);
  // Steps to the next element of the array entered last; false at its end.
  bool next_element();
  // True when the last call of next_member or next_element met the end of its container.
  bool left_container() const { return left_container_; }

  bool read_string(std::string& out);
  bool read_integer(int64_t& out);
  // Steps over one value and returns its text.
  std::string_view skip_value();

  char peek();    // the next character that is no space; '\0' at the end
  bool at_end();  // only spaces are left
  bool failed() const { return failed_; }
  Error error() const;
  size_t offset() const { return offset_; }
  std::string_view text() const { return text_; }

 private:
  bool fail();
  bool next_item(char close);
  bool skip_string();
  bool read_escape(std::string& out);
  bool read_hex4(uint32_t& out);

  std::string_view text_;
  size_t offset_;
  bool failed_ = false;
  bool left_container_ = false;
  bool first_ = false;  // nothing of the container has been read yet
};

}  // namespace pagoda
