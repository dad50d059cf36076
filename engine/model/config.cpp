// The common keys and the cross-checks.
#include "engine/model/config.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pumice::model {
namespace {

constexpr double kMaxFactor = 1e6;

constexpr KeyRow kCommonKeys[] = {
    // clang-format off
    {"block_count",                          &Config::n_layers,          1, kMaxLayers,   true},
    {"context_length",                       &Config::context_length,    1, kMaxContext,  true},
    {"embedding_length",                     &Config::n_embd,            4, kMaxEmbd,     true},
    {"feed_forward_length",                  &Config::n_ff,              4, kMaxFf,       true},
    {"vocab_size",                           &Config::n_vocab,           1, kMaxVocab},
    {"attention.head_count",                 &Config::n_heads,           1, kMaxHeads,    true},
    {"attention.head_count_kv",              &Config::n_kv_heads,        1, kMaxHeads},
    {"attention.key_length",                 &Config::head_k,            1, kMaxHeadSize},
    {"attention.value_length",               &Config::head_v,            1, kMaxHeadSize},
    {"attention.layer_norm_rms_epsilon",     &Config::norm_eps,          1e-12, 1.0,      true},
    {"attention.scale",                      &Config::attention_scale,   0.0, 1e3},
    {"rope.dimension_count",                 &Config::n_rot,             2, kMaxHeadSize},
    {"rope.freq_base",                       &Config::rope_base,         2.0, 1e12},
    {"rope.scale_linear",                    &Config::rope_factor,       0.0, kMaxFactor},
    {"rope.scaling.type",                    &Config::rope_scaling_name},
    {"rope.scaling.factor",                  &Config::rope_factor,       0.0, kMaxFactor},
    {"rope.scaling.attn_factor",             &Config::rope_attn_factor,  1e-3, 1e3},
    {"rope.scaling.original_context_length", &Config::original_context,  0, kMaxContext},
    {"rope.scaling.yarn_ext_factor",         &Config::yarn_ext_factor,   -1.0, 1.0},
    {"rope.scaling.yarn_beta_fast",          &Config::yarn_beta_fast,    1e-3, 1e6},
    {"rope.scaling.yarn_beta_slow",          &Config::yarn_beta_slow,    1e-3, 1e6},
    // clang-format on
};

/// One integer, or one per layer of which all are equal.
Result<uint32_t> read_integer(const Metadata& metadata, const std::string& key, const KeyRow& row,
                              const Config& config) {
  const uint32_t min = uint32_t(row.min), max = uint32_t(row.max);
  const MetadataEntry* entry = metadata.find(key);
  if (!entry || entry->type != MetadataType::Array || config.n_layers == 0)
    return metadata.get_u32(key, min, max);
  PUMICE_TRY_ASSIGN(const std::vector<uint32_t> values,
                    metadata.get_u32_per_layer(key, config.n_layers, min, max));
  for (size_t layer = 1; layer < values.size(); ++layer)
    if (values[layer] != values[0])
      return fail(ErrorCode::Unsupported,
                  "{}: key {}: layers differ ({} in layer 0, {} in layer {}); only one value for "
                  "all layers can run",
                  metadata.source(), key, values[0], values[layer], layer);
  return values[0];
}

Result<void> read_key(const Metadata& metadata, const KeyRow& row, Config& config) {
  const std::string key = config.architecture + "." + std::string(row.key);
  if (!row.required && !metadata.contains(key)) return {};
  if (const auto* integer = std::get_if<uint32_t Config::*>(&row.field)) {
    PUMICE_TRY_ASSIGN(config.**integer, read_integer(metadata, key, row, config));
  } else if (const auto* real = std::get_if<double Config::*>(&row.field)) {
    PUMICE_TRY_ASSIGN(config.**real, metadata.get_f32(key, float(row.min), float(row.max)));
  } else {
    PUMICE_TRY_ASSIGN(const std::string_view text, metadata.get_string(key));
    config.*std::get<std::string Config::*>(row.field) = std::string(text);
  }
  return {};
}

/// A relation between keys; `found` and `rule` make the sentence.
struct Rule {
  bool holds;
  ErrorCode code;
  std::string_view key;
  uint64_t found;
  std::string rule;
};

Result<void> apply(const Metadata& metadata, const Config& config, std::span<const Rule> rules) {
  for (const Rule& rule : rules)
    if (!rule.holds)
      return fail(rule.code, "{}: key {}.{} is {}, but {}", metadata.source(), config.architecture,
                  rule.key, rule.found, rule.rule);
  return {};
}

Result<void> check_vocab(const Metadata& metadata, Config& config) {
  constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
  if (!metadata.contains(kTokens)) {
    if (config.n_vocab != 0) return {};
    return fail(ErrorCode::NotFound,
                "{}: neither {}.vocab_size nor {} says how large the vocabulary is",
                metadata.source(), config.architecture, kTokens);
  }
  PUMICE_TRY_ASSIGN(const auto tokens, metadata.get_strings(kTokens));
  if (tokens.empty() || tokens.size() > kMaxVocab)
    return fail(ErrorCode::BadFile, "{}: key {} has {} tokens; expected 1 to {}", metadata.source(),
                kTokens, tokens.size(), kMaxVocab);
  if (config.n_vocab != 0 && config.n_vocab != tokens.size())
    return fail(ErrorCode::BadFile, "{}: key {}.vocab_size is {}, but {} has {} tokens",
                metadata.source(), config.architecture, config.n_vocab, kTokens, tokens.size());
  config.n_vocab = uint32_t(tokens.size());
  return {};
}

Result<void> check_heads(const Metadata& metadata, Config& c) {
  using enum ErrorCode;
  if (c.n_kv_heads == 0) c.n_kv_heads = c.n_heads;
  const bool derives = c.head_k == 0 || c.head_v == 0;
  const Rule counts[] = {
      {c.n_heads % c.n_kv_heads == 0, BadFile, "attention.head_count", c.n_heads,
       fmt::format("it must be a multiple of attention.head_count_kv, {}", c.n_kv_heads)},
      {!derives || c.n_embd % c.n_heads == 0, BadFile, "attention.head_count", c.n_heads,
       fmt::format("it must divide embedding_length, {}", c.n_embd)},
  };
  PUMICE_TRY(apply(metadata, c, counts));
  if (c.head_k == 0) c.head_k = c.n_embd / c.n_heads;
  if (c.head_v == 0) c.head_v = c.n_embd / c.n_heads;
  if (c.n_rot == 0) c.n_rot = c.head_k;
  if (c.attention_scale == 0.0) c.attention_scale = 1.0 / std::sqrt(double(c.head_k));
  const std::string of_8 = "only head sizes that are a multiple of 8, up to 1024, can run";
  const Rule sizes[] = {
      {c.head_k >= 8 && c.head_k % 8 == 0 && c.head_k <= kMaxHeadSize, Unsupported,
       "attention.key_length", c.head_k, of_8},
      {c.head_v >= 8 && c.head_v % 8 == 0 && c.head_v <= kMaxHeadSize, Unsupported,
       "attention.value_length", c.head_v, of_8},
      {c.n_rot % 2 == 0, BadFile, "rope.dimension_count", c.n_rot, "pairs rotate: it must be even"},
      {c.n_rot <= c.head_k, BadFile, "rope.dimension_count", c.n_rot,
       fmt::format("a head has {} elements", c.head_k)},
  };
  return apply(metadata, c, sizes);
}

Result<void> check_sizes(const Metadata& metadata, const Config& c) {
  using enum ErrorCode;
  const std::string of_4 = "only multiples of 4 can run";
  const Rule rules[] = {
      {c.n_embd % 4 == 0, Unsupported, "embedding_length", c.n_embd, of_4},
      {c.n_ff % 4 == 0, Unsupported, "feed_forward_length", c.n_ff, of_4},
      {c.n_experts_used <= c.n_experts, BadFile, "expert_used_count", c.n_experts_used,
       fmt::format("expert_count is {}", c.n_experts)},
      {(c.n_experts == 0) == (c.n_experts_used == 0), BadFile, "expert_used_count",
       c.n_experts_used, fmt::format("expert_count is {}", c.n_experts)},
      // A column holds all slots of a token; its length must stay a 32-bit number of floats.
      {uint64_t(c.n_ff) * std::max(1u, c.n_experts_used) <= 1u << 28, Unsupported,
       "expert_used_count", c.n_experts_used,
       fmt::format("with {} rows each their products do not fit", c.n_ff)},
  };
  return apply(metadata, c, rules);
}

Result<void> check_rope(const Metadata& metadata, Config& c) {
  constexpr std::pair<std::string_view, RopeScaling> kNames[] = {
      {"", RopeScaling::Linear},  // old files give a factor and no type
      {"none", RopeScaling::None}, {"linear", RopeScaling::Linear},
      {"yarn", RopeScaling::Yarn}, {"longrope", RopeScaling::LongRope},
  };
  const auto* row = std::find_if(std::begin(kNames), std::end(kNames),
                                 [&](const auto& r) { return r.first == c.rope_scaling_name; });
  if (row == std::end(kNames))
    return fail(ErrorCode::Unsupported,
                "{}: key {}.rope.scaling.type is \"{}\"; supported: none, linear, yarn, longrope",
                metadata.source(), c.architecture, c.rope_scaling_name);
  c.rope_scaling = row->second;
  if (c.rope_factor != 0.0 && c.rope_factor < 1e-3)
    return fail(ErrorCode::BadFile, "{}: key {}.rope.scaling.factor is {}; expected at least 0.001",
                metadata.source(), c.architecture, c.rope_factor);
  if (c.original_context == 0) c.original_context = c.context_length;
  if (c.yarn_ext_factor < 0.0) c.yarn_ext_factor = 1.0;  // -1 in files means "the default"
  return {};
}

}  // namespace

std::span<const KeyRow> common_keys() {
  return kCommonKeys;
}

Result<void> read_keys(const Metadata& metadata, std::span<const KeyRow> rows, Config& config) {
  for (const KeyRow& row : rows) PUMICE_TRY(read_key(metadata, row, config));
  return {};
}

Result<void> cross_check(const Metadata& metadata, Config& config) {
  PUMICE_TRY(check_vocab(metadata, config));
  PUMICE_TRY(check_heads(metadata, config));
  PUMICE_TRY(check_sizes(metadata, config));
  return check_rope(metadata, config);
}

void slide_all_but_every(Config& config, uint32_t period) {
  config.sliding.assign(config.n_layers, false);
  for (uint32_t layer = 0; layer < config.n_layers; ++layer)
    config.sliding[layer] = period == 0 || layer % period < period - 1;
}

Result<void> read_sliding_pattern(const Metadata& metadata, uint32_t default_period,
                                  Config& config) {
  const std::string key = config.architecture + ".attention.sliding_window_pattern";
  const MetadataEntry* entry = metadata.find(key);
  if (!entry || entry->type != MetadataType::Array) {
    PUMICE_TRY_ASSIGN(const uint32_t period,
                      metadata.get_u32_or(key, default_period, 1, kMaxLayers));
    slide_all_but_every(config, period);
    return {};
  }
  PUMICE_TRY_ASSIGN(const auto flags, metadata.get_u32_per_layer(key, config.n_layers, 0, 1));
  config.sliding.assign(flags.begin(), flags.end());
  return {};
}

}  // namespace pumice::model
