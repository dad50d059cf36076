// Where the quantiser's workers search for scales: on their cores, or on a Vulkan device where that
// is faster.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/device_fit.h"
#include "engine/vk/device.h"
#include "loader/quant_type.h"

namespace pumice::quant {

enum class SearchPlace {
  Auto,  ///< per type where a slice was found sooner, if both places found the same
  Cpu,
  Device,  ///< all types that have scales
};

/// Safe to use from several threads: any number of cores and one device.
///
/// In a race a type's first slice is searched in both places; the device gets the type if it was
/// faster and found the same bits, and then as many slices at once as it takes to be no slower than
/// a core. So the bytes of a file do not depend on who won. A device that fails is left alone from
/// then on, with one warning: the cores go on.
class ScaleSearch {
 public:
  /// `races` is false where the device shall have every slice.
  ScaleSearch(std::unique_ptr<vk::Device> device, bool races)
      : device_(std::move(device)), races_(races) {}

  /// encode_rows, its search where it shall be.
  void encode_rows(QuantType type, std::span<const float> weights, uint64_t width,
                   std::span<const float> importance, std::span<std::byte> out);

  /// Slices searched on the device so far.
  [[nodiscard]] uint64_t slices_on_device() const;

 private:
  [[nodiscard]] bool fit(QuantType type, std::span<const float> weights,
                         std::span<const float> importance, std::span<BlockFit> out);
  [[nodiscard]] bool race(QuantType type, std::span<const float> weights,
                          std::span<const float> importance, std::span<BlockFit> out);
  [[nodiscard]] int places(QuantType type, size_t weights, bool& first);
  [[nodiscard]] std::unique_ptr<DeviceFit> take(int places);
  void put_back(std::unique_ptr<DeviceFit> worked);
  void give_up(const Error& error);

  std::unique_ptr<vk::Device> device_;  ///< outlives what is idle
  bool races_ = true;
  mutable std::mutex mutex_;
  std::condition_variable free_;
  std::map<QuantType, int> places_;  ///< how many slices at once; absent = nobody has tried
  std::vector<std::unique_ptr<DeviceFit>> idle_;
  int busy_ = 0;
  uint64_t slices_ = 0;
  bool failed_ = false;
};

/// Opens the device for so many weights to search. Null where the cores do it all: asked for, or in
/// a race that cannot be won (no device, a software one, too few weights to pay for the start).
/// Errors: with SearchPlace::Device, those of vk::Device::open.
[[nodiscard]] Result<std::unique_ptr<ScaleSearch>> open_search(SearchPlace place,
                                                               const vk::DeviceOptions& options,
                                                               uint64_t weights);

}  // namespace pumice::quant
