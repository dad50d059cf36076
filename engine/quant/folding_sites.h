// Where factors can be folded: which tensors make a channel and which matrices read it, by the
// names that model files use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "loader/gguf.h"

namespace pumice::quant {

/// Rows [first, first + channels) of a tensor, or the elements of a vector, make the channels.
struct ChannelSource {
  const TensorInfo* tensor = nullptr;
  uint64_t first = 0;
};

/// One set of channels. Readers share the input, so they share the factors.
struct FoldingSite {
  std::vector<ChannelSource> sources;      ///< a norm's weight (and bias), or a matrix's rows
  std::vector<const TensorInfo*> readers;  ///< matrices whose shape[0] are the channels
  uint64_t channels = 0;                   ///< that the source makes
  uint64_t repeat = 1;  ///< readers see each run of `run` source channels this many times
  uint64_t run = 0;     ///< channels of one head
  bool after_norm = false;

  /// The source channel behind input channel `i` of the readers.
  [[nodiscard]] uint64_t source_of(uint64_t i) const {
    return repeat == 1 ? i : i / (run * repeat) * run + i % run;
  }
};

/// All sites of a model, layer by layer. Unsupported for architectures that are not in the table.
[[nodiscard]] Result<std::vector<FoldingSite>> folding_sites(const GgufFile& file);

}  // namespace pumice::quant
