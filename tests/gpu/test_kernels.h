// What the GPU tests share: their own kernels, and a device opened under validation whose log must
// stay empty until after its destruction.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/vk/hooks.h"

namespace pumice::vk {

/// Kernels by name: fill, add, texel, image, half, nothing, shapes.
[[nodiscard]] const KernelModule* find_test_kernel(const std::string& name);

/// Empty when VK_ICD_FILENAMES names a file that exists, else why the tests cannot run.
[[nodiscard]] std::string missing_driver();

class GpuTest : public testing::Test {
 protected:
  void SetUp() override;
  /// Closes the device and fails on any validation message.
  void TearDown() override;

  /// Opens `device` with validation and the test kernels.
  void open(DeviceOptions options = {}, DeviceHooks hooks = {});
  /// Records, submits and waits; the error of the first that fails.
  [[nodiscard]] Result<void> run(std::vector<Dispatch> list);
  /// A host-visible buffer of words.
  [[nodiscard]] BufferId words(size_t number, BufferDomain domain = BufferDomain::Readback);
  [[nodiscard]] std::span<uint32_t> view(BufferId buffer);
  [[nodiscard]] BufferSlice all(BufferId buffer);

  std::vector<std::string> messages;  ///< of validation
  std::unique_ptr<Device> device;
};

/// y[i] = value + i
[[nodiscard]] Dispatch fill(BufferSlice y, uint32_t value, uint32_t local_size = 64);
/// y[i] = a[i] + b[i]
[[nodiscard]] Dispatch add(BufferSlice a, BufferSlice b, BufferSlice y);

}  // namespace pumice::vk
