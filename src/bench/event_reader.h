// EventReader: the server-sent events of an OpenAI answer, as they arrive.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/request_record.h"

namespace pagoda {

// Takes an answer in pieces and notes in a RequestRecord what they hold. Follows the event stream
// format of the HTML standard (section 9.2) as far as `data` goes. One for each request, one thread
// at a time; the record must outlive it.
class EventReader {
 public:
  explicit EventReader(RequestRecord& record) : record_(record) {}

  // The next bytes, which came at `now_ns`. False when the answer cannot be read on: the cause is
  // in the record.
  bool take(std::string_view bytes, int64_t now_ns);
  // No more bytes will come. Notes kNotEventStream, kCut or kNoTokens where one is due.
  void finish(int64_t now_ns);

  bool done() const { return done_; }  // [DONE] has come, and end_ns is set

 private:
  bool take_line(std::string_view line, int64_t now_ns);
  bool take_event(std::string_view data, int64_t now_ns);
  bool fail(FailureCause cause, std::string message);

  RequestRecord& record_;
  std::string rest_;  // of a line that is not complete
  std::string head_;  // the beginning of an answer that holds no event, for the message
  bool done_ = false;
  bool any_event_ = false;
};

}  // namespace pagoda
