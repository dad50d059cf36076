// The tests' kernels and their fixture.
#include "tests/gpu/test_kernels.h"

#include <cstdlib>
#include <filesystem>

#include "add.spv.h"
#include "fill.spv.h"
#include "half.spv.h"
#include "image.spv.h"
#include "nothing.spv.h"
#include "shapes.spv.h"
#include "texel.spv.h"

namespace pumice::vk {

const KernelModule* find_test_kernel(const std::string& name) {
  static const KernelModule kRows[] = {{"add", add_spirv},         {"fill", fill_spirv},
                                       {"half", half_spirv},       {"image", image_spirv},
                                       {"nothing", nothing_spirv}, {"shapes", shapes_spirv},
                                       {"texel", texel_spirv}};
  for (const auto& row : kRows)
    if (row.name == name) return &row;
  return nullptr;
}

std::string missing_driver() {
  const char* icd = std::getenv("VK_ICD_FILENAMES");
  if (icd == nullptr) return "";  // by hand: whatever is installed
  if (std::filesystem::exists(icd)) return "";
  return std::string("the Vulkan driver is not installed: ") + icd;
}

void GpuTest::SetUp() {
  if (const std::string reason = missing_driver(); !reason.empty()) GTEST_SKIP() << reason;
}

void GpuTest::TearDown() {
  device.reset();
  for (const auto& message : messages) ADD_FAILURE() << "validation: " << message;
}

void GpuTest::open(DeviceOptions options, DeviceHooks hooks) {
  options.validation = true;
  hooks.find = find_test_kernel;
  hooks.validation_sink = &messages;
  auto opened = open_device(options, hooks);
  ASSERT_TRUE(opened) << opened.error().text;
  device = std::move(*opened);
}

Result<void> GpuTest::run(std::vector<Dispatch> list) {
  PUMICE_TRY_ASSIGN(const CommandId command, device->record(list));
  PUMICE_TRY_ASSIGN(const Ticket ticket, device->submit(command));
  PUMICE_TRY(device->wait(ticket));
  device->forget(command);
  return {};
}

BufferId GpuTest::words(size_t number, BufferDomain domain) {
  const auto made = device->create_buffer({"words", number * sizeof(uint32_t), domain});
  EXPECT_TRUE(made) << made.error().text;
  return made ? *made : kNoBuffer;
}

std::span<uint32_t> GpuTest::view(BufferId buffer) {
  const auto bytes = device->mapped(buffer);
  return {reinterpret_cast<uint32_t*>(bytes.data()), bytes.size() / sizeof(uint32_t)};
}

BufferSlice GpuTest::all(BufferId buffer) {
  return {buffer, 0, device->mapped(buffer).size()};
}

Dispatch fill(BufferSlice y, uint32_t value, uint32_t local_size) {
  const auto count = uint32_t(y.bytes / sizeof(uint32_t));
  Dispatch dispatch;
  dispatch.kernel = "fill";
  dispatch.constants = {local_size};
  dispatch.bindings = {y};
  dispatch.push = {value, count};
  dispatch.groups = {(count + local_size - 1) / local_size, 1, 1};
  dispatch.label = "fill";
  return dispatch;
}

Dispatch add(BufferSlice a, BufferSlice b, BufferSlice y) {
  const auto count = uint32_t(y.bytes / sizeof(uint32_t));
  Dispatch dispatch;
  dispatch.kernel = "add";
  dispatch.bindings = {a, b, y};
  dispatch.push = {count};
  dispatch.groups = {(count + 63) / 64, 1, 1};
  dispatch.label = "add";
  return dispatch;
}

}  // namespace pumice::vk
