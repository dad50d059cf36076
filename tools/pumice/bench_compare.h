// Two results of the same measurement, row by row.
#pragma once

#include <string>
#include <vector>

#include "bench_results.h"

namespace pumice::command {

enum class Change { Faster, Slower, Same, CannotTell };

[[nodiscard]] const char* words_of(Change change);  ///< "faster", "cannot tell"

struct RowChange {
  std::string name, unit;
  double before = 0, after = 0;  ///< medians
  Ratio speed;                   ///< after / before, turned so that more is faster
  Change change = Change::CannotTell;
  bool regression = false;  ///< slower, by more than the threshold
};

/// What an interval of `speed` says. Same: all of it lies within the threshold of 1. Faster,
/// slower: all of it lies on one side of 1, and not all within the threshold. Cannot tell: neither,
/// or too few samples for a 95 % interval.
[[nodiscard]] Change judge(const Ratio& speed, double threshold);

struct Comparison {
  std::vector<RowChange> rows;  ///< in the order of the new file
  std::vector<std::string> only_before, only_after;
  /// What else differs: "device: \"A\", now \"B\"".
  std::vector<std::string> differences;
  [[nodiscard]] bool regression() const;
};

/// Errors: results of two kinds, no row in common, a row whose unit changed.
[[nodiscard]] Result<Comparison> compare(const BenchResults& before, const BenchResults& after,
                                         double threshold);

}  // namespace pumice::command
