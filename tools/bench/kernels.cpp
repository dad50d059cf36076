// Finds one of the bench's shaders.
#include "tools/bench/kernels.h"

namespace pumice::bench {

const KernelModule* find_bench_kernel(const std::string& name) {
  for (const KernelModule& module : bench_kernels())
    if (name == module.name) return &module;
  return nullptr;
}

}  // namespace pumice::bench
