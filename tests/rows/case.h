// One op, or a few in a row, with inputs and the answer's tolerance: what a test checks and the
// bench times.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/rows/graph_runner.h"

namespace pumice::test {

struct Case {
  std::string name;     ///< "q4_k, lane q8, 4096 wide, bias, residual, 1 column"
  std::string type;     ///< of its weights or cache; empty = neither
  std::string kernels;  ///< names of the kernels that are the case begin with this
  Tier tier;
  std::shared_ptr<const GgufFile> file;  ///< the graph's weights; null = they could not be made
  graph::Graph graph;
  RunOptions options;
  StepShape shape;
  std::vector<std::pair<graph::ValueId, reference::Matrix>> inputs;
  std::vector<reference::TokenAt> tokens;  ///< empty where no op asks for them
  graph::ValueId out = 0;
  uint32_t columns = 1;  ///< of `out`
  Tolerance tolerance = kExactOp;
  double weight_bytes = 0;  ///< read once per run, and new with every copy
  double bytes = 0;         ///< moved per run, weights included
  double operations = 0;    ///< arithmetic per run; 0 = not what the op is about

  /// For timing at another place than the answer is checked at (attention far into a sequence);
  /// no tokens = the same.
  StepShape timed_shape;
  std::vector<reference::TokenAt> timed_tokens;
};

/// The graph once for each copy, with weights and cache layers of its own each time and the same
/// values: so that timing walks through more memory than caches hold.
[[nodiscard]] graph::Graph replicated(const graph::Graph& graph, uint32_t copies);

/// Inputs and tokens to where the device reads them.
void set_inputs(GraphRunner& runner, const Case& row);

/// Runs the case and the double-precision reference. Empty, or how the answer is wrong. Columns are
/// left out, evenly, where the reference would need more than `most` multiplications for all.
[[nodiscard]] Result<std::string> check(GraphRunner& runner, const Case& row, double most = 1e18);

}  // namespace pumice::test
