// How much longer frames take while they carry a model's work: the host of the embedding tests
// draws off-screen, frame after frame, first alone and then with pm_session_record in its commands.
//
//   c_api_pacing MODEL.gguf [FRAME_MS [BUDGET_MS [FRAMES]]]        (16.6, 2 and 2000)
//
// A frame's time is from its first command to the end of its work on the device. The work may make
// the slowest of a hundred longer by its budget and half a millisecond. Times are no facts, so the
// verdict is printed, and only a failure is an exit code.
#include <fmt/format.h>
#include <pumice_vulkan.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/gpu/host_vulkan.h"
#include "tests/gpu/test_kernels.h"

namespace pumice::test {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr double kSpare = 0.5;  ///< ms beside the budget
constexpr const char* kQuestion = "Tell me a long story about a stone that could swim.";

struct Arguments {
  std::string model;
  double frame_ms = 16.6, budget_ms = 2;
  int frames = 2000;
};

template <class Struct>
Struct sized() {
  Struct made = {};
  made.struct_size = sizeof made;
  return made;
}

/// The model on the host's device; closed in the order that the header asks for.
class Guest {
 public:
  ~Guest() {
    pm_session_close(session);
    pm_model_close(model);
    pm_device_close(device);
  }
  void need(pm_status status) const {
    if (status != PM_OK) throw std::runtime_error(error.text);
  }
  void load(HostVulkan& host, const std::string& path);
  /// Asks anew once an answer has ended.
  void keep_talking();

  pm_device* device = nullptr;
  pm_model* model = nullptr;
  pm_session* session = nullptr;
  uint64_t answered = 0;  ///< tokens of answers that have ended
  mutable pm_error error = sized<pm_error>();
};

void Guest::load(HostVulkan& host, const std::string& path) {
  const vk::HostDevice lent = host.lend();
  auto wish = sized<pm_vulkan_requirements>();
  need(pm_vulkan_query_requirements(lent.get_instance_proc_addr, lent.instance,
                                    lent.physical_device, lent.api_version, &wish, &error));
  auto given = sized<pm_vulkan_host>();
  given.api_version = lent.api_version;
  given.get_instance_proc_addr = lent.get_instance_proc_addr;
  given.instance = lent.instance;
  given.physical_device = lent.physical_device;
  given.device = lent.device;
  given.queue = lent.queue;
  given.queue_family = lent.queue_family;
  given.features = wish.features;
  need(pm_device_borrow(&given, &device, &error));
  auto options = sized<pm_load_options>();
  options.paced = 1;
  need(pm_model_open(path.c_str(), &model, &error));
  need(pm_model_load(model, device, &options, &error));
  need(pm_session_open(model, nullptr, &session, &error));
  need(pm_session_say(session, PM_USER, kQuestion, &error));
}

void Guest::keep_talking() {
  auto info = sized<pm_session_info>();
  need(pm_session_describe(session, &info, &error));
  if (info.activity != PM_IDLE) return;
  answered += info.answer_tokens;
  need(pm_session_rewind(session, 0, &error));
  need(pm_session_say(session, PM_USER, kQuestion, &error));
}

/// Milliseconds of each frame; with a guest, its work is in them.
std::vector<double> run_frames(HostVulkan& host, const Arguments& arguments, Guest* guest) {
  std::vector<double> took;
  Clock::time_point next = Clock::now();
  while (int(took.size()) < arguments.frames) {
    const Clock::time_point begun = Clock::now();
    const VkCommandBuffer commands = host.begin_frame();
    pm_ticket ticket = 0;
    if (guest != nullptr)
      guest->need(pm_session_record(guest->session, commands, uint32_t(arguments.budget_ms * 1e3),
                                    &ticket, &guest->error));
    host.end_frame(true);
    host.wait_for_all();
    took.push_back(Milliseconds(Clock::now() - begun).count());
    if (ticket != 0) guest->need(pm_ticket_done(guest->session, ticket, &guest->error));
    if (guest != nullptr) guest->keep_talking();
    next = std::max(
        next + std::chrono::duration_cast<Clock::duration>(Milliseconds(arguments.frame_ms)),
        Clock::now());
    std::this_thread::sleep_until(next);
  }
  return took;
}

double part_of(std::vector<double> values, double part) {
  std::ranges::sort(values);
  return values[size_t(part * double(values.size() - 1))];
}

void measure(const Arguments& arguments) {
  HostVulkan host(false);
  host.create(true);
  Guest guest;
  guest.load(host, arguments.model);
  const std::vector<double> alone = run_frames(host, arguments, nullptr);
  const Clock::time_point start = Clock::now();
  const std::vector<double> together = run_frames(host, arguments, &guest);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  auto info = sized<pm_session_info>();
  guest.need(pm_session_describe(guest.session, &info, &guest.error));
  const double before = part_of(alone, 0.99), after = part_of(together, 0.99);
  const double most = before + arguments.budget_ms + kSpare;
  fmt::print("frames alone       p50 {:.2f} ms, p99 {:.2f} ms ({}, one each {:.1f} ms)\n",
             part_of(alone, 0.5), before, alone.size(), arguments.frame_ms);
  fmt::print("frames with work   p50 {:.2f} ms, p99 {:.2f} ms: {} {:.2f} ms\n",
             part_of(together, 0.5), after, after <= most ? "within" : "over", most);
  fmt::print("answers            {:.1f} tokens/s of at most {:.1f} ms a frame\n",
             double(guest.answered + info.answer_tokens) / seconds, arguments.budget_ms);
}

}  // namespace
}  // namespace pumice::test

int main(int count, char** words) {
  pumice::test::Arguments arguments;
  if (count > 1) arguments.model = words[1];
  if (count > 2) arguments.frame_ms = std::atof(words[2]);
  if (count > 3) arguments.budget_ms = std::atof(words[3]);
  if (count > 4) arguments.frames = std::atoi(words[4]);
  if (count < 2 || count > 5 || !(arguments.frame_ms > 0) || !(arguments.budget_ms > 0) ||
      arguments.frames < 1) {
    fmt::print(stderr, "usage: c_api_pacing MODEL.gguf [FRAME_MS [BUDGET_MS [FRAMES]]]\n");
    return 2;
  }
  if (std::getenv("VK_ICD_FILENAMES") != nullptr)  // a driver is named: is it there?
    if (const std::string reason = pumice::vk::missing_driver(); !reason.empty()) {
      fmt::print("c_api_pacing: {}\n", reason);
      return 77;
    }
  try {
    pumice::test::measure(arguments);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "c_api_pacing: {}\n", failure.what());
    return 1;
  }
  return 0;
}
