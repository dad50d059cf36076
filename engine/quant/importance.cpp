// Adding, checking and using importance matrices.
#include "engine/quant/importance.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace pumice::quant {
namespace {

template <class T>
void add_to(std::vector<float>& sums, const std::vector<T>& more) {
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = float(double(sums[i]) + double(more[i]));
}

Result<void> check_shape(std::string_view name, const ActivationStatistics& entry, uint64_t width,
                         uint64_t matrices, std::string_view other) {
  if (entry.width == width && entry.matrices == matrices) return {};
  return fail(ErrorCode::BadArgument,
              "importance of tensor {}: {} channels and {} matrices; {} has {} and {}", name,
              entry.width, entry.matrices, other, width, matrices);
}

/// Sums of Gram matrices, made once for all weights that share them.
class GramSums {
 public:
  std::shared_ptr<const Gram> sum(const std::shared_ptr<const Gram>& a,
                                  const std::shared_ptr<const Gram>& b) {
    if (a == nullptr || b == nullptr) return nullptr;
    std::shared_ptr<const Gram>& made = made_[{a.get(), b.get()}];
    if (made == nullptr) {
      Gram both = *a;
      add_to(both, *b);
      made = std::make_shared<const Gram>(std::move(both));
      kept_.push_back(a);  // an address that was freed could come back as another matrix
    }
    return made;
  }

 private:
  std::map<std::pair<const Gram*, const Gram*>, std::shared_ptr<const Gram>> made_;
  std::vector<std::shared_ptr<const Gram>> kept_;
};

Result<void> add_entry(ImportanceMatrix& into, const std::string& name,
                       const ActivationStatistics& more, GramSums& grams) {
  const auto [place, is_new] = into.tensors.emplace(name, more);
  if (is_new) return {};
  ActivationStatistics& entry = place->second;
  PUMICE_TRY(check_shape(name, entry, more.width, more.matrices, "what is added"));
  add_to(entry.sum_squares, more.sum_squares);
  add_to(entry.counts, more.counts);
  entry.gram = grams.sum(entry.gram, more.gram);
  return {};
}

}  // namespace

Result<void> add_statistics(ImportanceMatrix& into, std::vector<TapStatistics> taken) {
  GramSums grams;
  for (TapStatistics& tap : taken) {
    ActivationStatistics entry{tap.width, tap.matrices, {}, {}, nullptr};
    entry.sum_squares.assign(tap.sum_squares.begin(), tap.sum_squares.end());
    entry.counts.assign(tap.counts.begin(), tap.counts.end());
    if (!tap.gram.empty()) entry.gram = std::make_shared<const Gram>(std::move(tap.gram));
    for (const std::string& name : tap.tensors) PUMICE_TRY(add_entry(into, name, entry, grams));
  }
  return {};
}

Result<void> merge_importance(ImportanceMatrix& into, const ImportanceMatrix& from) {
  GramSums grams;
  for (const auto& [name, entry] : from.tensors) PUMICE_TRY(add_entry(into, name, entry, grams));
  into.chunk_count += from.chunk_count;
  if (into.chunk_size == 0) into.chunk_size = from.chunk_size;
  for (const std::string& dataset : from.datasets)
    if (std::find(into.datasets.begin(), into.datasets.end(), dataset) == into.datasets.end())
      into.datasets.push_back(dataset);
  return {};
}

Result<void> check_importance(ImportanceMatrix& matrix, const GgufFile& model) {
  for (auto& [name, entry] : matrix.tensors) {
    const TensorInfo* tensor = model.find_tensor(name);
    if (tensor == nullptr)
      return fail(ErrorCode::BadArgument,
                  "the importance matrix is of another model: {} has no tensor {}", model.name(),
                  name);
    const uint64_t experts = tensor->n_dims > 2 ? tensor->shape[2] : 1;
    if (entry.matrices == 1 && experts > 1 && entry.width == tensor->shape[0] * experts) {
      entry.width = tensor->shape[0];
      entry.matrices = experts;
      entry.counts.resize(experts, entry.counts.front());
    }
    PUMICE_TRY(check_shape(name, entry, tensor->shape[0], experts, model.name()));
  }
  return {};
}

Result<const ActivationStatistics*> statistics_of(const ImportanceMatrix& matrix,
                                                  const TensorInfo& tensor) {
  const auto found = matrix.tensors.find(tensor.name);
  if (found == matrix.tensors.end()) return nullptr;
  const ActivationStatistics& known = found->second;
  const uint64_t experts = tensor.shape[2] * tensor.shape[3];
  if (known.width == tensor.shape[0] && (known.matrices == 1 || known.matrices == experts))
    return &known;
  return fail(ErrorCode::BadArgument,
              "the importance matrix has {} x {} numbers for tensor {} of shape {}", known.matrices,
              known.width, tensor.name, shape_text(std::span(tensor.shape).first(tensor.n_dims)));
}

std::vector<float> mean_squares(const ActivationStatistics& statistics, uint64_t matrix) {
  const uint64_t width = statistics.width;
  const auto row = [&](uint64_t m) {
    return statistics.sum_squares.begin() + ptrdiff_t(m * width);
  };
  std::vector<double> sums(row(matrix), row(matrix) + ptrdiff_t(width));
  double count = statistics.counts[matrix];
  if (count == 0.0) {
    count = std::accumulate(statistics.counts.begin(), statistics.counts.end(), 0.0);
    for (uint64_t m = 0; m < statistics.matrices; ++m)
      for (uint64_t i = 0; i < width; ++i) sums[i] += row(m)[ptrdiff_t(i)];
  }
  if (count == 0.0) return std::vector<float>(width, 1.0f);
  std::vector<float> means;
  means.reserve(width);
  for (const double sum : sums) means.push_back(float(sum / count));
  return means;
}

std::vector<std::vector<float>> all_mean_squares(const ActivationStatistics& statistics) {
  std::vector<std::vector<float>> all;
  for (uint64_t i = 0; i < statistics.matrices; ++i) all.push_back(mean_squares(statistics, i));
  return all;
}

}  // namespace pumice::quant
