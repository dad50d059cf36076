// Token bytes in one block, and a flat hash from bytes to token id. No allocation per token.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pumice::text {

inline constexpr int32_t kNoToken = -1;

/// What each token writes, by id.
class PieceTable {
 public:
  PieceTable() : begin_{0} {}
  void reserve(size_t tokens, size_t bytes) {
    begin_.reserve(tokens + 1);
    bytes_.reserve(bytes);
  }
  void add(std::string_view piece) {
    bytes_.append(piece);
    begin_.push_back(bytes_.size());
  }
  [[nodiscard]] size_t size() const { return begin_.size() - 1; }
  [[nodiscard]] std::string_view operator[](int32_t id) const {
    const size_t begin = begin_[size_t(id)];
    return std::string_view(bytes_).substr(begin, begin_[size_t(id) + 1] - begin);
  }

 private:
  std::string bytes_;
  std::vector<size_t> begin_;
};

/// Open addressing over pieces; half empty at most when full, so probes stay short.
class TokenTable {
 public:
  void reserve(size_t tokens) {
    slots_.assign(std::bit_ceil(tokens * 2 + 16), Slot{});
    mask_ = slots_.size() - 1;
  }

  /// The id that already has these bytes, or kNoToken after inserting. At most as many inserts
  /// as were reserved.
  int32_t insert(const PieceTable& pieces, int32_t id) {
    const std::string_view piece = pieces[id];
    const uint64_t hash = XXH3_64bits(piece.data(), piece.size());
    for (size_t at = hash & mask_;; at = (at + 1) & mask_) {
      Slot& slot = slots_[at];
      if (slot.id == kNoToken) {
        slot = {tag(hash), id};
        return kNoToken;
      }
      if (slot.tag == tag(hash) && pieces[slot.id] == piece) return slot.id;
    }
  }

  [[nodiscard]] int32_t find(const PieceTable& pieces, std::string_view piece) const {
    const uint64_t hash = XXH3_64bits(piece.data(), piece.size());
    for (size_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.id == kNoToken) return kNoToken;
      if (slot.tag == tag(hash) && pieces[slot.id] == piece) return slot.id;
    }
  }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t id = kNoToken;
  };
  static uint32_t tag(uint64_t hash) { return uint32_t(hash >> 32); }

  std::vector<Slot> slots_ = std::vector<Slot>(1);
  size_t mask_ = 0;
};

}  // namespace pumice::text
