// Standard errors by block bootstrap: blocks of neighbouring positions are drawn again with
// replacement, whole, because neighbours are alike. Pairs stay pairs: a position carries its
// numbers of both models. Seeded: the same input gives the same errors.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace pumice::quant {

/// A number and its standard error.
struct Estimate {
  double value = 0, error = 0;
};

struct BootstrapOptions {
  uint32_t replicates = 1000;
  uint64_t seed = 1;
};

/// Positions 0 .. n-1 cut into blocks: whole chunks where there are kFewChunks or more of them,
/// else runs of a chunk's positions, no longer than make about kFewBlocks of them.
class Blocks {
 public:
  static constexpr uint32_t kFewChunks = 32, kFewBlocks = 64, kShortestRun = 16;

  Blocks(uint32_t chunks, uint32_t positions_per_chunk);
  [[nodiscard]] uint32_t count() const { return uint32_t(begins_.size() - 1); }
  [[nodiscard]] uint64_t begin(uint32_t block) const { return begins_[block]; }
  [[nodiscard]] uint64_t end(uint32_t block) const { return begins_[block + 1]; }
  [[nodiscard]] uint64_t positions() const { return begins_.back(); }

 private:
  std::vector<uint64_t> begins_;  ///< and the end of the last
};

/// For each replicate, how often each block is drawn: draws(counts) with `count()` numbers.
void for_replicates(const Blocks& blocks, const BootstrapOptions& options,
                    const std::function<void(std::span<const uint32_t> draws)>& each);

/// Standard deviation of a value over replicates, in one pass.
class Spread {
 public:
  void add(double value);
  [[nodiscard]] double deviation() const;

 private:
  uint64_t n_ = 0;
  double mean_ = 0, squares_ = 0;
};

/// Means of columns of numbers, `columns[c][position]`, with their errors.
[[nodiscard]] std::vector<Estimate> bootstrap_means(std::span<const std::vector<double>> columns,
                                                    const Blocks& blocks,
                                                    const BootstrapOptions& options);

/// Quantiles `fractions` (ascending, 0..1) of a column, interpolated between neighbours in order.
[[nodiscard]] std::vector<Estimate> bootstrap_quantiles(std::span<const double> column,
                                                        std::span<const double> fractions,
                                                        const Blocks& blocks,
                                                        const BootstrapOptions& options);

/// 95 % Wilson interval of `hits` of `n` independent trials; {0, 1} for none.
struct Interval {
  double low = 0, high = 1;
};
[[nodiscard]] Interval wilson(uint64_t hits, uint64_t n);

}  // namespace pumice::quant
