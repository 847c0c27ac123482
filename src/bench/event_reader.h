// EventReader: the server-sent events of an OpenAI answer, as they arrive.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/request_record.h"

namespace pagoda {

// Takes an answer in pieces and notes in a RequestRecord what they hold. Reads the event stream
// format of the HTML standard (section 9.2): lines end with CR, LF or both, a byte order mark at
// the beginning is skipped, several `data` lines are one event with line feeds between, and other
// fields and comments say nothing here. Where the bytes were cut makes no difference.
//
// What an event holds came when its blank line did, as no client can know before that the event is
// complete. Two things differ from a browser: the last event may lack its blank line, as what is
// measured is the server and not its manners; and bytes that are no UTF-8 are malformed instead of
// replaced, as OpenAI's client has it.
//
// One for each request, one thread at a time; the record must outlive it.
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
  bool end_event(int64_t now_ns);
  bool take_event(std::string_view data, int64_t now_ns);
  bool fail(FailureCause cause, std::string message);

  RequestRecord& record_;
  std::string line_;       // the beginning of a line that is not complete
  std::string data_;       // of an event that is not complete
  bool has_data_ = false;  // which an event of an empty text has too
  bool after_cr_ = false;  // so that a LF belongs to the line end before it
  bool first_line_ = true;
  std::string head_;  // the beginning of an answer that holds no event, for the message
  bool done_ = false;
  bool any_event_ = false;
};

}  // namespace pagoda
