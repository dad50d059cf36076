// Text to token ids and back, for SentencePiece ("llama") and byte-level BPE ("gpt2") vocabularies.
// Immutable after creation, independent of the file, safe to use from many threads, cheap to copy.
//
// Text of a user never becomes a control token: control tokens come only from parts that the caller
// marks as template text.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/vocabulary.h"

namespace pumice {

struct EncodeOptions {
  bool add_bos = false;        ///< only if the vocabulary wants one, see Tokenizer::adds_bos
  bool add_eos = false;        ///< likewise
  bool parse_special = false;  ///< texts of control tokens become those tokens
};

struct DecodeOptions {
  bool render_special = false;      ///< write the texts of control tokens instead of nothing
  bool strip_space_prefix = false;  ///< undo the space that encode puts before the first word
};

/// A stretch of text with one origin.
struct TextPart {
  std::string_view text;
  bool is_template = false;  ///< control tokens are recognised in it
};

class Tokenizer {
 public:
  static constexpr uint64_t kMaxTokens = 1u << 20;
  static constexpr uint64_t kMaxTextBytes = 1u << 30;  ///< of one text to encode

  /// Checks everything and copies what it needs. Errors name the token or key that is wrong.
  [[nodiscard]] static Result<Tokenizer> create(const Vocabulary& vocabulary);
  [[nodiscard]] static Result<Tokenizer> create(const Metadata& metadata);

  [[nodiscard]] Result<std::vector<int32_t>> encode(std::string_view text,
                                                    EncodeOptions options = {}) const;

  /// As if the parts were one text, except that control tokens are found in template parts only.
  [[nodiscard]] Result<std::vector<int32_t>> encode_parts(std::span<const TextPart> parts,
                                                          bool add_bos, bool add_eos) const;

  /// Bytes of the tokens one after another; ids out of range write nothing.
  [[nodiscard]] std::string decode(std::span<const int32_t> ids, DecodeOptions options = {}) const;

  /// What a token writes: raw bytes, maybe a part of a UTF-8 character. For control tokens their
  /// text. Empty for an id out of range.
  [[nodiscard]] std::string_view piece(int32_t id) const;

  [[nodiscard]] bool has_text() const;  ///< false: a vocabulary of bare ids, encode is an error
  [[nodiscard]] int32_t n_vocab() const;
  [[nodiscard]] bool contains(int32_t id) const { return id >= 0 && id < n_vocab(); }
  [[nodiscard]] TokenType type(int32_t id) const;
  [[nodiscard]] bool is_control(int32_t id) const;  ///< control or unknown: nothing in plain output
  [[nodiscard]] bool is_end_of_generation(int32_t id) const;
  [[nodiscard]] std::span<const int32_t> end_of_generation() const;  ///< ascending
  /// The control token with this text, or -1.
  [[nodiscard]] int32_t find_control(std::string_view text) const;

  [[nodiscard]] int32_t bos() const;  ///< -1 if there is none; also below
  [[nodiscard]] int32_t eos() const;
  [[nodiscard]] int32_t end_of_turn() const;
  [[nodiscard]] int32_t unknown() const;
  [[nodiscard]] int32_t padding() const;
  [[nodiscard]] bool adds_bos() const;  ///< a prompt of this model begins with bos
  [[nodiscard]] bool adds_eos() const;
  [[nodiscard]] std::string_view model() const;          ///< llama, gpt2, none or test
  [[nodiscard]] std::string_view pre_tokenizer() const;  ///< key in use; empty unless gpt2
  [[nodiscard]] std::string_view chat_template() const;  ///< as in the file

 private:
  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  std::shared_ptr<const State> state_;
};

}  // namespace pumice
