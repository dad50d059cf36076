// Hyper-parameters: what the keys of a model file say, read through one schema table and checked
// together, so that every later division and allocation is safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "loader/metadata.h"

namespace pumice::model {

/// Caps that bound time and memory on a hostile file; far above any real model of these kinds.
inline constexpr uint32_t kMaxLayers = 512, kMaxExperts = 1024, kMaxVocab = 1u << 20;
inline constexpr uint32_t kMaxEmbd = 1u << 16, kMaxFf = 1u << 19, kMaxHeads = 1024;
inline constexpr uint32_t kMaxHeadSize = 1024, kMaxContext = 1u << 24;

enum class RopeScaling : uint8_t { None, Linear, Yarn, LongRope };

struct Config {
  std::string architecture;
  uint32_t n_layers = 0, n_embd = 0, n_ff = 0, n_vocab = 0, context_length = 0;
  uint32_t n_heads = 0, n_kv_heads = 0;
  uint32_t head_k = 0, head_v = 0;  ///< elements per head; key absent: n_embd / n_heads
  uint32_t n_experts = 0, n_experts_used = 0;
  double expert_scale = 0.0;  ///< multiplies expert weights; 0 = off
  double norm_eps = 0.0;
  double attention_scale = 0.0;                         ///< key absent: 1 / sqrt(head_k)
  double attention_softcap = 0.0, final_softcap = 0.0;  ///< 0 = off

  uint32_t window = 0;        ///< positions a sliding layer sees; 0 = all
  std::vector<bool> sliding;  ///< per layer; empty = none slides

  uint32_t n_rot = 0;  ///< elements of a head that rotate; key absent: head_k
  double rope_base = 10000.0;
  double rope_base_sliding = 0.0;  ///< 0 = as the other layers
  RopeScaling rope_scaling = RopeScaling::None;
  std::string rope_scaling_name;
  double rope_factor = 0.0;  ///< context stretched by; 0 or 1 = not
  double rope_attn_factor = 1.0;
  double yarn_ext_factor = 1.0, yarn_beta_fast = 32.0, yarn_beta_slow = 1.0;
  uint32_t original_context = 0;  ///< key absent: context_length
};

/// One key -> type (of the field) -> [min, max] -> required. `key` lacks the architecture prefix.
struct KeyRow {
  using Field = std::variant<uint32_t Config::*, double Config::*, std::string Config::*>;
  std::string_view key;
  Field field;
  double min = 0.0, max = 0.0;  ///< inclusive; unused for strings
  bool required = false;
};

/// The keys that every architecture of this folder has.
[[nodiscard]] std::span<const KeyRow> common_keys();

/// Reads `rows` into `config`, each in its range; absent optional keys leave the field alone.
[[nodiscard]] Result<void> read_keys(const Metadata& metadata, std::span<const KeyRow> rows,
                                     Config& config);

/// All checks between keys; fills the fields whose key was absent. After it, no field that
/// anything divides by is zero.
[[nodiscard]] Result<void> cross_check(const Metadata& metadata, Config& config);

/// `layer` slides when (layer % period) < period - 1: every period-th layer is global.
void slide_all_but_every(Config& config, uint32_t period);

/// Config::sliding from attention.sliding_window_pattern: a period, or a flag per layer.
[[nodiscard]] Result<void> read_sliding_pattern(const Metadata& metadata, uint32_t default_period,
                                                Config& config);

}  // namespace pumice::model
