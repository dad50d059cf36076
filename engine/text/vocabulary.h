// The vocabulary as a model file holds it: views into the file, types checked, meaning not yet.
// Tokenizer::create checks the rest (ids, lengths, scores, byte tokens).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "loader/metadata.h"

namespace pumice {

/// Values of tokenizer.ggml.token_type.
enum class TokenType : int32_t {
  Undefined = 0,
  Normal = 1,
  Unknown = 2,
  Control = 3,      ///< never the result of plain text
  UserDefined = 4,  ///< matched as a whole in any text
  Unused = 5,
  Byte = 6,  ///< <0xNN>
};

/// Ids are -1 where the file names none. A file that names an id out of range is refused.
struct SpecialTokens {
  int64_t bos = -1;
  int64_t eos = -1;
  int64_t eot = -1;  ///< end of turn
  int64_t eom = -1;  ///< end of message
  int64_t unknown = -1;
  int64_t padding = -1;
  int64_t separator = -1;
  int64_t mask = -1;
};

/// A flag that a file may leave to the tokenizer's kind.
enum class Tristate : uint8_t { Default, No, Yes };

struct Vocabulary {
  std::string source = "vocabulary";  ///< file name, for messages
  std::string_view model;             ///< tokenizer.ggml.model: llama, gpt2, none, test
  std::string_view pre_tokenizer;     ///< tokenizer.ggml.pre
  std::string_view model_name;        ///< general.name: decides one rule of Phi-3
  std::span<const std::string_view> tokens;
  std::span<const float> scores;   ///< empty or one each
  std::span<const int32_t> types;  ///< empty (all normal) or one each
  std::span<const std::string_view> merges;
  SpecialTokens special;
  Tristate add_bos = Tristate::Default;
  Tristate add_eos = Tristate::Default;
  Tristate add_space_prefix = Tristate::Default;
  uint32_t n_without_tokens = 0;   ///< size of a vocabulary that has ids but no texts
  std::string_view chat_template;  ///< tokenizer.chat_template, empty if absent
};

/// Views stay valid as long as `metadata` and its file.
[[nodiscard]] Result<Vocabulary> read_vocabulary(const Metadata& metadata);

}  // namespace pumice
