// The table of architectures and the way from a model file to its graph.
//
// An architecture is one file in this folder: its keys (config.h), its tensors (tensors.h) and a
// `build` of calls (decoder.h). Nothing else in the engine asks what the architecture is.
#pragma once

#include <span>
#include <string_view>

#include "engine/base/result.h"
#include "engine/graph/graph.h"
#include "engine/model/config.h"
#include "engine/model/tensors.h"
#include "loader/gguf.h"

namespace pumice::model {

class Decoder;

struct Architecture {
  std::string_view name;         ///< general.architecture
  std::span<const KeyRow> keys;  ///< beyond the common ones; the file's other keys are ignored
  std::span<const TensorRow> tensors;  ///< every tensor of a layer that the file may hold
  /// Defaults that no key states, set before the keys are read.
  void (*defaults)(Config& config);
  /// What follows from several keys together, after the common cross-checks.
  Result<void> (*finish)(Config& config, const Metadata& metadata);
  void (*build)(Decoder& decoder);
};

/// All rows, by name.
[[nodiscard]] std::span<const Architecture> architectures();

/// The row, or null.
[[nodiscard]] const Architecture* find_architecture(std::string_view name);

struct BuildOptions {
  /// Positions per sequence that the session will use; 0 = the file's context_length. Chooses
  /// between short and long rope factors.
  uint32_t context = 0;
};

/// Reads and checks the hyper-parameters alone: what `info` prints.
[[nodiscard]] Result<Config> read_config(const GgufFile& file);

/// Checks every key and the shape of every tensor, then builds the unfused graph; pass the result
/// through graph::fuse. Graph::context_length is options.context or the file's.
[[nodiscard]] Result<graph::Graph> build_graph(const GgufFile& file,
                                               const BuildOptions& options = {});

}  // namespace pumice::model
