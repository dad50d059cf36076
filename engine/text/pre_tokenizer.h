// Cuts text into the words that byte-level BPE may not merge across, by the rules that a file names
// in tokenizer.ggml.pre. Hand-written scanners, one pass each: no regular expressions, no
// recursion.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace pumice::text {

/// Ends of consecutive pieces of a text, ascending; the last is the text's size.
using Cuts = std::vector<uint32_t>;

/// One pass: cuts every piece of `text` given by `in` further, into `out`.
using CutPass = void (*)(std::string_view text, const Cuts& in, Cuts& out);

struct PreTokenizer {
  std::string_view key;
  std::vector<CutPass> passes;
  bool whole_words = false;  ///< a word that is a token is taken as it is, without merging
  bool add_bos = false;      ///< where the file does not say
};

/// The rules behind a key; an empty key means "default". Unknown: Unsupported, with the list.
[[nodiscard]] Result<const PreTokenizer*> find_pre_tokenizer(std::string_view key);

/// All keys, comma separated.
[[nodiscard]] std::string pre_tokenizer_keys();

/// `text` must be shorter than 4 GiB. `scratch` is only working memory.
void cut_words(const PreTokenizer& rules, std::string_view text, Cuts& words, Cuts& scratch);

}  // namespace pumice::text
