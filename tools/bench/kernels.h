// The bench's own shaders: what roofs and empty dispatches are measured with.
#pragma once

#include "engine/schedule/dispatch.h"

namespace pumice::bench {

/// bench.nothing, bench.copy, bench.read, bench.read_texel, bench.fma, bench.dot. Defined by the
/// generated table.
[[nodiscard]] std::span<const KernelModule> bench_kernels();

/// One of them, or null: what goes into DeviceOptions::kernels.
[[nodiscard]] const KernelModule* find_bench_kernel(const std::string& name);

}  // namespace pumice::bench
