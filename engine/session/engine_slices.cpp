// How a step in progress moves on: whole lists where there is no budget, else the parts that the
// pacer plans, each timed.
#include <algorithm>
#include <bit>
#include <chrono>
#include <numeric>

#include "engine/session/engine.h"

namespace pumice {
namespace {

using Clock = std::chrono::steady_clock;

/// A list that took longer than this is run in parts the next time: drivers reset a device that
/// works on one submission for seconds, and other programs wait for it.
constexpr double kMostWholeUs = 250e3, kLongPartUs = 100e3;
/// A call that has less left of its budget does not start another part.
constexpr double kSmallestRest = 0.1;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

}  // namespace

Result<Progress> Engine::advance_step(double budget_us) {
  const Clock::time_point start = Clock::now();
  Progress progress;
  while (true) {
    const double rest_us = budget_us - us_since(start);
    const uint32_t before = progress.segments;
    if (before == 0 || budget_us == kNoBudget || rest_us > kSmallestRest * budget_us)
      PUMICE_TRY(run_next(rest_us, progress));
    if (progress.segments == before) return progress;  // the rest is too short for the next piece
    if (work_.at < work_.command->end()) continue;
    PUMICE_TRY(end_chunk());
    progress.finished = finished();
    if (progress.finished) return progress;
  }
}

// After the last part of a list: the next chunk of tokens, or the end of the step.
Result<void> Engine::end_chunk() {
  PUMICE_TRY(end_list());
  if (work_.next < work_.tokens.size()) return begin_chunk();
  work_.phase = StepPhase::Finished;
  return {};
}

// A whole list or a part of it; nothing where something ran before and the next piece does not fit.
Result<void> Engine::run_next(double budget_us, Progress& progress) {
  const bool whole = work_.at == Place{};
  if (budget_us == kNoBudget && whole && work_.command->whole_us < kMostWholeUs)
    return run_whole(progress);
  const double limit_us = std::min(budget_us, kLongPartUs);
  const SlicePlan plan =
      pacer_.plan(work_.command->list, work_.at, limit_us, overhead_us_, vk::kPartPieces);
  if (plan.us > limit_us && progress.segments != 0 && budget_us != kNoBudget) return {};
  if (!whole || plan.to != work_.command->end() || plan.guessed || plan.us > limit_us)
    return run_part(plan, progress);
  // It fits as it was recorded at the load, which costs the host nothing but the submission.
  PUMICE_TRY(run_whole(progress));
  const double gpu_us = std::max(work_.command->whole_us - overhead_us_, 0.0);
  pacer_.ended(plan, overhead_us_, gpu_us);
  pacer_.measured_sum(work_.command->list, {}, plan.to, gpu_us);
  progress.planned_us += plan.us;
  return {};
}

Result<void> Engine::run_whole(Progress& progress) {
  const Clock::time_point start = Clock::now();
  PUMICE_TRY_ASSIGN(const vk::Ticket ticket, device_->submit(work_.command->id));
  const Clock::time_point submitted = Clock::now();
  PUMICE_TRY(device_->wait(ticket));
  const double waited_us = us_since(submitted);
  work_.command->whole_us = us_since(start);
  work_.command->in_parts = false;
  work_.at = work_.command->end();
  progress.gpu_us += waited_us;
  progress.segments += work_.at.dispatch;
  last_host_us_ += work_.command->whole_us - waited_us;
  return {};
}

Result<void> Engine::run_part(const SlicePlan& plan, Progress& progress) {
  const Clock::time_point start = Clock::now();
  StepCommand& command = *work_.command;
  command.in_parts = true;
  if (work_.at == Place{}) command.parts_us = 0;
  PUMICE_TRY_ASSIGN(const vk::PartId part, device_->submit_part({command.id, work_.at, plan.to}));
  const double host_us = us_since(start);
  auto times = device_->wait_part(part);
  const double wall_us = us_since(start);
  double gpu_us = std::max(wall_us - overhead_us_, 0.0);
  pacer_.ended(plan, overhead_us_, gpu_us);
  if (times && !times->empty()) {
    gpu_us = std::accumulate(times->begin(), times->end(), 0.0);
    pacer_.measured(command.list, work_.at, plan.to, *times);
    overhead_us_ += 0.1 * (std::max(wall_us - gpu_us, 0.0) - overhead_us_);
  } else {
    pacer_.measured_sum(command.list, work_.at, plan.to, gpu_us);
  }
  device_->end_part(part);
  PUMICE_TRY(std::move(times));
  work_.at = plan.to;
  command.parts_us += wall_us;
  if (work_.at == command.end()) command.whole_us = command.parts_us;  // once slow is not for ever
  progress.gpu_us += gpu_us;
  progress.planned_us += plan.us;
  progress.segments += plan.pieces;
  last_host_us_ += host_us;
  return {};
}

// All shapes that steps of one sequence have, recorded; the short ones run in parts, on the scrap
// sequence, so that their costs are known before the first frame.
Result<void> Engine::warm_up_paced() {
  const uint32_t least = plan_.options.max_sequences == 1 ? 8 : 2;
  const uint32_t most = std::min(std::bit_floor(plan_.options.max_chunk), plan_.max_columns);
  for (uint32_t tokens = least; tokens <= most; tokens *= 2)
    for (const Ending ending : {Ending::None, Ending::Sample})
      PUMICE_TRY(command({tokens, ending == Ending::None ? 0u : 1u, ending, false}));
  for (const uint32_t tokens : {1u, least}) {
    if (tokens > plan_.max_columns) continue;
    PUMICE_TRY_ASSIGN(work_.command, command({tokens, 1, Ending::Sample, false}));
    write_columns({}, tokens);
    for (work_.at = {}; work_.at < work_.command->end();) {
      Progress ignored;
      PUMICE_TRY(run_part(
          pacer_.plan(work_.command->list, work_.at, kLongPartUs, overhead_us_, vk::kPartPieces),
          ignored));
    }
    ++submissions_[0];
  }
  return {};
}

}  // namespace pumice
