// Prints what an empty dispatch costs inside one command buffer, and what submit + wait costs.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "tests/gpu/test_kernels.h"

namespace pumice::vk {
namespace {

using Clock = std::chrono::steady_clock;

/// Median microseconds of submit + wait for a list of `number` empty dispatches.
Result<double> median_submit(Device& device, size_t number, bool barrier) {
  Dispatch dispatch;
  dispatch.kernel = "nothing";
  dispatch.barrier = barrier;
  const std::vector<Dispatch> list(number, dispatch);
  PUMICE_TRY_ASSIGN(const CommandId command, device.record(list));
  std::vector<double> times;
  for (int i = 0; i < 101; ++i) {
    const auto start = Clock::now();
    PUMICE_TRY_ASSIGN(const Ticket ticket, device.submit(command));
    PUMICE_TRY(device.wait(ticket));
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  device.forget(command);
  std::nth_element(times.begin(), times.begin() + 50, times.end());
  return times[50];
}

Result<void> measure() {
  DeviceHooks hooks;
  hooks.find = find_test_kernel;
  PUMICE_TRY_ASSIGN(const auto device, open_device({}, hooks));
  fmt::print("{}\n", device->capabilities().device_name);
  for (const bool barrier : {true, false}) {
    PUMICE_TRY_ASSIGN(const double one, median_submit(*device, 1, barrier));
    PUMICE_TRY_ASSIGN(const double many, median_submit(*device, 501, barrier));
    fmt::print("{}: submit + wait of one dispatch {:.1f} us, each further dispatch {:.2f} us\n",
               barrier ? "with barriers" : "without barriers", one, (many - one) / 500);
  }
  return {};
}

}  // namespace
}  // namespace pumice::vk

int main() {
  const auto done = pumice::vk::measure();
  if (done) return 0;
  fmt::print(stderr, "dispatch_cost: {}\n", done.error().text);
  return 1;
}
