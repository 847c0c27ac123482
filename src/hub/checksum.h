// Checksums of files as the hub names them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pagoda {

// The checksum of the first `num_bytes` of a file, in lower hexadecimal, of the kind that `like`
// is: 64 digits: SHA-256 (large files); 40: SHA-1 over "blob SIZE\0" and the content (git's name of
// small ones); otherwise empty, without reading. kInternal when the file cannot be read to there.
Result<std::string> file_checksum(const std::string& path, int64_t num_bytes,
                                  const std::string& like);

}  // namespace pagoda
