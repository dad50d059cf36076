#include "engine/quant/sensitivity.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "engine/quant/encode.h"
#include "engine/quant/mix.h"

namespace pumice::quant {
namespace {

constexpr double kCoarseBits = 7.0;  // bits per weight; above it KLDs are small and follow errors

constexpr std::array kDefaultCandidates = {
    QuantType::Q2_K, QuantType::Q3_K, QuantType::IQ4_XS, QuantType::Q4_K, QuantType::Q5_K,
    QuantType::Q6_K, QuantType::Q4_0, QuantType::IQ4_NL, QuantType::Q4_1, QuantType::Q5_0,
    QuantType::Q5_1, QuantType::Q8_0, QuantType::F16,
};

/// Among the defaults: types for rows that blocks of 256 do not divide. Elsewhere a type with
/// larger blocks does better in as many bits.
bool is_fallback(QuantType type) {
  return info(type).block_weights == 32 && type != QuantType::Q8_0;
}

bool is_choice(QuantType type, const TensorInfo& tensor, bool defaults) {
  if (!can_encode(type) && info(type).block_weights > 1) return false;
  if (defaults && is_fallback(type) && tensor.shape[0] % 256 == 0) return false;
  return bytes_as(type, tensor) != 0;
}

TensorSensitivity blank(const TensorInfo& tensor, std::span<const QuantType> candidates,
                        bool defaults) {
  TensorSensitivity row;
  row.name = tensor.name;
  row.weights = tensor.n_weights;
  row.kld.assign(candidates.size(), 0.0);
  row.measured.assign(candidates.size(), 0);
  row.weight_error.assign(candidates.size(), 0.0);
  for (const QuantType type : candidates)
    row.bytes.push_back(is_choice(type, tensor, defaults) ? bytes_as(type, tensor) : 0);
  return row;
}

bool has_choice(const TensorSensitivity& row) {
  return std::ranges::any_of(row.bytes, [](uint64_t bytes) { return bytes != 0; });
}

/// Allowed candidates by size.
std::vector<size_t> by_size(const TensorSensitivity& row) {
  std::vector<size_t> order;
  for (size_t i = 0; i < row.bytes.size(); ++i)
    if (row.allows(i)) order.push_back(i);
  std::ranges::stable_sort(order, {}, [&](size_t i) { return row.bytes[i]; });
  return order;
}

/// A measurement that counts as so many positions of a longer work.
EvaluationProgress part_of(const EvaluationProgress& whole, uint64_t before, uint64_t total) {
  if (!whole) return {};
  return [&whole, before, total](uint64_t done, uint64_t) { return whole(before + done, total); };
}

class Measurer {
 public:
  Measurer(Trial& trial, const SensitivityOptions& options, Sensitivity& into)
      : trial_(trial), options_(options), into_(into) {}

  /// Tensors that the engine does not use stay as they are.
  Result<void> select();
  Result<void> measure_all();

 private:
  Result<void> measure(const TensorInfo& tensor, TensorSensitivity& row);
  Result<void> measure_anchors(const TensorInfo& tensor, TensorSensitivity& row);

  Trial& trial_;
  const SensitivityOptions& options_;
  Sensitivity& into_;
  std::vector<const TensorInfo*> tensors_;
  uint64_t done_ = 0, total_ = 0;  ///< positions
};

Result<void> Measurer::select() {
  std::vector<TensorSensitivity> used;
  for (TensorSensitivity& row : into_.tensors) {
    const TensorInfo* tensor = trial_.file().find_tensor(row.name);
    const Result<void> known = trial_.restore(*tensor);
    if (!known && known.error().code != ErrorCode::NotFound)
      return tl::unexpected<Error>(known.error());
    if (!known) {
      into_.kept_bytes += tensor->n_bytes;
      continue;
    }
    total_ += anchors_of(row, options_.anchors).size() * trial_.text().scored();
    tensors_.push_back(tensor);
    used.push_back(std::move(row));
  }
  into_.tensors = std::move(used);
  return {};
}

Result<void> Measurer::measure_anchors(const TensorInfo& tensor, TensorSensitivity& row) {
  for (const size_t i : anchors_of(row, options_.anchors)) {
    PUMICE_TRY_ASSIGN(row.weight_error[i], trial_.put(tensor, into_.candidates[i]));
    PUMICE_TRY_ASSIGN(row.kld[i], trial_.kld(part_of(options_.progress, done_, total_)));
    row.measured[i] = 1;
    done_ += trial_.text().scored();
  }
  return {};
}

Result<void> Measurer::measure(const TensorInfo& tensor, TensorSensitivity& row) {
  const Result<void> measured = measure_anchors(tensor, row);
  PUMICE_TRY(trial_.restore(tensor));  // after an error too
  if (!measured) return tl::unexpected<Error>(measured.error());
  for (size_t i = 0; i < row.bytes.size(); ++i) {
    if (!row.allows(i) || row.measured[i]) continue;
    PUMICE_TRY_ASSIGN(row.weight_error[i], trial_.error_of(tensor, into_.candidates[i]));
  }
  scale_unmeasured(row);
  return {};
}

Result<void> Measurer::measure_all() {
  for (size_t i = 0; i < tensors_.size(); ++i) PUMICE_TRY(measure(*tensors_[i], into_.tensors[i]));
  return {};
}

struct Point {
  double log_error = 0, log_kld = 0;
};

/// Anchors with an error and a divergence, by error; of equal errors the first.
std::vector<Point> points_of(const TensorSensitivity& row) {
  std::vector<Point> points;
  for (size_t i = 0; i < row.bytes.size(); ++i)
    if (row.allows(i) && row.measured[i] && row.kld[i] > 0 && row.weight_error[i] > 0)
      points.push_back({std::log(row.weight_error[i]), std::log(row.kld[i])});
  std::ranges::stable_sort(points, {}, &Point::log_error);
  const auto same = [](const Point& a, const Point& b) { return a.log_error == b.log_error; };
  points.erase(std::unique(points.begin(), points.end(), same), points.end());
  return points;
}

/// Beyond the ends: in proportion to the error, as perturbation theory has it for small ones.
double kld_at(std::span<const Point> points, double log_error) {
  const Point& first = points.front();
  const Point& last = points.back();
  if (log_error <= first.log_error) return std::exp(first.log_kld + log_error - first.log_error);
  if (log_error >= last.log_error) return std::exp(last.log_kld + log_error - last.log_error);
  const auto above = std::ranges::upper_bound(points, log_error, {}, &Point::log_error);
  const Point& high = *above;
  const Point& low = *(above - 1);
  const double t = (log_error - low.log_error) / (high.log_error - low.log_error);
  return std::exp(low.log_kld + t * (high.log_kld - low.log_kld));
}

/// A tensor of the file by name: what measure_sensitivity saw is still there.
Result<const TensorInfo*> tensor_of(const GgufFile& file, const TensorSensitivity& row) {
  const TensorInfo* tensor = file.find_tensor(row.name);
  if (tensor && tensor->n_weights == row.weights) return tensor;
  return fail(ErrorCode::BadArgument,
              "the sensitivities are of another model: {} has no tensor {} of {} weights",
              file.name(), row.name, row.weights);
}

}  // namespace

std::vector<size_t> anchors_of(const TensorSensitivity& tensor, uint32_t anchors) {
  std::vector<size_t> order = by_size(tensor);
  if (anchors == 0 || order.empty()) return order;
  const auto coarse = [&](size_t i) {
    return 8.0 * double(tensor.bytes[i]) < kCoarseBits * double(tensor.weights);
  };
  const auto n_coarse = size_t(std::ranges::count_if(order, coarse));
  if (n_coarse != 0) order.resize(n_coarse);
  if (order.size() <= anchors) return order;
  std::vector<size_t> chosen;
  for (uint32_t i = 0; i < anchors; ++i) {
    const double at = anchors == 1 ? 0.5 : double(i) / double(anchors - 1);
    chosen.push_back(order[size_t(std::lround(at * double(order.size() - 1)))]);
  }
  return chosen;
}

void scale_unmeasured(TensorSensitivity& tensor) {
  const std::vector<Point> points = points_of(tensor);
  for (size_t i = 0; i < tensor.bytes.size(); ++i) {
    if (!tensor.allows(i) || tensor.measured[i]) continue;
    const bool known = !points.empty() && tensor.weight_error[i] > 0;
    tensor.kld[i] = known ? kld_at(points, std::log(tensor.weight_error[i])) : 0.0;
  }
}

Sensitivity unmeasured(const GgufFile& file, std::span<const QuantType> candidates) {
  Sensitivity result;
  const bool defaults = candidates.empty();
  if (defaults) candidates = kDefaultCandidates;
  result.candidates.assign(candidates.begin(), candidates.end());
  for (const TensorInfo& tensor : file.tensors()) {
    result.weights += tensor.n_weights;
    TensorSensitivity row = blank(tensor, candidates, defaults);
    if (is_quantisable(tensor) && has_choice(row))
      result.tensors.push_back(std::move(row));
    else
      result.kept_bytes += tensor.n_bytes;
  }
  return result;
}

Result<void> keep_types(Sensitivity& sensitivity, std::span<const QuantType> types,
                        const GgufFile& file) {
  const std::vector<QuantType>& candidates = sensitivity.candidates;
  for (const QuantType type : types)
    if (std::ranges::find(candidates, type) == candidates.end())
      return fail(ErrorCode::BadArgument, "{} was not measured; measure again into another file",
                  info(type).name);
  std::vector<TensorSensitivity> open;
  for (TensorSensitivity& row : sensitivity.tensors) {
    for (size_t i = 0; i < candidates.size(); ++i)
      if (std::ranges::find(types, candidates[i]) == types.end()) row.bytes[i] = 0;
    PUMICE_TRY_ASSIGN(const TensorInfo* tensor, tensor_of(file, row));
    if (has_choice(row))
      open.push_back(std::move(row));
    else
      sensitivity.kept_bytes += tensor->n_bytes;
  }
  sensitivity.tensors = std::move(open);
  return {};
}

Result<Sensitivity> measure_sensitivity(Trial& trial, const SensitivityOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  Sensitivity result = unmeasured(trial.file(), options.candidates);
  result.positions = trial.text().positions();
  result.text = measurement_hash(trial.text());
  result.error_feedback = trial.feeds();
  Measurer measurer(trial, options, result);
  PUMICE_TRY(measurer.select());
  if (result.tensors.empty())
    return fail(ErrorCode::BadArgument, "{}: no tensor can be quantised to one of the types",
                trial.file().name());
  PUMICE_TRY(measurer.measure_all());
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

Result<double> measure_allocation(Trial& trial, const Sensitivity& sensitivity,
                                  std::span<const QuantType> types,
                                  const EvaluationProgress& progress) {
  if (types.size() != sensitivity.tensors.size())
    return fail(ErrorCode::BadArgument, "{} types for {} tensors", types.size(),
                sensitivity.tensors.size());
  std::vector<const TensorInfo*> tensors;
  for (const TensorSensitivity& row : sensitivity.tensors) {
    PUMICE_TRY_ASSIGN(const TensorInfo* tensor, tensor_of(trial.file(), row));
    tensors.push_back(tensor);
  }
  const auto measure = [&]() -> Result<double> {
    for (size_t i = 0; i < types.size(); ++i)
      if (tensors[i]->type != types[i]) PUMICE_TRY(trial.put(*tensors[i], types[i]));
    return trial.kld(progress);
  };
  Result<double> kld = measure();
  for (const TensorInfo* tensor : tensors) PUMICE_TRY(trial.restore(*tensor));
  return kld;
}

}  // namespace pumice::quant
