// A step in the command buffers of a host: slices go out with tickets, and come back done or
// discarded.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "engine/session/engine.h"
#include "shaders/shared/push.h"

namespace pumice {

Result<HostSlice> Engine::record(vk::HostCommands commands, double budget_us) {
  if (work_.phase != StepPhase::Running)
    return fail(ErrorCode::BadArgument, "no step is in progress: begin one first");
  if (commands.handle == nullptr || !(budget_us > 0))
    return fail(ErrorCode::BadArgument,
                "a command buffer and a positive budget are needed, not {} and {} us",
                commands.handle == nullptr ? "null" : "one", budget_us);
  if (plan_.options.taps.statistics != graph::Statistics::None)
    return fail(ErrorCode::Unsupported,
                "an engine that gathers statistics runs every part of a step exactly once: advance "
                "it instead");
  const bool waits = gap_ || work_.at == work_.command->end();
  if (waits || slices_out_.size() == vk::kParts) return HostSlice{};
  SliceOut slice;
  work_.command->in_parts = true;
  slice.command = work_.command;
  slice.from = work_.at;
  slice.plan = pacer_.plan(slice.command->list, slice.from, budget_us, 0, vk::kPartPieces);
  PUMICE_TRY_ASSIGN(slice.part,
                    device_->write_part(commands, {slice.command->id, slice.from, slice.plan.to}));
  slice.ticket = ++tickets_;
  work_.at = slice.plan.to;
  slices_out_.push_back(slice);
  return HostSlice{slice.ticket, slice.plan.us, slice.plan.pieces};
}

Result<double> Engine::report(uint64_t ticket, bool done) {
  const auto slice = std::find_if(slices_out_.begin(), slices_out_.end(), [&](const SliceOut& row) {
    return row.ticket == ticket && row.state == SliceOut::State::Out;
  });
  if (slice == slices_out_.end())
    return fail(ErrorCode::BadArgument,
                "ticket {} is not out: it was reported already, or never given", ticket);
  slice->state = done ? SliceOut::State::Done : SliceOut::State::Discarded;
  return ended_by_error(settle_all());
}

// In the order in which they were written, as far as reports have come.
Result<double> Engine::settle_all() {
  double us = 0;
  std::optional<Error> error;
  while (!slices_out_.empty() && slices_out_.front().state != SliceOut::State::Out) {
    auto settled = settle(slices_out_.front());
    if (settled) us += *settled;
    if (!settled && !error) error = std::move(settled.error());
    slices_out_.erase(slices_out_.begin());
  }
  if (error) {
    if (slices_out_.empty()) gap_ = false;  // with the step: the next would wait for ever
    return tl::unexpected(std::move(*error));
  }
  if (slices_out_.empty()) PUMICE_TRY(go_on_from_reports());
  return us;
}

Result<double> Engine::settle(const SliceOut& slice) {
  if (slice.state == SliceOut::State::Discarded) {
    if (!gap_) gap_at_ = slice.from;
    ran_past_gap_ = gap_ && ran_past_gap_;
    gap_ = true;
    device_->end_part(slice.part);
    return 0.0;
  }
  ran_past_gap_ = gap_;
  const auto times = device_->wait_part(slice.part);
  device_->end_part(slice.part);  // their place, not yet their values, is free
  PUMICE_TRY(times);
  const PacedList& list = slice.command->list;
  if (times->empty()) {  // no clock: the plan is believed, or a guess would stay one for ever
    pacer_.measured_sum(list, slice.from, slice.plan.to, slice.plan.us / pacer_.margin());
    return slice.plan.us;
  }
  const double us = std::accumulate(times->begin(), times->end(), 0.0);
  pacer_.ended(slice.plan, 0, us);
  pacer_.measured(list, slice.from, slice.plan.to, *times);
  return us;
}

// No ticket is out.
Result<void> Engine::go_on_from_reports() {
  const bool gap = std::exchange(gap_, false);
  if (work_.phase != StepPhase::Running) {  // the step was discarded before the reports came
    believe_counts();
    return {};
  }
  if (!gap) return work_.at == work_.command->end() ? end_chunk() : Result<void>();
  // Where nothing ran past the gap the memory is as it was there, and every dispatch will have run
  // once; else the list starts again.
  work_.at = ran_past_gap_ ? Place{} : gap_at_;
  if (ran_past_gap_) believe_counts();
  return {};
}

// After work that may have been left half-way: what the device has counted so far is right.
void Engine::believe_counts() {
  const std::span<const std::byte> bytes = device_->mapped(buffers_.ids[plan_.result.buffer]);
  for (size_t column = 0; column < submissions_.size(); ++column) {
    shared::SampleResult result;
    std::memcpy(&result, bytes.data() + column * sizeof(result), sizeof(result));
    submissions_[column] = result.sequence;
  }
}

}  // namespace pumice
