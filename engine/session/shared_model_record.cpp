// Sessions whose work goes into a host's command buffers.
#include "engine/session/shared_model.h"

namespace pumice {

Result<HostSlice> SharedModel::record(Place& place, Session& session, vk::HostCommands commands,
                                      double budget_us) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(check_loaded());
  catch_up(place, session);
  if (stepping_ == &place && session.drop_stale_step(*engine_)) stepping_ = nullptr;
  // One step at a time: with tickets out, and where another session has begun one, that one is
  // what goes on, whoever asks.
  const bool others = stepping_ != nullptr && stepping_ != &place;
  if (engine_->tickets_out() != 0 || (others && engine_->in_step())) {
    if (!engine_->in_step()) return HostSlice{};  // discarded; its reports are waited for
    return engine_->record(commands, budget_us);
  }
  PUMICE_TRY_ASSIGN(const bool begun, session.begin(*engine_));
  stepping_ = begun ? &place : nullptr;
  if (!begun) return HostSlice{};
  return engine_->record(commands, budget_us);
}

Result<void> SharedModel::report(Place& place, Session& session, uint64_t ticket, bool done) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(check_loaded());
  const bool in_step = engine_->in_step();
  const auto worked_us = engine_->report(ticket, done);
  if (!worked_us && engine_->in_step()) return tl::unexpected<Error>(worked_us.error());
  Result<void> reported;
  if (Place* owner = stepping_; owner != nullptr && in_step) {
    if (worked_us) owner->worked_us_ += *worked_us;
    if (engine_->finished()) {
      PUMICE_TRY_ASSIGN(const std::span<const Sampled> sampled, engine_->take());
      owner->finished_ = sampled.front();
      stepped_ = true;
    }
    owner->dropped_ = !worked_us;
    if (!engine_->in_step()) stepping_ = nullptr;
  }
  catch_up(place, session);
  PUMICE_TRY(worked_us);
  return {};
}

}  // namespace pumice
