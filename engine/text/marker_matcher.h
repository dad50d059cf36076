// Finds tokens that are matched as whole strings before any merging: control tokens in template
// text, user-defined tokens in all text. Leftmost first, longest among those.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/text/token_table.h"

namespace pumice::text {

class MarkerMatcher {
 public:
  /// Longer tokens are no markers: this bounds the work per position of any text.
  static constexpr size_t kMaxBytes = 256;

  struct Match {
    size_t begin = 0;
    size_t bytes = 0;  ///< 0: nothing found, `begin` is the end of the text
    int32_t id = kNoToken;
  };

  MarkerMatcher() = default;
  MarkerMatcher(const PieceTable& pieces, std::vector<int32_t> ids) : ids_(std::move(ids)) {
    std::erase_if(ids_,
                  [&](int32_t id) { return pieces[id].empty() || pieces[id].size() > kMaxBytes; });
    std::stable_sort(ids_.begin(), ids_.end(),
                     [&](int32_t a, int32_t b) { return pieces[a] < pieces[b]; });
    const auto same = [&](int32_t a, int32_t b) { return pieces[a] == pieces[b]; };
    ids_.erase(std::unique(ids_.begin(), ids_.end(), same), ids_.end());
    for (const int32_t id : ids_) ++first_[uint8_t(pieces[id][0]) + 1u];
    for (size_t c = 1; c < first_.size(); ++c) first_[c] += first_[c - 1];
  }

  [[nodiscard]] bool empty() const { return ids_.empty(); }

  [[nodiscard]] Match find(const PieceTable& pieces, std::string_view text, size_t from) const {
    if (ids_.empty()) return {text.size(), 0, kNoToken};
    for (size_t at = from; at < text.size(); ++at) {
      const auto c = uint8_t(text[at]);
      if (first_[c] == first_[c + 1u]) continue;
      if (const Match match = longest_at(pieces, text, at); match.bytes != 0) return match;
    }
    return {text.size(), 0, kNoToken};
  }

 private:
  /// Narrows the sorted ids byte by byte; the token that ends at a depth sorts before the rest.
  [[nodiscard]] Match longest_at(const PieceTable& pieces, std::string_view text, size_t at) const {
    Match best{at, 0, kNoToken};
    const auto c = uint8_t(text[at]);
    auto low = ids_.begin() + first_[c], high = ids_.begin() + first_[c + 1u];
    for (size_t depth = 1; low != high; ++depth) {
      if (pieces[*low].size() == depth) best = {at, depth, *low++};
      if (at + depth >= text.size()) break;
      const auto byte = uint8_t(text[at + depth]);
      const auto of = [&](int32_t id) { return uint8_t(pieces[id][depth]); };
      low = std::partition_point(low, high, [&](int32_t id) { return of(id) < byte; });
      high = std::partition_point(low, high, [&](int32_t id) { return of(id) == byte; });
    }
    return best;
  }

  std::vector<int32_t> ids_;              ///< sorted by bytes; no two alike
  std::array<uint32_t, 257> first_ = {};  ///< by first byte: where its tokens begin in ids_
};

}  // namespace pumice::text
