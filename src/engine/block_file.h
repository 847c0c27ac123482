// Block files: one cached block in one file, verified as a whole when it is read.
//
// Format, all numbers little-endian:
//   8 bytes  magic "PGDKVBLK"
//   4 bytes  version, 1
//   4 bytes  number of tokens n
//   8 bytes  payload bytes p
//   32 bytes fingerprint: what the content depends on besides the tokens
//   32 bytes block hash
//   4 n      token ids
//   p        payload: keys and values
//   32 bytes SHA-256 of all before
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/types.h"
#include "engine/block_store.h"

namespace pagoda {

using Sha256 = std::array<uint8_t, 32>;

Sha256 sha256(std::string_view text);

// What a file must hold to be the one that is looked for.
struct BlockFileKey {
  Sha256 fingerprint{};
  BlockHash hash{};
  std::span<const TokenId> tokens;
};

size_t block_file_bytes(size_t num_tokens, size_t payload_bytes);
// Whether a file of so many bytes can be a block with a payload of `payload_bytes`.
bool is_block_file_size(int64_t file_bytes, size_t payload_bytes);

// Puts a block under `name` in one move, by way of `temporary` in the same folder, so that `name`
// is never half a block unless the machine itself stops. 0, or the errno of what failed; then
// nothing is left. Files are readable by their owner only: prompts can be recovered from them.
int write_block_file(int folder_fd, const std::string& temporary, const std::string& name,
                     const BlockFileKey& key, std::span<const std::byte> payload);

enum class BlockFileStatus {
  kOk,
  kMissing,      // or not readable now; left alone
  kForeign,      // a link, a folder, a device: not ours, left alone
  kOtherTokens,  // a sound block of other tokens
  kDamaged,      // of another size, version or content than its name and checksum say
};

// Fills `out` and says kOk when all of the file is as it was written, for this key. Marks the file
// as used now when it was last used before `refresh_before_ns` (nanoseconds since 1970).
BlockFileStatus read_block_file(int folder_fd, const std::string& name, const BlockFileKey& key,
                                std::span<std::byte> out, int64_t refresh_before_ns);

}  // namespace pagoda
