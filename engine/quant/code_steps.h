// What one code up or down would do to each column of a row, in floats side by side: a quick look
// at every pair of steps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pumice::quant {

enum class Way : uint8_t { Down, Up };

class CodeSteps {
 public:
  /// `width` is a multiple of 32.
  explicit CodeSteps(size_t width);

  /// The column's value changes by `change`; 0: there is no such code.
  void set(uint32_t column, Way way, float change);
  /// What each step alone would do to the squared error: change * (change * own - 2 pull).
  void weigh(std::span<const float> own, std::span<const double> pull);

  [[nodiscard]] bool has(uint32_t column, Way way) const { return change(column, way) != 0; }
  [[nodiscard]] float change(uint32_t column, Way way) const {
    return change_[size_t(way)][column];
  }

  struct Partner {
    uint32_t column = 0;
    Way way = Way::Down;
    float cost = 0;  ///< of both steps
  };
  /// The step of another column that goes best with one of this column; the first of equals.
  /// `line` is the column's of the Gram matrix. The cost is infinite where nobody else can step.
  [[nodiscard]] Partner best_partner(uint32_t column, Way way, const float* line);

 private:
  using Lines = std::array<std::vector<float>, 2>;  ///< [way][column]

  size_t width_;
  Lines change_;
  Lines closed_;  ///< 0, or infinite where there is no step
  Lines cost_;    ///< of the step alone
};

}  // namespace pumice::quant
