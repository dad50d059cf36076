#include "engine/quant/folding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "engine/quant/encode.h"
#include "engine/quant/folding_sites.h"
#include "engine/quant/tensor_weights.h"
#include "loader/codec.h"

namespace pumice::quant {
namespace {

constexpr int kSteps = 20;               // exponents tried: 0, 1/20 ... 1
constexpr uint64_t kDiagonalRows = 256;  // rows per matrix that a search looks at
constexpr uint64_t kGramRows = 48;       // the same where correlations make a row cost width^2
constexpr float kLargestFactor = 1e4f;

/// Scales factors so that their geometric mean is 1, and keeps them in a range that f16 and the
/// scales of blocks survive.
void normalise(std::vector<float>& factors) {
  double sum = 0;
  for (const float s : factors) sum += std::log(double(s));
  const auto mean = float(std::exp(sum / double(factors.size())));
  for (float& s : factors) s = std::clamp(s / mean, 1.0f / kLargestFactor, kLargestFactor);
}

/// RMS of every source channel: the largest over the readers' channels that repeat it.
std::vector<float> channel_rms(const FoldingSite& site, const ActivationStatistics& statistics) {
  const std::vector<float> squares = mean_squares(statistics);
  std::vector<float> rms(site.channels, 0.0f);
  for (uint64_t i = 0; i < squares.size(); ++i) {
    float& at = rms[site.source_of(i)];
    at = std::max(at, std::sqrt(squares[i]));
  }
  const float largest = *std::max_element(rms.begin(), rms.end());
  const float floor = largest > 0 ? largest * 1e-4f : 1.0f;  // a silent channel asks for nothing
  for (float& x : rms) x = std::max(x, floor);
  return rms;
}

/// Rows of one reader, spread evenly, and what the statistics say about their inputs.
struct Sample {
  QuantType type = QuantType::F32;
  uint64_t width = 0;
  std::vector<float> weights;   // [rows][width]
  std::vector<float> squares;   // [width]
  std::span<const float> gram;  // [width][width], or empty
};

Sample take_sample(const TensorInfo& tensor, QuantType type, const ActivationStatistics& statistics,
                   const Folding& folded) {
  Sample sample;
  sample.type = type;
  sample.width = tensor.shape[0];
  sample.squares = mean_squares(statistics);
  if (statistics.gram) sample.gram = *statistics.gram;
  const uint64_t rows = tensor.n_rows();
  const uint64_t wanted = std::min(rows, sample.gram.empty() ? kDiagonalRows : kGramRows);
  sample.weights.resize(wanted * sample.width);
  const auto factors = folded.find(std::string(tensor.name));
  for (uint64_t i = 0; i < wanted; ++i) {
    const uint64_t row = i * rows / wanted;
    const auto weights = std::span(sample.weights).subspan(i * sample.width, sample.width);
    decode_rows(tensor, row, 1, weights.data());
    if (factors != folded.end())
      fold_weights(factors->second, sample.width, row * sample.width, weights);
  }
  return sample;
}

/// e G e^T of one row's error, or its diagonal part.
double row_loss(const Sample& sample, std::span<const float> error) {
  double loss = 0;
  for (uint64_t i = 0; i < sample.width; ++i) {
    if (sample.gram.empty()) {
      loss += double(error[i]) * double(error[i]) * double(sample.squares[i]);
      continue;
    }
    const float* g = &sample.gram[i * sample.width];
    double sum = 0;
    for (uint64_t j = 0; j < sample.width; ++j) sum += double(g[j]) * double(error[j]);
    loss += sum * double(error[i]);
  }
  return loss;
}

/// Output error of the sample quantised with its columns multiplied by `factors`.
double folded_loss(const Sample& sample, std::span<const float> factors) {
  const uint64_t width = sample.width, rows = sample.weights.size() / width;
  std::vector<float> scaled(sample.weights.size()), importance(width), error(width);
  for (uint64_t i = 0; i < width; ++i)
    importance[i] = sample.squares[i] / (factors[i] * factors[i]);
  for (size_t i = 0; i < scaled.size(); ++i) scaled[i] = sample.weights[i] * factors[i % width];
  std::vector<std::byte> bytes(bytes_as(sample.type, scaled.size()));
  encode_rows(sample.type, scaled, width, importance, bytes);
  decode_row(sample.type, bytes.data(), scaled.size(), scaled.data());
  double loss = 0;
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t i = 0; i < width; ++i)
      error[i] = scaled[row * width + i] / factors[i] - sample.weights[row * width + i];
    loss += row_loss(sample, error);
  }
  return loss;
}

/// Source factors as the readers' columns see them.
std::vector<float> spread(const FoldingSite& site, std::span<const float> factors) {
  std::vector<float> out(site.channels * site.repeat);
  for (uint64_t i = 0; i < out.size(); ++i) out[i] = factors[site.source_of(i)];
  return out;
}

void multiply(std::vector<float>& into, size_t size, size_t first, std::span<const float> factors,
              bool inverse) {
  if (into.empty()) into.assign(size, 1.0f);
  for (size_t i = 0; i < factors.size(); ++i)
    into[first + i] *= inverse ? 1.0f / factors[i] : factors[i];
}

void fold(const FoldingSite& site, std::span<const float> factors, Folding& folding) {
  for (const ChannelSource& source : site.sources) {
    TensorFactors& entry = folding[std::string(source.tensor->name)];
    const bool vector = source.tensor->n_dims == 1;
    multiply(vector ? entry.columns : entry.rows,
             vector ? source.tensor->shape[0] : source.tensor->n_rows(), source.first, factors,
             true);
  }
  const std::vector<float> columns = spread(site, factors);
  for (const TensorInfo* reader : site.readers)
    multiply(folding[std::string(reader->name)].columns, columns.size(), 0, columns, false);
}

const ActivationStatistics* find(const ImportanceMatrix& statistics, const TensorInfo& tensor) {
  const auto at = statistics.tensors.find(std::string(tensor.name));
  if (at == statistics.tensors.end() || at->second.width != tensor.shape[0]) return nullptr;
  return &at->second;
}

/// The sites whose readers the statistics know.
Result<std::vector<FoldingSite>> known_sites(const GgufFile& file,
                                             const ImportanceMatrix& statistics) {
  PUMICE_TRY_ASSIGN(std::vector<FoldingSite> sites, folding_sites(file));
  std::erase_if(sites,
                [&](const FoldingSite& site) { return !find(statistics, *site.readers.front()); });
  if (sites.empty())
    return fail(ErrorCode::BadArgument,
                "folding: the activation statistics name none of the matrices of {}; gather them "
                "from this model with pumice imatrix",
                file.name());
  return sites;
}

std::vector<float> powers(std::span<const float> rms, double exponent) {
  std::vector<float> out(rms.size());
  for (size_t i = 0; i < rms.size(); ++i) out[i] = float(std::pow(double(rms[i]), exponent));
  normalise(out);
  return out;
}

std::vector<Sample> samples_of(const FoldingSite& site, const ImportanceMatrix& statistics,
                               const Folding& folded,
                               const std::function<QuantType(std::string_view)>& type_of) {
  std::vector<Sample> samples;
  for (const TensorInfo* reader : site.readers) {
    const QuantType type = type_of(reader->name);
    const ActivationStatistics* known = find(statistics, *reader);
    if (known && can_encode(type) && type != QuantType::F32)
      samples.push_back(take_sample(*reader, type, *known, folded));
  }
  return samples;
}

/// The best factors of one site; empty when none beats no change.
std::vector<float> search_site(const FoldingSite& site, const ImportanceMatrix& statistics,
                               const std::vector<Sample>& samples) {
  const std::vector<float> rms = channel_rms(site, *find(statistics, *site.readers.front()));
  std::vector<float> best;
  double least = std::numeric_limits<double>::infinity();
  for (int step = 0; step <= kSteps; ++step) {
    std::vector<float> factors = powers(rms, double(step) / kSteps);
    const std::vector<float> columns = spread(site, factors);
    double loss = 0;
    for (const Sample& sample : samples) loss += folded_loss(sample, columns);
    if (!(loss < least)) continue;
    least = loss;
    best = step == 0 ? std::vector<float>() : std::move(factors);
  }
  return best;
}

}  // namespace

Result<Folding> search_awq(const GgufFile& file, const ImportanceMatrix& statistics,
                           const Folding& folded,
                           const std::function<QuantType(std::string_view)>& type_of,
                           const FoldingProgress& progress) {
  PUMICE_TRY_ASSIGN(const std::vector<FoldingSite> sites, known_sites(file, statistics));
  Folding folding;
  for (size_t i = 0; i < sites.size(); ++i) {
    if (progress && !progress(double(i) / double(sites.size())))
      return fail(ErrorCode::Cancelled, "the search for factors was stopped");
    const std::vector<Sample> samples = samples_of(sites[i], statistics, folded, type_of);
    if (samples.empty()) continue;
    const std::vector<float> factors = search_site(sites[i], statistics, samples);
    if (!factors.empty()) fold(sites[i], factors, folding);
  }
  return folding;
}

Result<Folding> smooth(const GgufFile& file, const ImportanceMatrix& statistics, double strength) {
  if (!(strength >= 0 && strength <= 1))
    return fail(ErrorCode::BadArgument, "SmoothQuant strength {}: expected 0 to 1", strength);
  PUMICE_TRY_ASSIGN(const std::vector<FoldingSite> sites, known_sites(file, statistics));
  Folding folding;
  std::vector<float> row;
  for (const FoldingSite& site : sites) {
    if (!site.after_norm) continue;
    const std::vector<float> rms = channel_rms(site, *find(statistics, *site.readers.front()));
    std::vector<float> largest(site.channels, 1e-8f);
    row.resize(site.channels);
    for (const TensorInfo* reader : site.readers)
      for (uint64_t r = 0; r < reader->n_rows(); ++r) {
        decode_rows(*reader, r, 1, row.data());
        for (uint64_t i = 0; i < site.channels; ++i)
          largest[i] = std::max(largest[i], std::abs(row[i]));
      }
    std::vector<float> factors(site.channels);
    for (uint64_t i = 0; i < site.channels; ++i)
      factors[i] =
          float(std::pow(double(rms[i]), strength) / std::pow(double(largest[i]), 1.0 - strength));
    normalise(factors);
    fold(site, factors, folding);
  }
  return folding;
}

void merge_folding(Folding& into, const Folding& from) {
  for (const auto& [name, factors] : from) {
    TensorFactors& entry = into[name];
    if (!factors.columns.empty())
      multiply(entry.columns, factors.columns.size(), 0, factors.columns, false);
    if (!factors.rows.empty()) multiply(entry.rows, factors.rows.size(), 0, factors.rows, false);
  }
}

void fold_statistics(const Folding& folding, ImportanceMatrix& statistics) {
  for (const auto& [name, factors] : folding) {
    const auto at = statistics.tensors.find(name);
    if (at == statistics.tensors.end() || factors.columns.size() != at->second.width) continue;
    ActivationStatistics& entry = at->second;
    const uint64_t width = entry.width;
    for (size_t i = 0; i < entry.sum_squares.size(); ++i) {
      const float s = factors.columns[i % width];
      entry.sum_squares[i] /= s * s;
    }
    if (!entry.gram) continue;
    std::vector<float> gram = *entry.gram;  // others may share the old one
    for (size_t i = 0; i < gram.size(); ++i)
      gram[i] /= factors.columns[i % width] * factors.columns[i / width % width];
    entry.gram = std::make_shared<const std::vector<float>>(std::move(gram));
  }
}

void fold_weights(const TensorFactors& factors, uint64_t width, uint64_t first,
                  std::span<float> weights) {
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!factors.columns.empty()) weights[i] *= factors.columns[(first + i) % width];
    if (!factors.rows.empty()) weights[i] *= factors.rows[(first + i) / width];
  }
}

}  // namespace pumice::quant
