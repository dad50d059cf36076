// The two kinds of vocabulary behind one call: plain text without markers to ids.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/merge.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/token_table.h"
#include "engine/text/vocabulary.h"

namespace pumice::text {

/// Working memory of one encode call.
struct EncodeScratch {
  MergeList list;
  Cuts words;
  Cuts cuts;
  std::string normalized;
};

/// What creation of a vocabulary has found out before the model is built.
struct TokenData {
  PieceTable pieces;                       ///< what each token writes
  std::vector<TokenType> types;            ///< one each
  std::vector<bool> mergeable;             ///< may result from plain text
  std::vector<float> scores;               ///< one each, or empty
  std::array<int32_t, 256> bytes;          ///< token of a single byte, or kNoToken
  std::vector<int32_t> controls;           ///< Control and Unknown, matched in template text
  std::vector<int32_t> user_defined;       ///< matched in any text
  std::vector<int32_t> end_of_generation;  ///< by text, ascending
  int32_t unknown = kNoToken;
  size_t longest = 0;  ///< bytes of the longest mergeable token
};

/// Checks a vocabulary with texts and lays it out. `bpe`: tokens are in GPT-2's byte characters;
/// otherwise U+2581 stands for a space.
[[nodiscard]] Result<TokenData> build_token_data(const Vocabulary& vocabulary, bool bpe);

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the ids of `text`; `after_marker` says that it begins the text or follows a marker.
  [[nodiscard]] virtual Result<void> encode(std::string_view text, bool after_marker,
                                            EncodeScratch& scratch,
                                            std::vector<int32_t>& ids) const = 0;
};

[[nodiscard]] Result<std::unique_ptr<const TokenModel>> make_sentence_piece(const TokenData& data,
                                                                            bool space_prefix);
[[nodiscard]] Result<std::unique_ptr<const TokenModel>> make_byte_level_bpe(
    const TokenData& data, const PreTokenizer& rules, std::span<const std::string_view> merges);

/// Appends one byte that no longer token covers: its own token, else unknown, else U+FFFD's bytes.
[[nodiscard]] Result<void> encode_byte(const TokenData& data, uint8_t byte,
                                       std::vector<int32_t>& ids);

/// GPT-2 writes bytes as printable characters. Appends the bytes of `text` to `bytes`; false, and
/// `bytes` unchanged, if a character stands for none.
[[nodiscard]] bool decode_byte_characters(std::string_view text, std::string& bytes);

}  // namespace pumice::text
