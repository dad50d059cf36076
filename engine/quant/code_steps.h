// What one code more or less would do to each of some columns of a row, in floats side by side: a
// quick look at every pair of steps. Columns are counted from the first of them. Of a column's two
// steps only the one along its pull counts: the other costs so much that only inputs more alike
// than one half could make it pay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pumice::quant {

class CodeSteps {
 public:
  /// For up to `most` columns, a multiple of 32.
  explicit CodeSteps(size_t most);

  /// Begins with `count` columns, a multiple of 32; set() follows for each.
  void open(size_t count) { count_ = count; }

  /// What the next lower and the next higher value would change; 0 where there is none.
  void set(uint32_t column, float fall, float rise);

  /// What each step along the pull would do to the squared error:
  /// change * (change * own - 2 pull).
  void weigh(std::span<const float> own, std::span<const double> pull);

  /// Whose step goes best with this column's, if the two lower the error; the first of equals.
  /// `line` is the column's of the Gram matrix, at the first column.
  [[nodiscard]] std::optional<uint32_t> best_partner(uint32_t column, const float* line);

 private:
  size_t count_ = 0;
  std::vector<float> fall_, rise_;
  std::vector<float> change_;  ///< the one of the two that is along the pull
  std::vector<float> cost_;    ///< of that step alone; infinite where there is none
};

}  // namespace pumice::quant
