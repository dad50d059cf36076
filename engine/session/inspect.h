// What a model would take on a device, without loading it and without any GPU.
#pragma once

#include "engine/base/result.h"
#include "engine/schedule/capabilities.h"
#include "engine/schedule/policy.h"
#include "loader/gguf.h"

namespace pumice {

struct ModelNeeds {
  uint32_t context = 0;  ///< tokens per sequence that the options come to
  uint64_t weights = 0;  ///< bytes; norm vectors and biases included
  uint64_t cache = 0;    ///< of all sequences
  uint64_t scratch = 0;  ///< activations, rope tables, step words
  uint64_t staging = 0;  ///< for uploads; 0 where the host sees device memory
  [[nodiscard]] uint64_t total() const { return weights + cache + scratch + staging; }
};

/// Exact for the device of a snapshot. Errors are those that a load would end with: architecture,
/// keys, tensors, types, shapes, bindings. Not checked: what the weights' bytes say.
[[nodiscard]] Result<ModelNeeds> inspect_model(const GgufFile& file, const Capabilities& caps,
                                               const RunOptions& options);

/// An upper bound for any device: the largest of what the kinds of device take.
[[nodiscard]] Result<ModelNeeds> inspect_model(const GgufFile& file, const RunOptions& options);

}  // namespace pumice
