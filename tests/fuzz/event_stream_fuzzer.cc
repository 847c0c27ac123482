// Fuzzes the reader of event streams: where the bytes of an answer are cut makes no difference.
#include <algorithm>
#include <string_view>

#include "base/check.h"
#include "bench/event_reader.h"
#include "bench/request_record.h"

namespace {

// Reads pieces of the lengths that `next_length` gives, all at one time.
template <typename NextLength>
pagoda::RequestRecord read_in_pieces(std::string_view answer, NextLength next_length) {
  pagoda::RequestRecord record;
  pagoda::EventReader reader(record);
  while (!answer.empty()) {
    const size_t length = std::min<size_t>(next_length(), answer.size());
    if (!reader.take(answer.substr(0, length), 1)) break;
    answer.remove_prefix(length);
  }
  reader.finish(1);
  CHECK(reader.done() == (record.end_ns == 1));
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const std::string_view answer(reinterpret_cast<const char*>(data), num_bytes);
  const pagoda::RequestRecord whole = read_in_pieces(answer, [&] { return answer.size(); });
  const bool good = whole.cause == pagoda::FailureCause::kNone;
  CHECK(good == whole.message.empty());
  CHECK(!good || !whole.piece_ns.empty());
  CHECK(whole.piece_ns.size() <= num_bytes && whole.content.size() <= num_bytes);
  CHECK(read_in_pieces(answer, [] { return 1; }) == whole);
  // Lengths drawn by a linear congruential generator (Knuth, MMIX) from a hash of the answer
  // (FNV-1a), so that an input always does the same.
  uint64_t state = 0xCBF29CE484222325;
  for (const char c : answer) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  const auto drawn = [&state] {
    state = state * 6364136223846793005 + 1442695040888963407;
    return 1 + (state >> 33) % 24;
  };
  CHECK(read_in_pieces(answer, drawn) == whole);
  return 0;
}
