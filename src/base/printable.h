// printable: text of a stranger, fit for people to see.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pagoda {

// `text` as it may stand on a terminal, in a message or in a report: valid UTF-8 in one line that
// steers nothing. Line breaks and tabs become spaces; other control characters, what turns the
// direction of writing, and bytes that are no UTF-8 become \xNN. Of more than `max_bytes` the
// beginning, with "..." behind it.
std::string printable(std::string_view text, size_t max_bytes = 200);

}  // namespace pagoda
