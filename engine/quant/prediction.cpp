#include "engine/quant/prediction.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pumice::quant {
namespace {

/// SplitMix64: a generator whose numbers the standard library does not get to choose.
class Draw {
 public:
  explicit Draw(uint64_t seed) : state_(seed) {}
  /// Below `n`, n >= 1. The bias of the remainder is far below anything that counts here.
  size_t below(size_t n) {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return size_t((z ^ (z >> 31)) % n);
  }

 private:
  uint64_t state_;
};

std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    for (size_t i = first; i < end; ++i) ranks[order[i]] = 0.5 * double(first + end - 1);
    first = end;
  }
  return ranks;
}

double correlation(std::span<const double> a, std::span<const double> b) {
  const double n = double(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0.0;
}

}  // namespace

double spearman(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size() || a.empty()) return 0.0;
  return correlation(ranks_of(a), ranks_of(b));
}

std::vector<std::vector<QuantType>> random_allocations(const Sensitivity& sensitivity,
                                                       uint32_t count, uint64_t seed) {
  Draw draw(seed);
  std::vector<std::vector<QuantType>> drawn(count);
  for (auto& types : drawn) {
    for (const TensorSensitivity& tensor : sensitivity.tensors) {
      std::vector<QuantType> allowed, floats;
      for (size_t i = 0; i < sensitivity.candidates.size(); ++i) {
        if (!tensor.allows(i)) continue;
        const QuantType type = sensitivity.candidates[i];
        (info(type).block_weights > 1 ? allowed : floats).push_back(type);
      }
      if (allowed.empty()) allowed = floats;
      types.push_back(allowed[draw.below(allowed.size())]);
    }
  }
  return drawn;
}

Result<PredictionCheck> check_prediction(Trial& trial, const Sensitivity& sensitivity,
                                         uint32_t count, uint64_t seed,
                                         const EvaluationProgress& progress) {
  PredictionCheck check;
  const uint64_t each = trial.text().scored();
  std::vector<double> predicted, measured;
  uint32_t ratios = 0;
  for (auto& types : random_allocations(sensitivity, count, seed)) {
    const uint64_t before = each * check.pairs.size();
    EvaluationProgress part;
    if (progress)
      part = [&](uint64_t done, uint64_t) { return progress(before + done, each * count); };
    PredictionPair pair;
    pair.predicted = predict_kld(sensitivity, types);
    PUMICE_TRY_ASSIGN(pair.measured, measure_allocation(trial, sensitivity, types, part));
    pair.bytes = bytes_of(sensitivity, types);
    pair.types = std::move(types);
    predicted.push_back(pair.predicted);
    measured.push_back(pair.measured);
    if (pair.predicted > 0 && pair.measured > 0) {
      check.log_ratio += std::log(pair.measured / pair.predicted);
      ++ratios;
    }
    check.pairs.push_back(std::move(pair));
  }
  if (ratios != 0) check.log_ratio /= double(ratios);
  check.spearman = spearman(predicted, measured);
  return check;
}

}  // namespace pumice::quant
