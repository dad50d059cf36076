#include "engine/quant/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pumice::quant {
namespace {

/// splitmix64: small, and the same numbers on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint32_t below(uint32_t n) { return uint32_t(((next() >> 32) * n) >> 32); }

 private:
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

/// Value at place `fraction * (n - 1)` of values in order, each `weights` times there.
class WeightedQuantiles {
 public:
  WeightedQuantiles(std::span<const double> column, const Blocks& blocks) : column_(column) {
    order_.resize(column.size());
    std::iota(order_.begin(), order_.end(), uint64_t(0));
    std::stable_sort(order_.begin(), order_.end(),
                     [&](uint64_t a, uint64_t b) { return column[a] < column[b]; });
    block_.resize(column.size());
    std::vector<uint32_t> block_of(column.size());
    for (uint32_t b = 0; b < blocks.count(); ++b)
      std::fill(block_of.begin() + std::ptrdiff_t(blocks.begin(b)),
                block_of.begin() + std::ptrdiff_t(blocks.end(b)), b);
    for (size_t i = 0; i < order_.size(); ++i) block_[i] = block_of[order_[i]];
  }

  /// One number per fraction; fractions ascend.
  void at(std::span<const uint32_t> draws, uint64_t n, std::span<const double> fractions,
          std::vector<double>& found) const {
    found.assign(fractions.size(), 0.0);
    size_t i = 0;
    uint64_t below = 0;  // drawn values before order_[i]
    const auto value_at = [&](uint64_t place) {
      while (below + draws[block_[i]] <= place) below += draws[block_[i++]];
      return column_[order_[i]];
    };
    for (size_t f = 0; f < fractions.size(); ++f) {
      const double place = fractions[f] * double(n - 1);
      const uint64_t low = uint64_t(place);
      const double left = value_at(low), weight = place - double(low);
      if (low + 1 >= n || weight == 0.0) {
        found[f] = left;
        continue;
      }
      const size_t kept_i = i;
      const uint64_t kept_below = below;
      found[f] = left + weight * (value_at(low + 1) - left);
      i = kept_i;  // the next fraction may lie between the same two
      below = kept_below;
    }
  }

 private:
  std::span<const double> column_;
  std::vector<uint64_t> order_;
  std::vector<uint32_t> block_;  ///< of order_[i]
};

uint64_t drawn_positions(const Blocks& blocks, std::span<const uint32_t> draws) {
  uint64_t n = 0;
  for (uint32_t b = 0; b < blocks.count(); ++b) n += draws[b] * (blocks.end(b) - blocks.begin(b));
  return n;
}

}  // namespace

Blocks::Blocks(uint32_t chunks, uint32_t positions_per_chunk) {
  uint32_t run = positions_per_chunk;
  if (chunks < kFewChunks && chunks > 0) {
    const uint64_t all = uint64_t{chunks} * positions_per_chunk;
    run = uint32_t(std::min<uint64_t>(run, std::max<uint64_t>(all / kFewBlocks, kShortestRun)));
  }
  begins_.push_back(0);
  for (uint32_t chunk = 0; chunk < chunks; ++chunk)
    for (uint32_t at = 0; at < positions_per_chunk; at += run)
      begins_.push_back(begins_.back() + std::min(run, positions_per_chunk - at));
}

void for_replicates(const Blocks& blocks, const BootstrapOptions& options,
                    const std::function<void(std::span<const uint32_t> draws)>& each) {
  if (blocks.count() == 0) return;
  Random random(options.seed);
  std::vector<uint32_t> draws(blocks.count());
  for (uint32_t r = 0; r < options.replicates; ++r) {
    std::fill(draws.begin(), draws.end(), 0u);
    for (uint32_t i = 0; i < blocks.count(); ++i) ++draws[random.below(blocks.count())];
    each(draws);
  }
}

void Spread::add(double value) {
  const double before = value - mean_;
  mean_ += before / double(++n_);
  squares_ += before * (value - mean_);
}

double Spread::deviation() const {
  return n_ < 2 ? 0.0 : std::sqrt(squares_ / double(n_ - 1));
}

std::vector<Estimate> bootstrap_means(std::span<const std::vector<double>> columns,
                                      const Blocks& blocks, const BootstrapOptions& options) {
  std::vector<Estimate> estimates(columns.size());
  std::vector<std::vector<double>> sums(columns.size(), std::vector<double>(blocks.count()));
  for (size_t c = 0; c < columns.size(); ++c) {
    double all = 0;
    for (uint32_t b = 0; b < blocks.count(); ++b) {
      for (uint64_t i = blocks.begin(b); i < blocks.end(b); ++i) sums[c][b] += columns[c][i];
      all += sums[c][b];
    }
    if (blocks.positions() > 0) estimates[c].value = all / double(blocks.positions());
  }
  std::vector<Spread> spreads(columns.size());
  for_replicates(blocks, options, [&](std::span<const uint32_t> draws) {
    const double n = double(drawn_positions(blocks, draws));
    for (size_t c = 0; c < columns.size(); ++c) {
      double all = 0;
      for (uint32_t b = 0; b < blocks.count(); ++b) all += draws[b] * sums[c][b];
      spreads[c].add(all / n);
    }
  });
  for (size_t c = 0; c < columns.size(); ++c) estimates[c].error = spreads[c].deviation();
  return estimates;
}

std::vector<Estimate> bootstrap_quantiles(std::span<const double> column,
                                          std::span<const double> fractions, const Blocks& blocks,
                                          const BootstrapOptions& options) {
  std::vector<Estimate> estimates(fractions.size());
  if (column.empty()) return estimates;
  const WeightedQuantiles quantiles(column, blocks);
  std::vector<double> found;
  const std::vector<uint32_t> once(blocks.count(), 1);
  quantiles.at(once, column.size(), fractions, found);
  for (size_t f = 0; f < fractions.size(); ++f) estimates[f].value = found[f];
  std::vector<Spread> spreads(fractions.size());
  for_replicates(blocks, options, [&](std::span<const uint32_t> draws) {
    quantiles.at(draws, drawn_positions(blocks, draws), fractions, found);
    for (size_t f = 0; f < fractions.size(); ++f) spreads[f].add(found[f]);
  });
  for (size_t f = 0; f < fractions.size(); ++f) estimates[f].error = spreads[f].deviation();
  return estimates;
}

Interval wilson(uint64_t hits, uint64_t n) {
  if (n == 0) return {};
  constexpr double z = 1.959963984540054;  // 97.5 % of a normal distribution
  const double share = double(hits) / double(n), trials = double(n);
  const double middle = (share + z * z / (2 * trials)) / (1 + z * z / trials);
  const double half = z / (1 + z * z / trials) *
                      std::sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials));
  return {hits == 0 ? 0.0 : middle - half, hits == n ? 1.0 : middle + half};
}

}  // namespace pumice::quant
