// Sequence: one continuation of a Request.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "core/types.h"
#include "engine/block_store.h"
#include "engine/block_table.h"
#include "engine/prompt_lookup.h"
#include "engine/request.h"

namespace pagoda {

// Owned by the Scheduler, which alone changes it; engine thread only. `request` must outlive it.
// Between steps: waiting sequences have num_computed_tokens == 0 and no blocks; running ones have
// at least one token not computed (the newest) and blocks for all that are, and for the next one
// perhaps.
struct Sequence {
  Sequence(SequenceId sequence_id, RequestId owner_id, const Request& owner, int32_t choice,
           BlockPool& pool)
      : id(sequence_id),
        request_id(owner_id),
        request(&owner),
        choice_index(choice),
        block_table(pool) {}

  int32_t num_prompt_tokens() const {
    return static_cast<int32_t>(request->prompt_token_ids.size());
  }
  int32_t num_tokens() const {
    return token_ids.empty() ? num_prompt_tokens()
                             : static_cast<int32_t>(token_ids.size()) - num_draft_tokens;
  }
  int32_t num_output_tokens() const { return num_tokens() - num_prompt_tokens(); }
  // The longest it may become.
  int32_t max_num_tokens(int32_t max_model_len) const {
    const int64_t longest = int64_t{num_prompt_tokens()} + request->sampling.max_tokens;
    return static_cast<int32_t>(std::min<int64_t>(longest, max_model_len));
  }
  std::span<const TokenId> tokens() const {
    return token_ids.empty()
               ? std::span<const TokenId>(request->prompt_token_ids)
               : std::span<const TokenId>(token_ids).first(static_cast<size_t>(num_tokens()));
  }
  void drop_drafts() {
    token_ids.resize(token_ids.size() - static_cast<size_t>(num_draft_tokens));
    num_draft_tokens = 0;
  }
  int32_t num_uncomputed_tokens() const { return num_tokens() - num_computed_tokens; }

  SequenceId id;  // larger is newer
  RequestId request_id;
  const Request* request;
  int32_t choice_index;
  std::vector<TokenId> token_ids;  // prompt and output; empty until first admitted, so that a long
                                   // queue does not hold each prompt n times
  int32_t num_draft_tokens = 0;    // guesses at the end of token_ids; 0 between steps
  DraftPacing draft_pacing;
  int32_t num_computed_tokens = 0;        // leading tokens whose K and V are in the blocks
  int32_t num_counted_prompt_tokens = 0;  // prompt tokens already in the statistics
  int32_t num_cached_prompt_tokens = 0;   // of those, the ones that the cache had
  int32_t num_ever_computed_tokens = 0;   // the most that num_computed_tokens has been
  bool is_guaranteed = false;  // has been preempted, and so gets blocks for all it may still need
  std::vector<BlockHash> block_hashes;  // of its leading full blocks, as far as anybody asked
  int32_t num_cached_blocks = 0;  // leading blocks that were offered to the cache or come from it
  TimePoint not_before{};         // the runner wants no step of it until then
  BlockTable block_table;
};

}  // namespace pagoda
