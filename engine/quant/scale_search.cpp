// Owns the choice between the cores and the device, and the hand-over of slices.
#include "engine/quant/scale_search.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "engine/base/log.h"
#include "engine/quant/encode.h"
#include "engine/quant/fit.h"

namespace pumice::quant {
namespace {

/// Slices that may be on the device at once: one computes, others are copied.
constexpr int kMostPlaces = 8;
/// A smaller slice says too little about the next.
constexpr size_t kRaceWeights = DeviceFit::kMostWeights / 4;
/// Fewer take a core less time than opening a device and compiling for it.
constexpr uint64_t kWorthOpening = uint64_t{1} << 25;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void fit_on_core(QuantType type, std::span<const float> weights, std::span<const float> importance,
                 std::span<BlockFit> out) {
  const size_t block_weights = info(type).block_weights;
  std::vector<BlockSource> sources(out.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    const size_t at = i * block_weights;
    sources[i] = {weights.data() + at,
                  importance.empty() ? nullptr : importance.data() + at % importance.size()};
  }
  quant::fit(type, sources, out);
}

/// To the bit: BlockFit has no padding.
bool same(std::span<const BlockFit> a, std::span<const BlockFit> b) {
  static_assert(sizeof(BlockFit) == 2 * sizeof(float) + 32 * sizeof(int16_t));
  return std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

void ScaleSearch::encode_rows(QuantType type, std::span<const float> weights, uint64_t width,
                              std::span<const float> importance, std::span<std::byte> out) {
  if (fit_plan(type) && weights.size() <= DeviceFit::kMostWeights) {
    std::vector<BlockFit> fits(weights.size() / info(type).block_weights);
    if (fit(type, weights, importance, fits)) return encode_fitted(type, weights, fits, out);
  }
  quant::encode_rows(type, weights, width, importance, out);
}

uint64_t ScaleSearch::slices_on_device() const {
  const std::lock_guard lock(mutex_);
  return slices_;
}

/// False: the caller searches on its core.
bool ScaleSearch::fit(QuantType type, std::span<const float> weights,
                      std::span<const float> importance, std::span<BlockFit> out) {
  bool first = false;
  const int most = places(type, weights.size(), first);
  if (first) return race(type, weights, importance, out);
  std::unique_ptr<DeviceFit> device = take(most);
  if (!device) return false;
  const Result<void> done = device->fit(type, weights, importance, out);
  put_back(std::move(device));
  if (!done) give_up(done.error());
  return done.has_value();
}

/// `first`: the caller shall race; until it has, the others use their cores.
int ScaleSearch::places(QuantType type, size_t weights, bool& first) {
  if (!races_) return kMostPlaces;
  const std::lock_guard lock(mutex_);
  if (const auto known = places_.find(type); known != places_.end()) return known->second;
  first = weights >= kRaceWeights && !failed_;
  if (first) places_[type] = 0;
  return 0;
}

/// Both places search; `out` is the core's answer.
bool ScaleSearch::race(QuantType type, std::span<const float> weights,
                       std::span<const float> importance, std::span<BlockFit> out) {
  std::unique_ptr<DeviceFit> device = take(kMostPlaces);
  if (!device) return false;
  std::vector<BlockFit> found(out.size());
  double on_device = 0;
  Result<void> done;
  for (int lap = 0; lap < 2 && done; ++lap) {  // the first compiles the kernel
    const Clock::time_point start = Clock::now();
    done = device->fit(type, weights, importance, found);
    on_device = seconds_since(start);
  }
  put_back(std::move(device));
  if (!done) give_up(done.error());
  const Clock::time_point start = Clock::now();
  fit_on_core(type, weights, importance, out);
  const double on_core = seconds_since(start);
  if (!done) return true;
  const bool equal = same(found, out);
  const int most = equal ? int(std::min(on_core / on_device, double(kMostPlaces))) : 0;
  log_info("{}: a slice takes {} {:.1f} ms and a core {:.1f} ms{}", info(type).name,
           device_->capabilities().device_name, on_device * 1e3, on_core * 1e3,
           equal ? "" : "; the device finds other bits and is not used");
  const std::lock_guard lock(mutex_);
  places_[type] = most;
  return true;
}

/// One for the caller's slice, or null when the device has enough to do or has failed.
std::unique_ptr<DeviceFit> ScaleSearch::take(int most) {
  std::unique_lock lock(mutex_);
  if (!races_) free_.wait(lock, [&] { return failed_ || busy_ < most; });
  if (failed_ || busy_ >= most) return nullptr;
  ++busy_;
  if (!idle_.empty()) {
    std::unique_ptr<DeviceFit> device = std::move(idle_.back());
    idle_.pop_back();
    return device;
  }
  lock.unlock();
  auto made = DeviceFit::create(*device_);
  if (made) return std::move(*made);
  put_back(nullptr);
  give_up(made.error());
  return nullptr;
}

void ScaleSearch::put_back(std::unique_ptr<DeviceFit> worked) {
  const std::lock_guard lock(mutex_);
  --busy_;
  if (worked) {
    idle_.push_back(std::move(worked));
    ++slices_;
  }
  free_.notify_one();
}

void ScaleSearch::give_up(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(failed_, true))
    log_warning("the scale search goes on without the GPU: {}", error.text);
  free_.notify_all();
}

Result<std::unique_ptr<ScaleSearch>> open_search(SearchPlace place,
                                                 const vk::DeviceOptions& options,
                                                 uint64_t weights) {
  const bool races = place == SearchPlace::Auto;
  if (place == SearchPlace::Cpu || (races && weights < kWorthOpening)) return nullptr;
  auto device = vk::Device::open(options);
  if (races && (!device || (*device)->capabilities().is_cpu)) return nullptr;
  if (!device) return tl::unexpected(std::move(device.error()));
  return std::make_unique<ScaleSearch>(std::move(*device), races);
}

}  // namespace pumice::quant
