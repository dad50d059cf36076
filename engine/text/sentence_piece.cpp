// SentencePiece vocabularies as llama models use them: merge the neighbours whose joint text is the
// token with the highest score, leftmost among equals; what stays uncovered becomes byte tokens.
// Inside, a space is a space: U+2581 of the vocabulary and of the text are both turned into one.
#include <algorithm>

#include "engine/text/token_model.h"
#include "engine/text/unicode.h"

namespace pumice::text {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

class SentencePiece final : public TokenModel {
 public:
  SentencePiece(const TokenData& data, bool space_prefix)
      : data_(data), space_prefix_(space_prefix) {}

  Result<void> index() {
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
    rank_by_score();
    return {};
  }

  Result<void> encode(std::string_view text, bool after_marker, EncodeScratch& scratch,
                      std::vector<int32_t>& ids) const override {
    const std::string_view normal = normalize(text, after_marker, scratch.normalized);
    MergeList& list = scratch.list;
    list.clear();
    list.reserve(normal.size());
    for (size_t at = 0; at < normal.size();) {
      list.add(uint32_t(at));
      at += std::max<size_t>(utf8_length(normal, at), 1);
    }
    list.close(uint32_t(normal.size()));
    list.run(
        [&](const MergeList& l, uint32_t left, uint32_t right) {
          return merge(normal.substr(l[left].begin, l.end_of(right) - l[left].begin));
        },
        n_ranks_);
    for (uint32_t i = list.first(); i != list.sentinel(); i = list[i].next) {
      const uint32_t begin = list[i].begin;
      PUMICE_TRY(emit(list[i].id, normal.substr(begin, list.end_of(i) - begin), ids));
    }
    return {};
  }

 private:
  /// Equal scores share a rank; the highest score has rank 0.
  void rank_by_score() {
    rank_.assign(data_.pieces.size(), 0);
    n_ranks_ = 1;
    if (data_.scores.empty()) return;
    std::vector<float> scores = data_.scores;
    if (!std::is_sorted(scores.begin(), scores.end(), std::greater<>()))
      std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    n_ranks_ = uint32_t(scores.size());
    for (size_t i = 0; i < rank_.size(); ++i)
      rank_[i] = uint32_t(
          std::lower_bound(scores.begin(), scores.end(), data_.scores[i], std::greater<>()) -
          scores.begin());
  }

  std::string_view normalize(std::string_view text, bool after_marker, std::string& out) const {
    const bool prefix = space_prefix_ && after_marker && !text.empty();
    size_t mark = text.find(kSpaceMark);
    if (!prefix && mark == std::string_view::npos) return text;
    out.clear();
    if (prefix) out.push_back(' ');
    size_t at = 0;
    for (; mark != std::string_view::npos; mark = text.find(kSpaceMark, at)) {
      out.append(text.substr(at, mark - at)).push_back(' ');
      at = mark + kSpaceMark.size();
    }
    return out.append(text.substr(at));
  }

  Merge merge(std::string_view text) const {
    if (text.size() > data_.longest) return {};
    const int32_t id = table_.find(data_.pieces, text);
    return id == kNoToken ? Merge{} : Merge{rank_[size_t(id)], id};
  }

  Result<void> emit(int32_t id, std::string_view text, std::vector<int32_t>& ids) const {
    if (id == kNoToken) id = table_.find(data_.pieces, text);
    if (id != kNoToken) {
      ids.push_back(id);
      return {};
    }
    const bool has_bytes = data_.bytes[uint8_t(text[0])] != kNoToken;
    if (!has_bytes && data_.unknown != kNoToken) text = text.substr(0, 1);  // once a character
    for (const char c : text) PUMICE_TRY(encode_byte(data_, uint8_t(c), ids));
    return {};
  }

  const TokenData& data_;
  const bool space_prefix_;
  TokenTable table_;
  std::vector<uint32_t> rank_;  ///< by token
  uint32_t n_ranks_ = 1;
};

}  // namespace

Result<std::unique_ptr<const TokenModel>> make_sentence_piece(const TokenData& data,
                                                              bool space_prefix) {
  auto model = std::make_unique<SentencePiece>(data, space_prefix);
  PUMICE_TRY(model->index());
  return model;
}

}  // namespace pumice::text
