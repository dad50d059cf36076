// First the estimate, then the answer, then the clock.
#include "tools/bench/kernel_times.h"

#include <algorithm>
#include <cmath>

#include "engine/vk/pipeline_name.h"

namespace pumice::bench {
namespace {

constexpr uint32_t kMostCopies = 64;
constexpr double kMostProducts = 1 << 28;  ///< that the reference computes for a case

uint32_t copies_of(const vk::Device& device, const test::Case& item, uint64_t walk) {
  if (item.weight_bytes <= 0) return 1;
  double copies = std::ceil(double(walk) / item.weight_bytes);
  const uint64_t free = device.capabilities().device_memory_free;
  if (free != 0) copies = std::min(copies, double(free) / 2 / item.weight_bytes);
  return uint32_t(std::clamp(copies, 1.0, double(kMostCopies)));
}

/// The dispatches of a list that are the case; the others prepare its inputs or check logits.
Result<std::vector<Dispatch>> dispatches_of(const test::GraphRunner& runner, const test::Case& item,
                                            const StepShape& shape) {
  PUMICE_TRY_ASSIGN(std::vector<Dispatch> list, runner.dispatches(shape));
  std::erase_if(
      list, [&](const Dispatch& dispatch) { return !dispatch.kernel.starts_with(item.kernels); });
  if (!list.empty()) return list;
  return fail(ErrorCode::BadArgument, "{}: nothing that begins with {} runs for it", item.name,
              item.kernels);
}

Result<void> check_answer(test::GraphRunner& runner, const test::Case& item) {
  PUMICE_TRY_ASSIGN(const std::string wrong, test::check(runner, item, kMostProducts));
  if (wrong.empty()) return {};
  return fail(ErrorCode::Driver, "{}: its answer is wrong, so it was not timed: {}", item.name,
              wrong);
}

Result<KernelStatistics> statistics_of(vk::Device& device, const std::string& pipeline) {
  if (!device.capabilities().pipeline_statistics) return KernelStatistics{};
  PUMICE_TRY_ASSIGN(const auto rows, device.pipeline_statistics());
  const auto kernels = neutral_statistics(rows);
  const auto found = kernels.find(pipeline);
  return found == kernels.end() ? KernelStatistics{} : found->second;
}

}  // namespace

Result<KernelTimes> time_case(vk::Device& device, Stopwatch& stopwatch, const test::Case& item,
                              const KernelEffort& effort) {
  if (item.file == nullptr)
    return fail(ErrorCode::BadArgument, "{}: its weights cannot be made", item.name);
  const uint32_t copies = copies_of(device, item, effort.walk);
  PUMICE_TRY_ASSIGN(const auto runner, test::GraphRunner::create(
                                           device, *item.file, test::replicated(item.graph, copies),
                                           item.tier, item.options));
  test::set_inputs(*runner, item);
  const bool elsewhere = !item.timed_tokens.empty();
  const StepShape shape = elsewhere ? item.timed_shape : item.shape;
  PUMICE_TRY_ASSIGN(std::vector<Dispatch> list, dispatches_of(*runner, item, shape));
  const size_t dispatches = list.size() / copies;  // of a run; copies follow one another
  if (elsewhere) runner->set_tokens(item.timed_tokens);
  double each = 0;
  for (size_t i = 0; i < dispatches; ++i) {
    auto seconds = stopwatch.estimate(list[i], effort.watchdog);
    if (!seconds) return fail_in(item.name, std::move(seconds.error()));
    each += *seconds;
  }
  PUMICE_TRY(check_answer(*runner, item));
  if (elsewhere) {
    runner->set_tokens(item.timed_tokens);
    PUMICE_TRY(runner->run(shape));
  }
  KernelTimes times;
  times.pipeline = vk::pipeline_name(list.front().kernel, list.front().constants);
  times.dispatches = uint32_t(dispatches);
  const size_t timed = timed_at_once(copies, each, effort.watchdog);
  list.resize(dispatches * timed);
  PUMICE_TRY_ASSIGN(times.seconds, stopwatch.time(list, effort.effort));
  for (double& seconds : times.seconds) seconds *= double(dispatches);
  times.settled = relative_width(summarise(times.seconds)) < effort.effort.interval;
  times.cached = item.weight_bytes * double(timed) < double(effort.walk);
  PUMICE_TRY_ASSIGN(times.statistics, statistics_of(device, times.pipeline));
  return times;
}

}  // namespace pumice::bench
