// The allocation rules as data: internal to mix.cpp. A rule says that tensors of a category, in
// some mixes and when all of its conditions hold, get a type; the first row that fits decides.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/quant/mix.h"

namespace pumice::quant {

enum class Category : uint8_t {
  Any,  ///< in a rule: every category but Output
  Output,
  TokenEmbedding,
  AttentionV,  ///< also the fused q+k+v and the compressed k+v of latent attention
  AttentionK,
  AttentionOutput,
  FfnDown,
  Norm,
  Other,
};

/// What can be true of a tensor in its model; a rule asks for a set of them.
enum Condition : uint32_t {
  Always = 0,
  MoreBits = 1u << 0,  ///< in the first eighth, the last eighth, or every third between
  FirstTwo = 1u << 1,  ///< of its category, counted over the layers; so are the next three
  FirstFour = 1u << 2,
  FirstEighth = 1u << 3,
  FirstSixteenth = 1u << 4,
  SharedHeads = 1u << 5,  ///< four query heads or more per key head
  EightExperts = 1u << 6,
  OtherExperts = 1u << 7,  ///< not eight
  Falcon = 1u << 8,
  NotFalcon = 1u << 9,
  Importance = 1u << 10,  ///< an importance matrix is given
  NoImportance = 1u << 11,
  Seventy = 1u << 12,      ///< a model of the 70B kind
  Stacked = 1u << 13,      ///< several matrices in one tensor: experts
  WholeBlocks = 1u << 14,  ///< rows divide into blocks of the mix's type
};

using MixSet = uint32_t;
template <class... Ids>
constexpr MixSet set_of(Ids... ids) {
  return ((1u << uint32_t(ids)) | ... | 0u);
}

struct Rule {
  Category category;
  MixSet mixes;
  uint32_t when;  ///< conditions that must all hold
  QuantType type;
};

/// The type of a tensor by the first rule that fits, then the amendments in order; the mix's own
/// type where none does.
[[nodiscard]] QuantType type_by_rules(const Mix& mix, Category category, uint32_t conditions);

/// Of a name that is to be quantised.
[[nodiscard]] Category category_of(std::string_view name, bool has_output);

/// The narrower-block type for rows that `type` cannot hold: never `type` itself.
[[nodiscard]] QuantType fallback_of(QuantType type);

/// Parts of names whose matrices stay as they are.
[[nodiscard]] std::span<const std::string_view> kept_names();

}  // namespace pumice::quant
