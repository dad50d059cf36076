// Tensors of an architecture as rows {role, name pattern, shape in config terms, optional?}, and
// the check of a file against them: every expected tensor has exactly the derived shape, and no
// layer holds a tensor that the architecture does not know.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include "engine/base/result.h"
#include "engine/graph/graph.h"
#include "engine/model/config.h"
#include "loader/gguf.h"

namespace pumice::model {

enum class Role : uint8_t {
  TokenEmbd,
  OutputNorm,
  Output,
  RopeFreqs,
  RopeLong,
  RopeShort,
  AttnNorm,
  AttnQ,
  AttnK,
  AttnV,
  AttnQkv,
  AttnQNorm,
  AttnKNorm,
  AttnOut,
  AttnPostNorm,
  FfnNorm,
  FfnGate,
  FfnUp,
  FfnGateUp,
  FfnDown,
  FfnPostNorm,
  Router,
  ExpertGate,
  ExpertUp,
  ExpertDown,
};

/// A length in terms of the configuration.
enum class Dim : uint8_t {
  None,  ///< no such dimension
  Embd,
  Vocab,
  Ff,
  TwoFf,
  Experts,
  Q,  ///< n_heads * head_k
  K,
  V,     ///< n_kv_heads * head size
  Qkv,   ///< Q + K + V
  Attn,  ///< n_heads * head_v
  HeadK,
  RopePairs  ///< n_rot / 2
};

enum class Need : uint8_t {
  Always,
  Optional,
  Dense,  ///< required without experts, absent with them
  Moe,    ///< required with experts, absent without
  Split,  ///< separate q, k, v: required unless AttnQkv is there
};

struct TensorRow {
  Role role;
  std::string_view name;  ///< without ".weight"; "blk.%." in front: one per layer
  std::array<Dim, 3> shape{};
  Need need = Need::Always;
  bool bias = false;  ///< an optional NAME.bias of the row count may be there
};

/// Rows that architectures share.
[[nodiscard]] std::span<const TensorRow> common_tensors();

/// The tensors of one file by role and layer, with shapes checked.
class TensorMap {
 public:
  struct Entry {
    graph::Weight weight;
    graph::Weight bias;  ///< bias.columns == 0: none
  };

  /// Null if the file lacks it. `layer` is 0 for tensors outside layers.
  [[nodiscard]] const Entry* find(Role role, uint32_t layer = 0) const;

 private:
  friend Result<TensorMap> map_tensors(const GgufFile&, const Config&, std::span<const TensorRow>);
  std::map<std::pair<Role, uint32_t>, Entry> entries_;
};

[[nodiscard]] Result<TensorMap> map_tensors(const GgufFile& file, const Config& config,
                                            std::span<const TensorRow> rows);

}  // namespace pumice::model
