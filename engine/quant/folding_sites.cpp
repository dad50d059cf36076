#include "engine/quant/folding_sites.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

#include "engine/model/architectures.h"

namespace pumice::quant {
namespace {

/// Norm -> every matrix that reads it. A layer of these architectures has no other reader.
struct NormRow {
  std::string_view norm;
  std::array<std::string_view, 4> readers;
};

constexpr NormRow kNorms[] = {
    {"attn_norm", {"attn_q", "attn_k", "attn_v", "attn_qkv"}},
    {"ffn_norm", {"ffn_gate", "ffn_up"}},
};

class Layer {
 public:
  Layer(const GgufFile& file, const model::Config& config, uint32_t index)
      : file_(file), config_(config), index_(index) {}

  [[nodiscard]] const TensorInfo* tensor(std::string_view name,
                                         std::string_view kind = "weight") const {
    return file_.find_tensor(fmt::format("blk.{}.{}.{}", index_, name, kind));
  }

  void add_norm_site(const NormRow& row, std::vector<FoldingSite>& sites) const {
    const TensorInfo* norm = tensor(row.norm);
    if (!norm) return;
    FoldingSite site;
    site.channels = norm->shape[0];
    site.after_norm = true;
    site.sources.push_back({norm, 0});
    if (const TensorInfo* bias = tensor(row.norm, "bias")) site.sources.push_back({bias, 0});
    for (const std::string_view name : row.readers)
      if (const TensorInfo* reader = name.empty() ? nullptr : tensor(name))
        site.readers.push_back(reader);
    if (!site.readers.empty()) sites.push_back(std::move(site));
  }

  /// V makes what the output projection reads: each value head as often as it has query heads.
  void add_value_site(std::vector<FoldingSite>& sites) const {
    const TensorInfo* output = tensor("attn_output");
    const bool fused = tensor("attn_qkv") != nullptr;
    const std::string_view name = fused ? "attn_qkv" : "attn_v";
    const TensorInfo* value = tensor(name);
    if (!output || !value) return;
    FoldingSite site;
    site.run = config_.head_v;
    site.channels = uint64_t(config_.n_kv_heads) * config_.head_v;
    if (site.channels == 0 || output->shape[0] % site.channels != 0) return;
    site.repeat = output->shape[0] / site.channels;
    const uint64_t first = value->n_rows() - site.channels;  // 0 unless q and k lie before
    if (!fused && first != 0) return;
    add_matrix_source(site, value, tensor(name, "bias"), first);
    site.readers.push_back(output);
    sites.push_back(std::move(site));
  }

  /// The gated product is linear in `up`: its rows make what `down` reads.
  void add_up_site(std::vector<FoldingSite>& sites) const {
    const TensorInfo *down = tensor("ffn_down"), *up = tensor("ffn_up");
    if (!down || !up) return;
    FoldingSite site;
    site.channels = down->shape[0];
    const bool both_in_one = !tensor("ffn_gate") && up->n_rows() == 2 * site.channels;
    if (!both_in_one && !tensor("ffn_gate")) return;
    add_matrix_source(site, up, tensor("ffn_up", "bias"), both_in_one ? site.channels : 0);
    site.readers.push_back(down);
    sites.push_back(std::move(site));
  }

 private:
  static void add_matrix_source(FoldingSite& site, const TensorInfo* matrix, const TensorInfo* bias,
                                uint64_t first) {
    site.sources.push_back({matrix, first});
    if (bias) site.sources.push_back({bias, first});
  }

  const GgufFile& file_;
  const model::Config& config_;
  uint32_t index_;
};

}  // namespace

Result<std::vector<FoldingSite>> folding_sites(const GgufFile& file) {
  PUMICE_TRY_ASSIGN(const model::Config config, model::read_config(file));
  std::vector<FoldingSite> sites;
  for (uint32_t i = 0; i < config.n_layers; ++i) {
    const Layer layer(file, config, i);
    layer.add_norm_site(kNorms[0], sites);
    layer.add_value_site(sites);
    if (config.n_experts != 0) continue;  // the router reads the norm, experts see few tokens each
    layer.add_norm_site(kNorms[1], sites);
    layer.add_up_site(sites);
  }
  return sites;
}

}  // namespace pumice::quant
