// The text of an evaluation: tokenised once, cut into chunks that do not overlap. What is scored
// follows the public tool: the second half of each chunk, whose tokens have enough behind them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"

namespace pumice::quant {

struct ChunkOptions {
  static constexpr uint32_t kLeastContext = 8;

  uint32_t context = 512;  ///< tokens per chunk
  uint32_t chunks = 0;     ///< the first so many; 0 = all that the text fills
  bool score_all = false;  ///< every position that has a next token, not only the second half
};

/// Positions first_scored .. context - 2 of a chunk are scored: the logits there against the token
/// that follows.
struct EvaluationText {
  std::string name;             ///< for messages
  std::vector<int32_t> tokens;  ///< [chunks][context], BOS in place
  uint32_t context = 0, chunks = 0, first_scored = 0;
  std::vector<uint8_t> counted;  ///< marks [scored()] of positions that count; empty = all do
  uint64_t text_tokens = 0;      ///< that were made from the text; what fills no chunk is left out

  [[nodiscard]] std::span<const int32_t> chunk(uint32_t i) const {
    return std::span(tokens).subspan(uint64_t{i} * context, context);
  }
  [[nodiscard]] uint32_t scored_per_chunk() const { return context - 1 - first_scored; }
  [[nodiscard]] uint64_t scored() const { return uint64_t{chunks} * scored_per_chunk(); }
  /// Of those scored, how many count in a mean.
  [[nodiscard]] uint64_t positions() const {
    return counted.empty() ? scored() : uint64_t(std::ranges::count_if(counted, std::identity{}));
  }
};

/// Up to `most` bytes of a file; `whole` tells whether that was all. NotFound, Io; BadArgument for
/// a folder.
[[nodiscard]] Result<std::string> read_start(const std::string& path, uint64_t most, bool& whole);

/// Cuts tokens. `bos` replaces the first token of each chunk; -1 = leave it. BadArgument when they
/// fill no chunk or the options make none.
[[nodiscard]] Result<EvaluationText> cut_chunks(std::vector<int32_t> tokens, int32_t bos,
                                                const ChunkOptions& options, std::string name);

/// Reads a text file, no more of it than options.chunks needs. NotFound, Io; BadArgument where the
/// text is too short or the vocabulary has no texts.
[[nodiscard]] Result<EvaluationText> read_evaluation_text(const std::string& path,
                                                          const Tokenizer& tokenizer,
                                                          const ChunkOptions& options);

/// Token ids separated by blanks, commas or line ends, each below `n_vocab`; no BOS is put in.
[[nodiscard]] Result<EvaluationText> read_token_ids(const std::string& path, uint32_t n_vocab,
                                                    const ChunkOptions& options);

}  // namespace pumice::quant
