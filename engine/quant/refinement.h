// Coordinate descent on what error feedback has chosen: a row's codes, pairs of codes, group scales
// and super-block scales, each moved to where the squared error of the outputs is least while the
// others stay. The feedback never looks back; this does, so it ends below it or at the same place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/quant/block_grid.h"
#include "engine/quant/code_steps.h"
#include "engine/quant/fit_plan.h"
#include "loader/quant_type.h"

namespace pumice::quant {

/// What error feedback knows of one matrix's inputs.
struct RefinementInputs {
  std::span<const float> gram;  ///< [width][width], symmetric: of what is not, the rows count
  uint64_t width = 0;
  double damping = 0;  ///< added to the diagonal, in units of `gram`; the sum is positive
};

/// One row of a matrix and the blocks that it has become.
struct RefinedRow {
  std::span<const float> weights;  ///< [width]
  std::span<BlockFit> fits;        ///< [width / block]
  std::span<uint8_t> codes;        ///< [width]
};

/// Works on the rows that one thread hands to it, one after the other.
class Refinement {
 public:
  Refinement(QuantType type, const RefinementInputs& inputs);

  /// At most `sweeps` passes over codes and scales; fewer once nothing moves. The squared error of
  /// the row's output, damping included, never rises.
  void run(const RefinedRow& row, uint32_t sweeps);

 private:
  /// Columns that share a parameter, within one block: [first, first + count) of the row.
  struct Columns {
    size_t block = 0;
    uint32_t first = 0, count = 0;
  };
  /// Columns among which pairs are looked for, of any blocks.
  struct Window {
    uint32_t first = 0, count = 0;
  };
  /// The squared error as a quadratic form of two parameters, a scale and an offset.
  struct Parabola {
    double scale_pull = 0, offset_pull = 0;
    double scale_scale = 0, scale_offset = 0, offset_offset = 0;
  };
  struct Step {
    double scale = 0, offset = 0;
  };

  void open(const RefinedRow& row);
  [[nodiscard]] double own(uint32_t column) const;
  [[nodiscard]] double value(uint32_t column) const;
  [[nodiscard]] uint32_t neighbour(uint32_t column, bool rises) const;
  [[nodiscard]] double change(uint32_t column, uint32_t code) const;
  [[nodiscard]] Parabola parabola(const Columns& columns);
  [[nodiscard]] static Step lowest(const Parabola& error);
  void move(uint32_t column, double change);
  bool settle_codes();
  bool settle_pairs(const Window& window);
  bool settle_pair(const Window& window, uint32_t column);
  void open_steps(const Window& window, uint32_t column);
  void weigh_steps(const Window& window);
  bool settle_groups(size_t block);
  bool settle_super(size_t block);
  bool try_fit(const Columns& columns, const Parabola& error, const Step& step,
               const BlockFit& fit);
  bool try_parts(const Columns& columns, const Parabola& error, const Step& step,
                 const BlockFit& best);
  void take(const Columns& columns, const BlockFit& fit);

  const FitPlan& plan_;
  QuantType type_;
  RefinementInputs inputs_;
  uint32_t block_ = 0;  ///< weights
  RefinedRow row_;
  std::vector<BlockGrid> grids_;  ///< [width / block]
  std::vector<double> pull_;      ///< [width]: (G + damping) (weights - values)
  std::vector<float> own_;        ///< [width]: own(), for the quick look
  CodeSteps steps_;
  std::vector<double> by_scale_, by_offset_;  ///< [block]: what a unit of each moves a value by
  std::vector<double> product_;               ///< [block]: scratch of parabola
};

}  // namespace pumice::quant
