// Expands tensor rows over the layers and compares them with the file.
#include "engine/model/tensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_set>
#include <vector>

namespace pumice::model {
namespace {

constexpr std::string_view kPerLayer = "blk.%.";

constexpr TensorRow kCommonTensors[] = {
    // clang-format off
    {Role::TokenEmbd,  "token_embd",         {Dim::Embd, Dim::Vocab}},
    {Role::OutputNorm, "output_norm",        {Dim::Embd}},
    {Role::Output,     "output",             {Dim::Embd, Dim::Vocab}, Need::Optional, true},
    {Role::AttnNorm,   "blk.%.attn_norm",    {Dim::Embd}},
    {Role::AttnQ,      "blk.%.attn_q",       {Dim::Embd, Dim::Q},     Need::Split, true},
    {Role::AttnK,      "blk.%.attn_k",       {Dim::Embd, Dim::K},     Need::Split, true},
    {Role::AttnV,      "blk.%.attn_v",       {Dim::Embd, Dim::V},     Need::Split, true},
    {Role::AttnQkv,    "blk.%.attn_qkv",     {Dim::Embd, Dim::Qkv},   Need::Optional, true},
    {Role::AttnOut,    "blk.%.attn_output",  {Dim::Attn, Dim::Embd},  Need::Always, true},
    {Role::FfnNorm,    "blk.%.ffn_norm",     {Dim::Embd}},
    {Role::FfnDown,    "blk.%.ffn_down",     {Dim::Ff, Dim::Embd},    Need::Dense, true},
    // clang-format on
};

uint64_t length(Dim dim, const Config& c) {
  const uint64_t q = uint64_t(c.n_heads) * c.head_k;
  const uint64_t k = uint64_t(c.n_kv_heads) * c.head_k;
  const uint64_t v = uint64_t(c.n_kv_heads) * c.head_v;
  switch (dim) {
    case Dim::None:
      return 0;
    case Dim::Embd:
      return c.n_embd;
    case Dim::Vocab:
      return c.n_vocab;
    case Dim::Ff:
      return c.n_ff;
    case Dim::TwoFf:
      return 2 * uint64_t(c.n_ff);
    case Dim::Experts:
      return c.n_experts;
    case Dim::Q:
      return q;
    case Dim::K:
      return k;
    case Dim::V:
      return v;
    case Dim::Qkv:
      return q + k + v;
    case Dim::Attn:
      return uint64_t(c.n_heads) * c.head_v;
    case Dim::HeadK:
      return c.head_k;
    case Dim::RopePairs:
      return c.n_rot / 2;
  }
  return 0;
}

bool required(const TensorRow& row, const Config& config, bool has_fused_qkv) {
  switch (row.need) {
    case Need::Always:
      return true;
    case Need::Optional:
      return false;
    case Need::Dense:
      return config.n_experts == 0;
    case Need::Moe:
      return config.n_experts != 0;
    case Need::Split:
      return !has_fused_qkv;
  }
  return true;
}

/// Rows that the other kind of feed-forward has are not part of this model.
bool applies(const TensorRow& row, const Config& config) {
  if (row.need == Need::Dense) return config.n_experts == 0;
  if (row.need == Need::Moe) return config.n_experts != 0;
  return true;
}

Result<graph::Weight> checked_weight(const GgufFile& file, const std::string& name,
                                     std::span<const uint64_t> shape) {
  PUMICE_TRY_ASSIGN(const TensorInfo* tensor, file.require_tensor(name, shape));
  if (shape.size() == 1 && tensor->type != QuantType::F32)
    return fail(ErrorCode::Unsupported, "{}: tensor {} has type {}; vectors must be f32",
                file.name(), name, info(tensor->type).name);
  graph::Weight weight{.tensor = name, .type = tensor->type, .columns = uint32_t(shape[0])};
  if (shape.size() > 1) weight.rows = uint32_t(shape[1]);
  if (shape.size() > 2) weight.experts = uint32_t(shape[2]);
  return weight;
}

/// Frequencies are divided by these.
Result<void> check_rope_factors(const GgufFile& file, const graph::Weight& weight) {
  std::vector<float> factors(weight.columns);
  PUMICE_TRY(
      file.read(*file.find_tensor(weight.tensor), 0, std::as_writable_bytes(std::span(factors))));
  for (size_t i = 0; i < factors.size(); ++i)
    if (!(std::abs(factors[i]) >= 1e-9f && std::abs(factors[i]) <= 1e9f))
      return fail(ErrorCode::BadFile,
                  "{}: tensor {}: element {} is {}; expected a divisor of magnitude 1e-9 to 1e9",
                  file.name(), weight.tensor, i, factors[i]);
  return {};
}

/// A tensor that changes what a layer computes and that we would silently leave out is an error.
Result<void> refuse_unknown(const GgufFile& file, const Config& config,
                            const std::unordered_set<std::string>& known) {
  for (const TensorInfo& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    const bool matters =
        name.starts_with("blk.") || name.starts_with("output") || name.starts_with("token_embd");
    // Very old files carry the frequencies of the rotation; they follow from the keys.
    const bool derived =
        name.ends_with(".attn_rot_embd.weight") || name.ends_with(".rope_freqs.weight");
    if (!matters || derived || known.contains(std::string(name))) continue;
    return fail(ErrorCode::Unsupported,
                "{}: tensor {} is not part of a {} model of {} layers as this version runs it",
                file.name(), name, config.architecture, config.n_layers);
  }
  return {};
}

std::string expand(std::string_view pattern, uint32_t layer, bool per_layer) {
  if (!per_layer) return std::string(pattern);
  return fmt::format("blk.{}.{}", layer, pattern.substr(kPerLayer.size()));
}

}  // namespace

std::span<const TensorRow> common_tensors() {
  return kCommonTensors;
}

const TensorMap::Entry* TensorMap::find(Role role, uint32_t layer) const {
  const auto entry = entries_.find({role, layer});
  return entry == entries_.end() ? nullptr : &entry->second;
}

Result<TensorMap> map_tensors(const GgufFile& file, const Config& config,
                              std::span<const TensorRow> rows) {
  TensorMap map;
  std::unordered_set<std::string> known;
  const auto map_one = [&](const TensorRow& row, const std::string& name,
                           uint32_t layer) -> Result<void> {
    const std::string weight_name = name + ".weight", bias_name = name + ".bias";
    const bool has_qkv = file.find_tensor(fmt::format("blk.{}.attn_qkv.weight", layer)) != nullptr;
    if (!file.find_tensor(weight_name) && !required(row, config, has_qkv)) return {};
    std::vector<uint64_t> shape;
    for (const Dim dim : row.shape)
      if (dim != Dim::None) shape.push_back(length(dim, config));
    TensorMap::Entry entry;
    PUMICE_TRY_ASSIGN(entry.weight, checked_weight(file, weight_name, shape));
    known.insert(weight_name);
    if (row.bias && file.find_tensor(bias_name)) {
      const uint64_t bias_shape[] = {shape[1]};
      PUMICE_TRY_ASSIGN(entry.bias, checked_weight(file, bias_name, bias_shape));
      known.insert(bias_name);
    }
    const bool is_rope = row.shape[0] == Dim::RopePairs;
    if (is_rope) PUMICE_TRY(check_rope_factors(file, entry.weight));
    map.entries_.emplace(std::pair(row.role, layer), std::move(entry));
    return {};
  };
  for (const TensorRow& row : rows) {
    if (!applies(row, config)) continue;
    const bool per_layer = row.name.starts_with(kPerLayer);
    for (uint32_t layer = 0; layer < (per_layer ? config.n_layers : 1); ++layer)
      PUMICE_TRY(map_one(row, expand(row.name, layer, per_layer), layer));
  }
  PUMICE_TRY(refuse_unknown(file, config, known));
  return map;
}

}  // namespace pumice::model
