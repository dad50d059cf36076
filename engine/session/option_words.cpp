// Tables of words.
#include "engine/session/option_words.h"

#include <algorithm>
#include <array>
#include <string>

namespace pumice {
namespace {

template <class Value>
struct Word {
  std::string_view word;
  Value value;
};

constexpr std::array kMasks = {
    Word<bool CapabilityMask::*>{"fp16", &CapabilityMask::fp16},
    Word<bool CapabilityMask::*>{"dot8", &CapabilityMask::dot8},
    Word<bool CapabilityMask::*>{"subgroup", &CapabilityMask::subgroup},
    Word<bool CapabilityMask::*>{"coopmat", &CapabilityMask::coopmat},
    Word<bool CapabilityMask::*>{"texel", &CapabilityMask::texel},
};
constexpr std::array kActivations = {
    Word<ActivationType>{"f32", ActivationType::F32},
    Word<ActivationType>{"q8", ActivationType::Q8},
    Word<ActivationType>{"auto", ActivationType::Auto},
};
constexpr std::array kCaches = {
    Word<CacheType>{"f32", CacheType::F32},
    Word<CacheType>{"f16", CacheType::F16},
    Word<CacheType>{"q8_0", CacheType::Q8_0},
    Word<CacheType>{"q4_0", CacheType::Q4_0},
};

template <class Table>
auto find_word(const Table& table, std::string_view word, std::string_view what)
    -> Result<decltype(table[0].value)> {
  std::string known;
  for (const auto& row : table) {
    if (row.word == word) return row.value;
    known += fmt::format(" {}", row.word);
  }
  return fail(ErrorCode::BadArgument, "{}: \"{}\" is none of{}", what, word.substr(0, 64), known);
}

}  // namespace

Result<CapabilityMask> parse_mask(std::string_view words, std::string_view what) {
  CapabilityMask mask;
  for (size_t begin = 0; begin < words.size();) {
    const size_t end = std::min(words.find(',', begin), words.size());
    PUMICE_TRY_ASSIGN(const auto flag, find_word(kMasks, words.substr(begin, end - begin), what));
    mask.*flag = true;
    begin = end + 1;
  }
  return mask;
}

Result<ActivationType> parse_activations(std::string_view word, std::string_view what) {
  return find_word(kActivations, word, what);
}

Result<CacheFormat> parse_cache(std::string_view word, std::string_view what) {
  constexpr std::string_view kRotated = "+rotate";
  CacheFormat cache;
  if (word.ends_with(kRotated)) {
    cache.rotate = true;
    word.remove_suffix(kRotated.size());
  }
  const size_t slash = word.find('/');
  PUMICE_TRY_ASSIGN(cache.k, find_word(kCaches, word.substr(0, slash), what));
  cache.v = cache.k;
  if (slash != std::string_view::npos) {
    PUMICE_TRY_ASSIGN(cache.v, find_word(kCaches, word.substr(slash + 1), what));
  }
  return cache;
}

}  // namespace pumice
