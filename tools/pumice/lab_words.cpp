// Small words and sums that the sections of `pumice lab` share, and its progress line.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "engine/base/platform.h"
#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

constexpr quant::BootstrapOptions kBootstrap = {400, 1};

quant::Estimate mean_of(const quant::Comparison& shape, std::vector<double> column) {
  const quant::Blocks blocks(shape.chunks, shape.scored_per_chunk);
  const std::vector<double> columns[] = {std::move(column)};
  return quant::bootstrap_means(columns, blocks, kBootstrap).front();
}

}  // namespace

LabProgress::~LabProgress() {
  if (shown_) std::fprintf(stderr, "\r%79s\r", "");
}

void LabProgress::begin(std::string title) {
  title_ = std::move(title);
  ++section_;
  steps_ = 1, done_ = 0;
  start_ = Clock::now();
  last_ = {};
  show(0);
}

void LabProgress::expect(size_t steps) {
  steps_ = std::max<size_t>(steps, 1);
}

Result<void> LabProgress::step() {
  ++done_;
  if (tick(0)) return {};
  return fail(ErrorCode::Cancelled, "interrupted");
}

bool LabProgress::tick(double share) {
  show(share);
  return interrupts() == 0;
}

void LabProgress::show(double share) {
  const Clock::time_point now = Clock::now();
  if (!is_terminal(Stream::Error) || now - last_ < std::chrono::milliseconds(200)) return;
  last_ = now;
  shown_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double done = std::min((double(done_) + share) / double(steps_), 1.0);
  std::string line = fmt::format("{}/{} {:.40}: {} of {} runs", section_, sections_, title_,
                                 std::min(done_, steps_), steps_);
  if (done > 0.02 && seconds > 1)
    line += fmt::format(", {:.0f} s left here", seconds * (1 - done) / done);
  std::fprintf(stderr, "\r%-79.79s", line.c_str());
}

Result<quant::TypeRequest> mix_request(const LabBench& bench, const std::string& mix) {
  quant::TypeRequest request;
  const std::string uniform = "uniform ";
  request.pure = mix.starts_with(uniform);
  const std::string name = request.pure ? mix.substr(uniform.size()) : mix;
  request.mix = quant::find_mix(name);
  if (request.mix) return request;
  return fail(ErrorCode::BadArgument, "{}: no mix of this name for {}", mix, bench.file->name());
}

std::string upper_name(QuantType type) {
  std::string name(info(type).name);
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  return name;
}

std::optional<uint32_t> layer_of(std::string_view tensor) {
  if (!tensor.starts_with("blk.")) return {};
  uint32_t layer = 0;
  const char* end = tensor.data() + tensor.size();
  const auto read = std::from_chars(tensor.data() + 4, end, layer);
  if (read.ec != std::errc() || read.ptr == end || *read.ptr != '.') return {};
  return layer;
}

std::string kind_of(std::string_view tensor) {
  if (layer_of(tensor)) tensor.remove_prefix(tensor.find('.', 4) + 1);
  if (tensor.ends_with(".weight")) tensor.remove_suffix(7);
  return std::string(tensor);
}

quant::Estimate mean_kld(const quant::Comparison& comparison) {
  std::vector<double> klds;
  for (const quant::PositionScore& position : comparison.positions) klds.push_back(position.kld);
  return mean_of(comparison, std::move(klds));
}

quant::Estimate kld_difference(const quant::Comparison& a, const quant::Comparison& b) {
  std::vector<double> differences;
  const size_t count = std::min(a.positions.size(), b.positions.size());
  for (size_t i = 0; i < count; ++i) differences.push_back(a.positions[i].kld - b.positions[i].kld);
  return mean_of(a, std::move(differences));
}

Standing judged(const quant::Estimate& difference, Standing above) {
  if (!(std::abs(difference.value) > 2 * difference.error)) return Standing::Unclear;
  const Standing below = above == Standing::Holds ? Standing::Fails : Standing::Holds;
  return difference.value > 0 ? above : below;
}

std::string with_error(const quant::Estimate& estimate) {
  return fmt::format("{} \u00B1 {}", number_text(estimate.value),
                     number_text(std::abs(estimate.error) < 1e-300 ? 0 : estimate.error));
}

nlohmann::ordered_json to_json(const quant::Estimate& estimate) {
  return {{"value", estimate.value}, {"standard_error", estimate.error}};
}

std::string percent_text(double share) {
  return number_text(100 * share) + " %";
}

}  // namespace pumice::command
