// Owns the tables: mixes, categories by name, rules, fallbacks.
#include "engine/quant/mix_rules.h"

#include <algorithm>
#include <array>

namespace pumice::quant {
namespace {

using enum QuantType;
using M = MixId;

// Ids of general.file_type as the public tools number them.
constexpr Mix kMixes[] = {
    {M::F32, "F32", F32, 0},           {M::F16, "F16", F16, 1},
    {M::BF16, "BF16", BF16, 32},       {M::Q4_0, "Q4_0", Q4_0, 2},
    {M::Q4_1, "Q4_1", Q4_1, 3},        {M::Q5_0, "Q5_0", Q5_0, 8},
    {M::Q5_1, "Q5_1", Q5_1, 9},        {M::Q8_0, "Q8_0", Q8_0, 7},
    {M::Q2_K, "Q2_K", Q2_K, 10},       {M::Q2_K_S, "Q2_K_S", Q2_K, 21},
    {M::Q3_K_S, "Q3_K_S", Q3_K, 11},   {M::Q3_K_M, "Q3_K_M", Q3_K, 12},
    {M::Q3_K_L, "Q3_K_L", Q3_K, 13},   {M::Q4_K_S, "Q4_K_S", Q4_K, 14},
    {M::Q4_K_M, "Q4_K_M", Q4_K, 15},   {M::Q5_K_S, "Q5_K_S", Q5_K, 16},
    {M::Q5_K_M, "Q5_K_M", Q5_K, 17},   {M::Q6_K, "Q6_K", Q6_K, 18},
    {M::IQ4_NL, "IQ4_NL", IQ4_NL, 25}, {M::IQ4_XS, "IQ4_XS", IQ4_XS, 30},
    {M::IQ3_S, "IQ3_S", IQ3_S, 26},    {M::MXFP4_MOE, "MXFP4_MOE", Q8_0, 38},
    {M::Seed, "seed-mix", Q4_K, 15},
};

constexpr bool in_id_order() {
  for (size_t i = 0; i < std::size(kMixes); ++i)
    if (size_t(kMixes[i].id) != i) return false;
  return true;
}
static_assert(in_id_order());

struct Alias {
  std::string_view name;
  MixId mix;
};
constexpr Alias kAliases[] = {
    {"Q3_K", M::Q3_K_M},     {"Q4_K", M::Q4_K_M},   {"Q5_K", M::Q5_K_M},
    {"MXFP4", M::MXFP4_MOE}, {"seed_mix", M::Seed}, {"Q6_K_S", M::Q6_K},
};

constexpr MixSet kAllPublic = set_of(M::Seed) - 1;

constexpr Rule kRules[] = {
    // clang-format off
    {Category::Output, set_of(M::Q8_0, M::MXFP4_MOE), Always, Q8_0},
    {Category::Output, kAllPublic | set_of(M::Seed), NotFalcon | WholeBlocks, Q6_K},
    {Category::Output, kAllPublic | set_of(M::Seed), Always, Q8_0},

    {Category::Any, set_of(M::MXFP4_MOE), Stacked, MXFP4},

    {Category::AttentionV, set_of(M::Q2_K, M::Q2_K_S, M::IQ3_S), SharedHeads, Q4_K},
    {Category::AttentionV, set_of(M::Q2_K), Always, Q3_K},
    {Category::AttentionV, set_of(M::Q3_K_M), FirstTwo, Q5_K},
    {Category::AttentionV, set_of(M::Q3_K_M), Always, Q4_K},
    {Category::AttentionV, set_of(M::Q3_K_L), Always, Q5_K},
    {Category::AttentionV, set_of(M::IQ4_NL, M::IQ4_XS), SharedHeads, Q5_K},
    {Category::AttentionV, set_of(M::Q4_K_M, M::Q5_K_M), MoreBits, Q6_K},
    {Category::AttentionV, set_of(M::Q4_K_S), FirstFour, Q5_K},
    {Category::AttentionV, set_of(M::Seed), Always, Q6_K},

    {Category::FfnDown, set_of(M::Q2_K), Always, Q3_K},
    {Category::FfnDown, set_of(M::Q2_K_S), FirstEighth, Q4_K},
    {Category::FfnDown, set_of(M::Q3_K_M), FirstSixteenth, Q5_K},
    {Category::FfnDown, set_of(M::Q3_K_M), NotFalcon, Q4_K},
    {Category::FfnDown, set_of(M::Q3_K_M), Falcon | MoreBits, Q4_K},
    {Category::FfnDown, set_of(M::Q3_K_L), NotFalcon, Q5_K},
    {Category::FfnDown, set_of(M::Q3_K_L), Falcon, Q4_K},
    {Category::FfnDown, set_of(M::Q4_K_M), Falcon | FirstSixteenth, Q6_K},
    {Category::FfnDown, set_of(M::Q4_K_M), Falcon | MoreBits, Q5_K},
    {Category::FfnDown, set_of(M::Q4_K_M), NotFalcon | MoreBits, Q6_K},
    {Category::FfnDown, set_of(M::Q5_K_M), MoreBits, Q6_K},
    {Category::FfnDown, set_of(M::Q4_K_S), NotFalcon | FirstEighth, Q5_K},
    {Category::FfnDown, set_of(M::IQ4_NL, M::IQ4_XS), NoImportance | FirstEighth, Q5_K},
    {Category::FfnDown, set_of(M::Q4_0), Importance | FirstEighth, Q4_1},
    {Category::FfnDown, set_of(M::Q5_0), Importance | FirstEighth, Q5_1},
    {Category::FfnDown, set_of(M::Seed), Always, Q6_K},

    {Category::AttentionOutput, set_of(M::Q2_K, M::Q3_K_S, M::Q3_K_M, M::IQ4_NL, M::Q4_K_S,
                                       M::Q4_K_M, M::IQ3_S, M::IQ4_XS),
     NotFalcon | EightExperts, Q5_K},
    {Category::AttentionOutput, set_of(M::Q2_K), NotFalcon | OtherExperts, Q3_K},
    {Category::AttentionOutput, set_of(M::Q3_K_M), NotFalcon | OtherExperts, Q4_K},
    {Category::AttentionOutput, set_of(M::Q3_K_L), NotFalcon | OtherExperts, Q5_K},
    {Category::AttentionOutput, set_of(M::Q3_K_L), Falcon, Q4_K},
    // clang-format on
};

/// Changes to what the rules chose: from one type, or from any.
struct Amendment {
  Category category;
  uint32_t when;
  std::optional<QuantType> from;
  QuantType to;
};
constexpr Amendment kAmendments[] = {
    {Category::AttentionV, Seventy, Q3_K, Q5_K},
    {Category::AttentionV, Seventy, Q4_K, Q5_K},
    {Category::AttentionV, EightExperts, std::nullopt, Q8_0},
    {Category::AttentionK, EightExperts, std::nullopt, Q8_0},
};
/// Mixes whose rules are complete without.
constexpr MixSet kUnamended = set_of(M::Seed, M::MXFP4_MOE);

struct NamePart {
  std::string_view part;
  Category category;
};
/// The first that a name contains decides.
constexpr NamePart kCategories[] = {
    {"attn_qkv.weight", Category::AttentionV},
    {"attn_kv_b.weight", Category::AttentionV},
    {"attn_v.weight", Category::AttentionV},
    {"attn_k.weight", Category::AttentionK},
    {"attn_q.weight", Category::Other},
    {"attn_output.weight", Category::AttentionOutput},
    {"ffn_up", Category::Other},
    {"ffn_gate", Category::Other},
    {"ffn_down", Category::FfnDown},
};

constexpr std::string_view kKept[] = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "attn_rel_b.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
};

struct Fallback {
  QuantType from, to;
};
constexpr Fallback kFallbacks[] = {
    {Q2_K, Q4_0},    {Q3_K, Q4_0},     {Q4_K, Q5_0},  {Q5_K, Q5_1},  {Q6_K, Q8_0},
    {IQ3_S, IQ4_NL}, {IQ4_XS, IQ4_NL}, {TQ1_0, Q4_0}, {TQ2_0, Q4_0}, {Q2_0, Q4_0},
};

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

std::span<const Mix> mixes() {
  return kMixes;
}

const Mix* find_mix(std::string_view name) {
  for (const Mix& mix : kMixes)
    if (same_word(mix.name, name)) return &mix;
  for (const Alias& alias : kAliases)
    if (same_word(alias.name, name)) return &kMixes[size_t(alias.mix)];
  return nullptr;
}

std::string mix_names() {
  std::string list;
  for (const Mix& mix : kMixes) list += fmt::format("{}{}", list.empty() ? "" : ", ", mix.name);
  return list;
}

const QuantTypeInfo* find_type(std::string_view name) {
  for (const QuantTypeInfo& row : quant_types())
    if (same_word(row.name, name)) return &row;
  return nullptr;
}

uint32_t file_type_of(QuantType type) {
  if (type == MXFP4) return kMixes[size_t(M::MXFP4_MOE)].file_type;
  for (const Mix& mix : kMixes)
    if (mix.type == type) return mix.file_type;
  return kMixes[size_t(M::F16)].file_type;
}

QuantType type_by_rules(const Mix& mix, Category category, uint32_t conditions) {
  QuantType type = mix.type;
  for (const Rule& rule : kRules) {
    const bool covers = rule.category == category ||
                        (rule.category == Category::Any && category != Category::Output);
    if (!covers || !(rule.mixes & set_of(mix.id)) || (rule.when & ~conditions)) continue;
    type = rule.type;
    break;
  }
  if (kUnamended & set_of(mix.id)) return type;
  for (const Amendment& row : kAmendments)
    if (row.category == category && !(row.when & ~conditions) && (!row.from || *row.from == type))
      type = row.to;
  return type;
}

Category category_of(std::string_view name, bool has_output) {
  if (name == "output.weight") return Category::Output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight")
    return has_output ? Category::TokenEmbedding : Category::Output;
  for (const NamePart& row : kCategories)
    if (name.find(row.part) != std::string_view::npos) return row.category;
  return Category::Other;
}

QuantType fallback_of(QuantType type) {
  for (const Fallback& row : kFallbacks)
    if (row.from == type) return row.to;
  return F16;
}

std::span<const std::string_view> kept_names() {
  return kKept;
}

}  // namespace pumice::quant
