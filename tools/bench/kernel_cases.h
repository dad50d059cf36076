// The rows of the GPU tests as cases of a benchmark, matrices at the size of a model's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/rows/case.h"

namespace pumice::bench {

/// A product of m x k weights with n columns.
struct MatrixSize {
  uint32_t m = 0, n = 0, k = 0;
};

struct KernelCase {
  std::string name;                  ///< unique
  std::string type;                  ///< "q4_k"; of the cache for attention; empty = neither
  std::string tier;                  ///< "lane q8"
  std::function<test::Case()> make;  ///< fills the weights: takes time and memory
};

/// What this device can run. With a size: only matrices, of that size, without an epilogue; types
/// whose blocks do not divide k are left out.
[[nodiscard]] std::vector<KernelCase> kernel_cases(const Capabilities& caps,
                                                   const std::optional<MatrixSize>& size);

}  // namespace pumice::bench
