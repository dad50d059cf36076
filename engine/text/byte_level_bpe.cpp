// Byte-level BPE: a word is its bytes, and the pair of neighbours whose merge stands first in the
// file's list is joined until no pair is listed.
#include <algorithm>
#include <unordered_map>

#include "engine/text/token_model.h"

namespace pumice::text {
namespace {

/// (left, right) -> rank. Open addressing; half empty at most.
class PairTable {
 public:
  void reserve(size_t pairs) {
    slots_.assign(std::bit_ceil(pairs * 2 + 16), Slot{});
    mask_ = slots_.size() - 1;
  }
  /// The first of equal pairs stays.
  void insert(int32_t left, int32_t right, uint32_t rank) {
    for (size_t at = hash(left, right);; at = (at + 1) & mask_) {
      Slot& slot = slots_[at];
      if (slot.rank == kNoRank) {
        slot = {left, right, rank};
        return;
      }
      if (slot.left == left && slot.right == right) return;
    }
  }
  [[nodiscard]] uint32_t find(int32_t left, int32_t right) const {
    for (size_t at = hash(left, right);; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.rank == kNoRank || (slot.left == left && slot.right == right)) return slot.rank;
    }
  }

 private:
  struct Slot {
    int32_t left = 0, right = 0;
    uint32_t rank = kNoRank;
  };
  [[nodiscard]] size_t hash(int32_t left, int32_t right) const {
    uint64_t h = (uint64_t(uint32_t(left)) << 32 | uint32_t(right)) * 0x9E3779B97F4A7C15u;
    h = (h ^ (h >> 32)) * 0xD6E8FEB86659FD93u;
    return size_t(h ^ (h >> 32)) & mask_;
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1);
  size_t mask_ = 0;
};

class ByteLevelBpe final : public TokenModel {
 public:
  ByteLevelBpe(const TokenData& data, const PreTokenizer& rules) : data_(data), rules_(rules) {}

  Result<void> index(std::span<const std::string_view> merges) {
    size_t n = 0;
    for (const bool yes : data_.mergeable) n += yes;
    table_.reserve(n);
    for (size_t i = 0; i < data_.pieces.size(); ++i) {
      if (!data_.mergeable[i]) continue;
      const int32_t same = table_.insert(data_.pieces, int32_t(i));
      if (same != kNoToken)
        return fail(ErrorCode::BadFile, "tokens {} and {} of the vocabulary have the same text",
                    same, i);
    }
    for (size_t b = 0; b < 256; ++b) {
      const char c = char(b);
      byte_symbol_[b] = symbol({&c, 1});
    }
    pairs_.reserve(merges.size());
    result_.assign(merges.size(), kNoToken);
    for (size_t i = 0; i < merges.size(); ++i) PUMICE_TRY(add_merge(uint32_t(i), merges[i]));
    return {};
  }

  Result<void> encode(std::string_view text, bool /*after_marker*/, EncodeScratch& scratch,
                      std::vector<int32_t>& ids) const override {
    cut_words(rules_, text, scratch.words, scratch.cuts);
    size_t begin = 0;
    for (const uint32_t end : scratch.words) {
      PUMICE_TRY(encode_word(text.substr(begin, end - begin), scratch.list, ids));
      begin = end;
    }
    return {};
  }

 private:
  Result<void> encode_word(std::string_view word, MergeList& list,
                           std::vector<int32_t>& ids) const {
    if (rules_.whole_words && word.size() <= data_.longest)
      if (const int32_t id = table_.find(data_.pieces, word); id != kNoToken) {
        ids.push_back(id);
        return {};
      }
    list.clear();
    list.reserve(word.size());
    for (size_t i = 0; i < word.size(); ++i) list.add(uint32_t(i), byte_symbol_[uint8_t(word[i])]);
    list.close(uint32_t(word.size()));
    list.run(
        [&](const MergeList& l, uint32_t left, uint32_t right) {
          const uint32_t rank = pairs_.find(l[left].id, l[right].id);
          return rank == kNoRank ? Merge{} : Merge{rank, result_[rank]};
        },
        uint32_t(result_.size()));
    for (uint32_t i = list.first(); i != list.sentinel(); i = list[i].next) {
      if (size_t(list[i].id) < data_.pieces.size()) {
        ids.push_back(list[i].id);
        continue;
      }
      for (uint32_t at = list[i].begin; at < list.end_of(i); ++at)
        PUMICE_TRY(encode_byte(data_, uint8_t(word[at]), ids));
    }
    return {};
  }

  /// The token with these bytes. Merges may pass through texts that are no token: they get numbers
  /// above the vocabulary.
  int32_t symbol(std::string_view bytes) {
    if (const int32_t id = table_.find(data_.pieces, bytes); id != kNoToken) return id;
    const auto next = int32_t(data_.pieces.size() + extra_.size());
    return extra_.try_emplace(std::string(bytes), next).first->second;
  }

  Result<void> add_merge(uint32_t rank, std::string_view text) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == text.size() ||
        text.find(' ', space + 1) != std::string_view::npos)
      return fail(ErrorCode::BadFile,
                  "tokenizer.ggml.merges[{}] is \"{}\", expected two parts with one space between",
                  rank, text.substr(0, 40));
    std::string& bytes = merge_bytes_;
    bytes.clear();
    if (!decode_byte_characters(text.substr(0, space), bytes)) return {};  // no text can reach it
    const size_t left_bytes = bytes.size();
    if (!decode_byte_characters(text.substr(space + 1), bytes)) return {};
    const std::string_view whole = bytes;
    result_[rank] = symbol(whole);
    pairs_.insert(symbol(whole.substr(0, left_bytes)), symbol(whole.substr(left_bytes)), rank);
    return {};
  }

  const TokenData& data_;
  const PreTokenizer& rules_;
  TokenTable table_;
  PairTable pairs_;
  std::vector<int32_t> result_;  ///< by rank
  std::array<int32_t, 256> byte_symbol_ = {};
  std::unordered_map<std::string, int32_t> extra_;
  std::string merge_bytes_;
};

}  // namespace

Result<std::unique_ptr<const TokenModel>> make_byte_level_bpe(
    const TokenData& data, const PreTokenizer& rules, std::span<const std::string_view> merges) {
  auto model = std::make_unique<ByteLevelBpe>(data, rules);
  PUMICE_TRY(model->index(merges));
  return model;
}

}  // namespace pumice::text
