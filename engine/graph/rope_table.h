// The table of rotation angles: the one place where rotary embeddings are computed, in double
// precision on the host. The engine uploads it and the reference interpreter reads the same floats.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/graph/graph.h"

namespace pumice::graph {

/// Angle per position of pair `pair`, before the multiplication by the position: the base
/// frequency, divided by the file's factor (`factors` empty = none), scaled linearly, mixed by
/// YaRN.
[[nodiscard]] double rope_frequency(const RopeSpec& spec, std::span<const float> factors,
                                    uint32_t pair);

/// f32 [position][pair][cos, sin], `spec.attn_factor` folded in; n_positions * n_rot floats.
/// `factors` is empty or holds n_rot / 2 divisors.
[[nodiscard]] std::vector<float> rope_table(const RopeSpec& spec, std::span<const float> factors,
                                            uint32_t n_positions);

}  // namespace pumice::graph
