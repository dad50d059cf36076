// The ops between the matrices, on values that the row fills in.
#pragma once

#include "tests/rows/case.h"

namespace pumice::test {

/// One op on values that the row fills in: `inputs` are values 0 .. n - 1, the op writes value n.
struct OpRow {
  std::string name;
  graph::Op op;
  std::vector<reference::Matrix> inputs;
  uint32_t out_rows = 0;
  std::vector<graph::Weight> weights = {};
  Tolerance tolerance = kExactOp;
};

/// A norm of columns of `width` in runs of `group`, of values up to `size`.
[[nodiscard]] OpRow norm_row(uint32_t width, uint32_t group, float size);
/// Norms, sums, activations, softcaps.
[[nodiscard]] std::vector<OpRow> small_rows();
/// Routes and combinations of experts.
[[nodiscard]] std::vector<OpRow> expert_rows();

[[nodiscard]] Case op_case(const OpRow& row, const Tier& tier);

}  // namespace pumice::test
