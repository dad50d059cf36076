// The roofs of a device in the documents and tables of `pumice bench`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bench_results.h"
#include "tools/bench/roof.h"

namespace pumice::command {

[[nodiscard]] nlohmann::ordered_json roof_json(const bench::Roofs& roofs);

/// "roof: copy 12.3 GB/s, read 21.0 GB/s, ...": those that were measured.
[[nodiscard]] std::string roof_line(const bench::Roofs& roofs);

/// What one run of something moves and computes; 0 = nothing worth a rate.
struct Work {
  double bytes = 0, operations = 0;
  bool integer_dot = false;  ///< its arithmetic has the roof of the integer dot product
};

/// Adds rates, shares of the roofs and operations per byte to a row whose samples are microseconds.
void place_on_roofline(BenchRow& row, const Work& work, const bench::Roofs& roofs);

/// Columns of a table that place_on_roofline filled: GB/s, % of bandwidth, Gop/s, % of arithmetic.
[[nodiscard]] std::vector<std::string> roofline_cells(const BenchRow& row);
[[nodiscard]] std::vector<std::string> roofline_heads();

/// "+-1.2 %": half the interval as a part of the median.
[[nodiscard]] std::string interval_cell(const BenchRow& row);

}  // namespace pumice::command
