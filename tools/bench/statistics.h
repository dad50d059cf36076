// What repeated measurements say: order statistics only, nothing assumed of how noise is spread.
#pragma once

#include <cstddef>
#include <span>

namespace pumice::bench {

/// `low..high` covers the median of whatever made the samples with probability `coverage`: the
/// narrowest symmetric pair of order statistics that reaches 95 %. With fewer than 6 samples none
/// does: then it is the whole range, with what that covers (5 samples: 93.75 %).
struct Summary {
  size_t n = 0;
  double median = 0, q1 = 0, q3 = 0;  ///< quartiles interpolated between neighbours
  double low = 0, high = 0, coverage = 0;
};

/// All zeros for no samples. Samples are finite.
[[nodiscard]] Summary summarise(std::span<const double> samples);

/// Width of the interval as a part of the median; infinite where the median is not positive.
[[nodiscard]] double relative_width(const Summary& summary);

/// The value at `fraction` (0..1) of samples in order, interpolated.
[[nodiscard]] double quantile(std::span<const double> sorted, double fraction);

/// How much larger `b` is than `a`: the median of all b[j] / a[i] (Hodges and Lehmann's estimate,
/// on ratios) and the interval that the Mann-Whitney test leaves with 95 %. Where the samples are
/// too few for any (3 and 3; 4 and 4 suffice), `coverage` says what the whole range covers.
struct Ratio {
  double value = 1, low = 1, high = 1, coverage = 0;
};

/// Samples are finite and positive; neither is empty.
[[nodiscard]] Ratio ratio_of(std::span<const double> a, std::span<const double> b);

}  // namespace pumice::bench
