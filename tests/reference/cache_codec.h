// What a cache type does to a head of K or V, in double precision: quantised and read back, with or
// without the Hadamard transform around it.
#pragma once

#include <functional>
#include <span>

#include "engine/schedule/policy.h"

namespace pumice::reference {

/// Changes a head in place; empty = keeps it as it is.
using HeadCodec = std::function<void(std::span<double> head)>;

/// The orthonormal Walsh-Hadamard transform, its own inverse, on blocks of the largest power of two
/// that divides the head.
void hadamard(std::span<double> head);

/// A scale as binary16 holds it.
[[nodiscard]] double rounded_scale(double scale);

/// Block of 32 on the levels -8..7 of one scale; returns the summed square of what it loses.
double round_q4(std::span<double> block, double scale);

/// Into a type and back, transformed before and after when `rotate`. The quantised types need heads
/// that divide by 32.
[[nodiscard]] HeadCodec head_codec(CacheType type, bool rotate);

}  // namespace pumice::reference
