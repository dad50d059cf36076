// Validation and layout of a vocabulary: lengths, types, scores, byte tokens, and the tokens that
// are control tokens by their well-known text whatever type the file gives them.
#include <algorithm>
#include <cmath>

#include "engine/text/token_model.h"
#include "engine/text/tokenizer.h"

namespace pumice::text {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581, SentencePiece's space

struct KnownControl {
  std::string_view text;
  bool ends_generation;
};

// Role and turn marks of the chat formats, end-of-text marks, and fill-in-the-middle marks.
constexpr KnownControl kKnownControls[] = {
    // clang-format off
    {"<|eot_id|>", true}, {"<|eom_id|>", true}, {"<|im_end|>", true}, {"<|end|>", true},
    {"<|return|>", true}, {"<|call|>", true}, {"<|calls|>", true}, {"<|flush|>", true},
    {"<end_of_turn>", true}, {"<|endoftext|>", true}, {"</s>", true}, {"<EOT>", true},
    {"_<EOT>", true}, {"[EOT]", true}, {"[EOS]", true}, {"<|end_of_text|>", true},
    {"<end_of_utterance>", true}, {"<eos>", true}, {"<｜end▁of▁sentence｜>", true},
    {"<|fim_pad|>", true}, {"<fim-pad>", true}, {"<fim_pad>", true},
    {"<|repo_name|>", true}, {"<|fim_repo|>", true}, {"<|file_sep|>", true},
    {"<s>", false}, {"<bos>", false}, {"<|begin_of_text|>", false}, {"<|startoftext|>", false},
    {"<|im_start|>", false}, {"<|im_sep|>", false}, {"<start_of_turn>", false},
    {"<|start_header_id|>", false}, {"<|end_header_id|>", false}, {"<|python_tag|>", false},
    {"<|system|>", false}, {"<|user|>", false}, {"<|assistant|>", false}, {"<|User|>", false},
    {"<|Assistant|>", false}, {"<｜User｜>", false}, {"<｜Assistant｜>", false},
    {"<｜begin▁of▁sentence｜>", false}, {"[INST]", false}, {"[/INST]", false},
    {"[SYSTEM_PROMPT]", false}, {"[/SYSTEM_PROMPT]", false}, {"[AVAILABLE_TOOLS]", false},
    {"[/AVAILABLE_TOOLS]", false}, {"[TOOL_RESULTS]", false}, {"[/TOOL_RESULTS]", false},
    {"[TOOL_CALLS]", false}, {"<|fim_prefix|>", false}, {"<|fim_suffix|>", false},
    {"<|fim_middle|>", false}, {"<fim_prefix>", false}, {"<fim_suffix>", false},
    {"<fim_middle>", false}, {"<fim-prefix>", false}, {"<fim-suffix>", false},
    {"<fim-middle>", false},
    // clang-format on
};

const KnownControl* find_known_control(std::string_view text) {
  if (text.size() < 3 || (text[0] != '<' && text[0] != '[' && text[0] != '_')) return nullptr;
  for (const KnownControl& row : kKnownControls)
    if (row.text == text) return &row;
  return nullptr;
}

/// Exactly "<0xNN>", two hexadecimal digits; -1 for anything else.
int parse_byte_token(std::string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/// A token's text shortened for a message, control bytes shown as dots.
std::string quote(std::string_view text) {
  std::string shown(text.substr(0, 40));
  for (char& c : shown)
    if (uint8_t(c) < 32 || c == 127) c = '.';
  return "\"" + shown + (text.size() > 40 ? "\"..." : "\"");
}

Result<void> check_lengths(const Vocabulary& v) {
  const size_t n = v.tokens.size();
  if (n == 0)
    return fail(ErrorCode::BadFile,
                "{}: tokenizer.ggml.tokens is absent or empty; a vocabulary of "
                "model \"{}\" needs texts",
                v.source, v.model);
  if (n > Tokenizer::kMaxTokens)
    return fail(ErrorCode::BadFile,
                "{}: tokenizer.ggml.tokens has {} tokens, at most {} are "
                "supported",
                v.source, n, Tokenizer::kMaxTokens);
  const auto same = [&](std::string_view key, size_t size) -> Result<void> {
    if (size == 0 || size == n) return {};
    return fail(ErrorCode::BadFile, "{}: {} has {} elements, expected {}, one for each token",
                v.source, key, size, n);
  };
  PUMICE_TRY(same("tokenizer.ggml.scores", v.scores.size()));
  PUMICE_TRY(same("tokenizer.ggml.token_type", v.types.size()));
  for (size_t i = 0; i < v.scores.size(); ++i)
    if (!std::isfinite(v.scores[i]))
      return fail(ErrorCode::BadFile, "{}: score of token {} is {}, expected a finite number",
                  v.source, i, v.scores[i]);
  uint64_t bytes = 0;
  for (const std::string_view token : v.tokens) bytes += token.size();
  if (bytes > Tokenizer::kMaxTextBytes)
    return fail(ErrorCode::BadFile,
                "{}: the tokens have {} bytes together, at most {} are "
                "supported",
                v.source, bytes, Tokenizer::kMaxTextBytes);
  return {};
}

class Builder {
 public:
  Builder(const Vocabulary& vocabulary, bool bpe) : v_(vocabulary), bpe_(bpe) {}

  Result<TokenData> build() {
    const size_t n = v_.tokens.size();
    size_t bytes = 0;
    for (const std::string_view token : v_.tokens) bytes += token.size();
    data_.pieces.reserve(n, bytes);
    data_.types.reserve(n);
    data_.mergeable.reserve(n);
    data_.scores.assign(v_.scores.begin(), v_.scores.end());
    data_.bytes.fill(kNoToken);
    for (size_t i = 0; i < n; ++i) PUMICE_TRY(add(int32_t(i)));
    keep_harmony_end();
    return std::move(data_);
  }

 private:
  Result<TokenType> type_of(int32_t id, std::string_view text) {
    auto type = TokenType::Normal;
    if (v_.types.empty()) {
      // Files without types still have byte tokens and an unknown token, known by their texts.
      if (!bpe_ && parse_byte_token(text) >= 0) type = TokenType::Byte;
      if (!bpe_ && text == "<unk>") type = TokenType::Unknown;
    } else {
      const int32_t value = v_.types[size_t(id)];
      if (value < 0 || value > int32_t(TokenType::Byte))
        return fail(ErrorCode::BadFile, "{}: type of token {} is {}, expected 0 to 6", v_.source,
                    id, value);
      type = TokenType(value);
    }
    if (type == TokenType::Byte) return type;
    if (const KnownControl* known = find_known_control(text)) {
      type = TokenType::Control;
      if (known->ends_generation) data_.end_of_generation.push_back(id);
    }
    return type;
  }

  Result<void> add(int32_t id) {
    const std::string_view text = v_.tokens[size_t(id)];
    PUMICE_TRY_ASSIGN(const TokenType type, type_of(id, text));
    data_.types.push_back(type);
    bool mergeable = false;
    if (type == TokenType::Byte) {
      PUMICE_TRY(add_byte(id, text));
    } else if (type == TokenType::Control || type == TokenType::Unknown) {
      data_.pieces.add(text);
      data_.controls.push_back(id);
    } else {
      mergeable = add_plain(id, text, type == TokenType::UserDefined);
    }
    data_.mergeable.push_back(mergeable);
    if (mergeable) data_.longest = std::max(data_.longest, data_.pieces[id].size());
    return {};
  }

  Result<void> add_byte(int32_t id, std::string_view text) {
    const int byte = parse_byte_token(text);
    if (byte < 0)
      return fail(ErrorCode::BadFile,
                  "{}: token {} has type byte but its text is {}, expected "
                  "\"<0x00>\" to \"<0xFF>\"",
                  v_.source, id, quote(text));
    int32_t& slot = data_.bytes[size_t(byte)];
    if (slot != kNoToken)
      return fail(ErrorCode::BadFile, "{}: tokens {} and {} both stand for the byte {}", v_.source,
                  slot, id, text);
    slot = id;
    const char c = char(byte);
    data_.pieces.add({&c, 1});
    return {};
  }

  /// Returns whether merging may produce the token.
  bool add_plain(int32_t id, std::string_view text, bool user_defined) {
    piece_.clear();
    bool decoded = true;
    if (bpe_) {
      decoded = decode_byte_characters(text, piece_);
    } else {
      for (size_t at = 0; at < text.size();) {
        const bool mark = text.substr(at, 3) == kSpaceMark;
        decoded &= text[at] != ' ';
        piece_ += mark ? ' ' : text[at];
        at += mark ? 3 : 1;
      }
    }
    if (user_defined) {
      const bool as_written = piece_ == text;
      if (bpe_ || as_written) data_.user_defined.push_back(id);
      if (bpe_ && !as_written) decoded = false;  // matched as written, never decoded
    }
    data_.pieces.add(decoded || !bpe_ ? std::string_view(piece_) : text);
    if (bpe_ && decoded && piece_.size() == 1) data_.bytes[uint8_t(piece_[0])] = id;
    return decoded && !text.empty();
  }

  /// In the harmony format "<|end|>" ends a message, not the answer.
  void keep_harmony_end() {
    auto& ids = data_.end_of_generation;
    const auto find = [&](std::string_view text) {
      return std::find_if(ids.begin(), ids.end(),
                          [&](int32_t id) { return data_.pieces[id] == text; });
    };
    const bool harmony = find("<|return|>") != ids.end() && find("<|call|>") != ids.end();
    const bool solar = find("<|calls|>") != ids.end() && find("<|flush|>") != ids.end();
    if (const auto end = find("<|end|>"); (harmony || solar) && end != ids.end()) ids.erase(end);
  }

  const Vocabulary& v_;
  const bool bpe_;
  TokenData data_;
  std::string piece_;
};

}  // namespace

Result<TokenData> build_token_data(const Vocabulary& vocabulary, bool bpe) {
  PUMICE_TRY(check_lengths(vocabulary));
  return Builder(vocabulary, bpe).build();
}

Result<void> encode_byte(const TokenData& data, uint8_t byte, std::vector<int32_t>& ids) {
  if (data.bytes[byte] != kNoToken) {
    ids.push_back(data.bytes[byte]);
  } else if (data.unknown != kNoToken) {
    ids.push_back(data.unknown);
  } else if (data.bytes[0xEF] != kNoToken && data.bytes[0xBF] != kNoToken &&
             data.bytes[0xBD] != kNoToken) {
    for (const size_t b : {0xEF, 0xBF, 0xBD}) ids.push_back(data.bytes[b]);
  } else {
    return fail(ErrorCode::Unsupported,
                "the text holds the byte 0x{:02X}, for which this vocabulary has no token and no "
                "unknown token",
                byte);
  }
  return {};
}

bool decode_byte_characters(std::string_view text, std::string& bytes) {
  // Bytes that print keep their code; the 68 others are U+0100 and up, in order.
  static const std::array<int16_t, 324> table = [] {
    std::array<int16_t, 324> map;
    map.fill(-1);
    size_t next = 256;
    for (int b = 0; b < 256; ++b) {
      const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      map[prints ? size_t(b) : next++] = int16_t(b);
    }
    return map;
  }();
  const size_t before = bytes.size();
  for (size_t at = 0; at < text.size();) {
    const auto lead = uint8_t(text[at]);
    uint32_t code = lead;
    if (lead >= 0xC2 && lead <= 0xC5 && at + 1 < text.size() &&
        (uint8_t(text[at + 1]) & 0xC0) == 0x80) {
      code = (lead & 0x1Fu) << 6 | (uint8_t(text[at + 1]) & 0x3Fu);
      ++at;
    } else if (lead >= 0x80) {
      code = UINT32_MAX;
    }
    if (code >= table.size() || table[code] < 0) {
      bytes.resize(before);
      return false;
    }
    bytes += char(table[code]);
    ++at;
  }
  return true;
}

}  // namespace pumice::text
