// The KV cache as the device holds it, read by the layout that shaders/lib/kv.glsl describes.
#pragma once

#include <vector>

#include "tests/gpu/row_graph.h"

namespace pumice::test {

enum class CacheSide : uint8_t { K, V };

/// All heads of one position of layer 0, one after the other, as kernels decode them.
[[nodiscard]] std::vector<double> stored_heads(GraphRunner& runner, CacheSide side,
                                               const reference::Place& place);

}  // namespace pumice::test
