// The table of pre-tokenizers and the passes that it is made of. Each pass says the published
// regular expression that it implements; where an expression is searched for, what lies between
// two matches becomes a piece too.
#include "engine/text/pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <span>

#include "engine/text/unicode.h"

namespace pumice::text {
namespace {

using namespace char_class;

constexpr bool is_newline(const Char& c) {
  return c.code == '\r' || c.code == '\n';
}

/// End of the run of characters of `mask` that starts at `at`, of at most `limit` characters.
size_t run_end(std::string_view text, size_t at, uint16_t mask, size_t limit = SIZE_MAX) {
  for (size_t n = 0; n < limit; ++n) {
    const Char c = char_at(text, at);
    if (!c.is(mask)) break;
    at += c.bytes;
  }
  return at;
}

/// Length of 's 't 'm 'd 're 've 'll at `at`, or 0.
size_t contraction(std::string_view text, size_t at, bool any_case) {
  const auto letter = [&](size_t i) -> char {
    if (at + i >= text.size()) return 0;
    const char c = text[at + i];
    return any_case && c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  };
  if (letter(0) != '\'') return 0;
  const char a = letter(1), b = letter(2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/// \s+(?!\S)|\s+ : a run of spaces leaves its last one to the word that follows.
size_t spaces_end(std::string_view text, size_t at) {
  size_t last = at, end = at;
  for (Char c = char_at(text, at); c.is(kSpace); c = char_at(text, end)) {
    last = end;
    end += c.bytes;
  }
  return end == text.size() || last == at ? end : last;
}

/// \s*[\r\n]+ : end of the last line break in the run of spaces, or `at` if it has none.
size_t line_break_end(std::string_view text, size_t at) {
  size_t found = at;
  for (Char c = char_at(text, at); c.is(kSpace); c = char_at(text, at)) {
    at += c.bytes;
    if (is_newline(c)) found = at;
  }
  return found;
}

/// Rules that match everywhere: `next` gives the end of the piece at a position.
template <size_t (*next)(std::string_view, size_t)>
void cut_all(std::string_view text, const Cuts& in, Cuts& out) {
  size_t begin = 0;
  for (const uint32_t end : in) {
    const std::string_view piece = text.substr(begin, end - begin);
    for (size_t at = 0; at < piece.size(); out.push_back(uint32_t(begin + at))) {
      const size_t after = next(piece, at);
      at = after > at ? after : at + char_at(piece, at).bytes;
    }
    begin = end;
  }
}

/// Rules that are searched for: `match` gives the end of a match at a position, or the position.
template <size_t (*match)(std::string_view, size_t)>
void cut_matches(std::string_view text, const Cuts& in, Cuts& out) {
  size_t begin = 0;
  for (const uint32_t end : in) {
    const std::string_view piece = text.substr(begin, end - begin);
    size_t cut = 0;
    for (size_t at = 0; at < piece.size();) {
      const size_t after = match(piece, at);
      if (after == at) {
        at += char_at(piece, at).bytes;
        continue;
      }
      if (at > cut) out.push_back(uint32_t(begin + at));
      out.push_back(uint32_t(begin + after));
      cut = at = after;
    }
    if (cut < piece.size()) out.push_back(end);
    begin = end;
  }
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t gpt2_word(std::string_view text, size_t at) {
  if (const size_t n = contraction(text, at, false)) return at + n;
  const size_t start = text[at] == ' ' ? at + 1 : at;
  const Char c = char_at(text, start);
  if (c.bytes == 0 || c.is(kSpace)) return spaces_end(text, at);
  for (const uint16_t mask : {kLetter, kNumber})
    if (c.is(mask)) return run_end(text, start, mask);
  return run_end(text, start, uint16_t(~(kSpace | kLetter | kNumber)));
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?W+|\p{N}{1,digits}| ?[^\sW\p{N}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+    where W is \p{L}, or [\p{L}\p{M}]
template <size_t digits, uint16_t word>
size_t cl100k_word(std::string_view text, size_t at) {
  if (const size_t n = contraction(text, at, true)) return at + n;
  const Char c = char_at(text, at);
  if (c.is(word)) return run_end(text, at, word);
  if (c.is(kNumber)) return run_end(text, at, kNumber, digits);
  const Char next = char_at(text, at + c.bytes);
  if (!is_newline(c) && next.is(word)) return run_end(text, at + c.bytes, word);
  constexpr auto kRest = uint16_t(~(kSpace | word | kNumber));
  const size_t start = c.code == ' ' ? at + 1 : at;
  if (size_t end = run_end(text, start, kRest); end > start) {
    while (end < text.size() && (text[end] == '\r' || text[end] == '\n')) ++end;
    return end;
  }
  if (const size_t end = line_break_end(text, at); end > at) return end;
  return spaces_end(text, at);
}

// [^\r\n\p{L}\p{N}]?U*L+ | [^\r\n\p{L}\p{N}]?U+L*   with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and
// L = [\p{Ll}\p{Lm}\p{Lo}\p{M}], tried in this order, from the first letter on. Returns `at` if
// neither matches. A mark is never the optional first character: it may as well begin U, and when a
// first character makes the first form fail, the expression tries that too. A run of U without a
// lower case letter after it ends at its last caseless one.
size_t cased_word_end(std::string_view text, size_t at) {
  constexpr auto kU = uint16_t(kUpper | kCaseless | kMark);
  constexpr auto kL = uint16_t(kLower | kCaseless | kMark);
  size_t end = at, caseless_end = at;
  for (Char c = char_at(text, at); c.is(kU); c = char_at(text, end)) {
    end += c.bytes;
    if (c.is(kL)) caseless_end = end;
  }
  if (char_at(text, end).is(kLower)) return run_end(text, end, kL);
  return caseless_end > at ? caseless_end : end;
}

// o200k (gpt-4o) and tekken: cased words as above with an optional contraction behind, numbers,
// ` ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
template <size_t digits, bool contractions>
size_t o200k_word(std::string_view text, size_t at) {
  const Char c = char_at(text, at);
  constexpr auto kStart = uint16_t(kLetter | kMark);
  size_t end = at;
  if (!is_newline(c) && !c.is(kStart | kNumber))
    if (const size_t start = at + c.bytes; char_at(text, start).is(kStart))
      end = cased_word_end(text, start);
  if (end == at && c.is(kStart)) end = cased_word_end(text, at);
  if (end > at) return end + (contractions ? contraction(text, end, true) : 0);
  if (c.is(kNumber)) return run_end(text, at, kNumber, digits);
  constexpr auto kRest = uint16_t(~(kSpace | kLetter | kNumber));
  const size_t start = c.code == ' ' ? at + 1 : at;
  if (end = run_end(text, start, kRest); end > start) {
    while (end < text.size() && (text[end] == '\r' || text[end] == '\n' || text[end] == '/')) ++end;
    return end;
  }
  if (end = line_break_end(text, at); end > at) return end;
  return spaces_end(text, at);
}

// \p{N}
size_t one_digit(std::string_view text, size_t at) {
  return run_end(text, at, kNumber, 1);
}

// \p{N}+
size_t number(std::string_view text, size_t at) {
  return run_end(text, at, kNumber);
}

// [0-9][0-9][0-9]
size_t three_digits(std::string_view text, size_t at) {
  const auto digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  return digit(at) && digit(at + 1) && digit(at + 2) ? at + 3 : at;
}

// [\r\n]
size_t one_newline(std::string_view text, size_t at) {
  return at + size_t(text[at] == '\r' || text[at] == '\n');
}

// [\p{P}\$\+<=>\^~\|]+ , and with the back quote
template <bool back_quote>
size_t punctuation(std::string_view text, size_t at) {
  for (;;) {
    const Char c = char_at(text, at);
    const bool listed = c.code < 128 && c.is(kSymbol) && (back_quote || c.code != '`');
    if (!listed && !c.is(kPunctuation)) return at;
    at += c.bytes;
  }
}

/// \s?X+ for a run of X that starts at `start` or one space later.
template <size_t (*run)(std::string_view, size_t)>
size_t after_space(std::string_view text, size_t at) {
  const Char c = char_at(text, at);
  const size_t start = c.is(kSpace) ? at + c.bytes : at;
  if (const size_t end = run(text, start); end > start) return end;
  const size_t end = run(text, at);  // X may hold spaces itself
  return end > at ? end : at;
}

size_t letters(std::string_view text, size_t at) {
  return run_end(text, at, kLetter);
}
size_t marks_of_punctuation(std::string_view text, size_t at) {
  return run_end(text, at, kPunctuation);
}

struct CodeRange {
  uint32_t first, last;
};

template <const auto& ranges>
size_t in_ranges(std::string_view text, size_t at) {
  for (;;) {
    const Char c = char_at(text, at);
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), c.code,
                                        [](uint32_t code, CodeRange r) { return code < r.first; });
    if (c.bytes == 0 || after == ranges.begin() || c.code > std::prev(after)->last) return at;
    at += c.bytes;
  }
}

// Letters of the alphabets that DeepSeek's tokenizer.json lists.
constexpr auto kDeepseekLetters = std::to_array<CodeRange>({
#include "engine/text/deepseek_letters.inc"
});

// [!-/:-~！-／：-～‘-‟　-。]
constexpr auto kDeepseekPunctuation = std::to_array<CodeRange>({{0x21, 0x2F},
                                                                {0x3A, 0x7E},
                                                                {0x2018, 0x201F},
                                                                {0x3000, 0x3002},
                                                                {0xFF01, 0xFF0F},
                                                                {0xFF1A, 0xFF5E}});

// [一-龥ࠀ-一가-퟿]
constexpr auto kDeepseekEastAsian =
    std::to_array<CodeRange>({{0x800, 0x4E00}, {0x4E01, 0x9FA5}, {0xAC00, 0xD7FF}});

// \s+$
void cut_trailing_spaces(std::string_view text, const Cuts& in, Cuts& out) {
  size_t begin = 0;
  for (const uint32_t end : in) {
    const std::string_view piece = text.substr(begin, end - begin);
    size_t spaces = piece.size();  // where the run of spaces that reaches the end begins
    for (size_t at = 0, after; at < piece.size(); at = after) {
      const Char c = char_at(piece, at);
      after = at + c.bytes;
      if (!c.is(kSpace))
        spaces = piece.size();
      else if (spaces == piece.size())
        spaces = at;
    }
    if (spaces > 0 && spaces < piece.size()) out.push_back(uint32_t(begin + spaces));
    out.push_back(end);
    begin = end;
  }
}

struct Family {
  PreTokenizer rules;  ///< all but the key
  std::vector<std::string_view> keys;
};

std::vector<Family> make_families() {
  constexpr CutPass gpt2 = cut_all<gpt2_word>;
  constexpr CutPass llama3 = cut_all<cl100k_word<3, kLetter>>;
  constexpr CutPass qwen2 = cut_all<cl100k_word<1, kLetter>>;
  constexpr CutPass qwen35 = cut_all<cl100k_word<1, kLetter | kMark>>;
  constexpr CutPass digit = cut_matches<one_digit>;
  constexpr CutPass thousands = cut_matches<three_digits>;
  const std::vector<CutPass> deepseek_llm = {
      cut_matches<one_newline>,
      cut_matches<after_space<in_ranges<kDeepseekLetters>>>,
      cut_matches<after_space<in_ranges<kDeepseekPunctuation>>>,
      cut_trailing_spaces,
      cut_matches<in_ranges<kDeepseekEastAsian>>,
      cut_matches<number>};
  const std::vector<CutPass> deepseek_coder = {cut_matches<one_newline>,
                                               cut_matches<after_space<letters>>,
                                               cut_matches<after_space<marks_of_punctuation>>,
                                               cut_matches<in_ranges<kDeepseekEastAsian>>, digit};
  return {
      {{"", {cut_matches<punctuation<false>>, gpt2, cut_matches<number>, thousands}}, {"default"}},
      {{"", {gpt2}},
       {"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat", "mellum"}},
      {{"", {digit, gpt2}},
       {"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"}},
      {{"", {llama3}, true, true},
       {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"}},
      {{"", {llama3}}, {"smaug-bpe", "dbrx", "glm4", "chatglm-bpe"}},
      {{"", {qwen2}},
       {"qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "grok-2", "solar-open"}},
      {{"", {qwen35}}, {"qwen35"}},
      {{"", {cut_matches<punctuation<true>>, gpt2, thousands}}, {"falcon"}},
      {{"", deepseek_llm}, {"deepseek-llm"}},
      {{"", deepseek_coder}, {"deepseek-coder"}},
      {{"", {cut_all<o200k_word<3, true>>}}, {"gpt-4o", "llama4", "kanana2"}},
      {{"", {cut_all<o200k_word<1, false>>}, true, true}, {"tekken"}},
  };
}

const std::vector<PreTokenizer>& pre_tokenizers() {
  static const std::vector<PreTokenizer> table = [] {
    std::vector<PreTokenizer> rows;
    for (const Family& family : make_families())
      for (const std::string_view key : family.keys) {
        rows.push_back(family.rules);
        rows.back().key = key;
      }
    return rows;
  }();
  return table;
}

}  // namespace

std::string pre_tokenizer_keys() {
  std::string keys;
  for (const PreTokenizer& rules : pre_tokenizers())
    keys.append(keys.empty() ? "" : ", ").append(rules.key);
  return keys;
}

Result<const PreTokenizer*> find_pre_tokenizer(std::string_view key) {
  if (key.empty()) key = "default";
  for (const PreTokenizer& rules : pre_tokenizers())
    if (rules.key == key) return &rules;
  return fail(ErrorCode::Unsupported,
              "tokenizer.ggml.pre is \"{}\", a pre-tokenizer that is not known; supported: {}",
              key.substr(0, 64), pre_tokenizer_keys());
}

void cut_words(const PreTokenizer& rules, std::string_view text, Cuts& words, Cuts& scratch) {
  words.clear();
  if (!text.empty()) words.push_back(uint32_t(text.size()));
  for (const CutPass pass : rules.passes) {
    std::swap(words, scratch);
    words.clear();
    pass(text, scratch, words);
  }
}

}  // namespace pumice::text
