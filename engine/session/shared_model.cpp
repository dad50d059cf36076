// Everything under one lock.
#include "engine/session/shared_model.h"

#include <algorithm>
#include <utility>

#include "engine/session/session_state.h"

namespace pumice {

SharedModel::Place::~Place() {
  model_->give_back(*this);
}

Result<uint64_t> SharedModel::fingerprint() {
  if (has_fingerprint_) return fingerprint_;
  PUMICE_TRY_ASSIGN(fingerprint_, model_fingerprint(*file_));
  has_fingerprint_ = true;
  return fingerprint_;
}

Result<void> SharedModel::load(LoadOptions options) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(check_no_tickets());
  engine_.reset();
  stepping_ = nullptr;
  ++loads_;
  stepped_ = false;
  timed_ = options.device.timestamps;
  const auto highest = std::find(taken_.rbegin(), taken_.rend(), true);
  options.run.max_sequences =
      std::max({options.run.max_sequences, uint32_t(taken_.rend() - highest), 1u});
  options.file = file_;
  PUMICE_TRY_ASSIGN(engine_, Engine::load(options));
  taken_.resize(options.run.max_sequences);
  return {};
}

Result<void> SharedModel::unload() {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(check_no_tickets());
  engine_.reset();
  stepping_ = nullptr;
  return {};
}

ModelUsage SharedModel::usage() {
  const std::lock_guard lock(mutex_);
  ModelUsage usage;
  if (!engine_) return usage;
  const vk::DeviceStatistics& statistics = engine_->device().statistics();
  usage.loaded = true;
  usage.free_places = uint32_t(std::count(taken_.begin(), taken_.end(), false));
  usage.device = engine_->device().capabilities().device_name;
  usage.configuration = describe(engine_->plan().policy);
  usage.device_bytes = statistics.bytes_allocated;
  usage.allocations = statistics.allocations;
  usage.pipelines = statistics.pipelines_created;
  usage.load_seconds = engine_->load_times().total_ms / 1000.0;
  return usage;
}

Result<void> SharedModel::check_loaded() const {
  if (engine_) return {};
  return fail(ErrorCode::BadArgument, "{}: the model is not loaded on a device", file_->name());
}

// What a host's command buffers use must stay.
Result<void> SharedModel::check_no_tickets() const {
  if (!engine_ || engine_->tickets_out() == 0) return {};
  return fail(ErrorCode::BadArgument,
              "{} tickets are out: report each as done or discarded before this call",
              engine_->tickets_out());
}

Result<std::unique_ptr<SharedModel::Place>> SharedModel::take_place() {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(check_loaded());
  const auto place = std::find(taken_.begin(), taken_.end(), false);
  if (place == taken_.end())
    return fail(ErrorCode::OutOfMemory,
                "all {} sessions that the model was loaded for are open; close one, or load it for "
                "more",
                taken_.size());
  auto made = std::make_unique<Place>(shared_from_this(), uint32_t(place - taken_.begin()));
  made->load_ = loads_;
  *place = true;
  return made;
}

void SharedModel::give_back(const Place& place) {
  const std::lock_guard lock(mutex_);
  taken_[place.sequence_] = false;
  if (stepping_ == &place) stepping_ = nullptr;
  if (engine_) engine_->rewind(place.sequence_, 0);  // a step in progress ends with it
}

Result<std::pair<Tokenizer, uint32_t>> SharedModel::text_of_loaded() {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(check_loaded());
  if (!engine_->tokenizer().has_text())
    return fail(ErrorCode::Unsupported,
                "{}: its vocabulary has ids but no texts, so nobody can talk with it",
                file_->name());
  return std::pair(engine_->tokenizer(), engine_->plan().options.context);
}

// What happened to the session's step since its last call.
void SharedModel::catch_up(Place& place, Session& session) {
  if (place.load_ != loads_) {
    session.forget_cache();
    session.conversation().set_context(engine_->plan().options.context);
    place.load_ = loads_;
  }
  session.add_time(std::exchange(place.worked_us_, 0));
  if (std::exchange(place.dropped_, false)) session.drop_step();
  if (const auto finished = std::exchange(place.finished_, std::nullopt))
    session.finish(*engine_, *finished);
}

// Returns what is left of the budget.
Result<double> SharedModel::finish_other(const Place& place, double budget_us) {
  if (stepping_ == nullptr || stepping_ == &place) return budget_us;
  if (!engine_->in_step()) {
    stepping_ = nullptr;
    return budget_us;
  }
  Place& other = *stepping_;
  const auto progress = engine_->advance(budget_us);
  if (progress && !progress->finished) {
    other.worked_us_ += progress->gpu_us;
    return 0.0;
  }
  stepping_ = nullptr;
  other.dropped_ = true;
  PUMICE_TRY(progress);
  PUMICE_TRY_ASSIGN(const std::span<const Sampled> sampled, engine_->take());
  other.dropped_ = false;
  other.finished_ = sampled.front();
  other.worked_us_ += progress->gpu_us;
  return budget_us - progress->gpu_us;
}

Result<void> SharedModel::step(Place& place, Session& session, double budget_us) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(check_loaded());
  PUMICE_TRY(check_no_tickets());
  catch_up(place, session);
  PUMICE_TRY_ASSIGN(const double left, finish_other(place, std::max(budget_us, 1.0)));
  if (left <= 0) return {};
  stepping_ = &place;  // also where it throws
  const Result<void> stepped = session.step(*engine_, left);
  stepping_ = session.in_step() ? &place : nullptr;
  stepped_ |= session.figures().steps > 0;
  return stepped;
}

Result<std::vector<std::byte>> SharedModel::save(const Place& place, const Session& session,
                                                 bool with_cache) {
  const std::lock_guard lock(mutex_);
  if (with_cache) PUMICE_TRY(check_no_tickets());
  PUMICE_TRY_ASSIGN(const uint64_t model, fingerprint());
  SavedCache cache;
  cache.tokens = engine_ && place.load_ == loads_ ? session.cached_tokens() : 0;
  if (!with_cache || cache.tokens == 0 || engine_->length(place.sequence_) != cache.tokens)
    return save_session(session, model);
  cache.layout = engine_->cache_layout();
  PUMICE_TRY_ASSIGN(cache.bytes, engine_->read_cache(place.sequence_));
  return save_session(session, model, &cache);
}

Result<void> SharedModel::restore(Place& place, Session& session,
                                  std::span<const std::byte> state) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY_ASSIGN(const uint64_t model, fingerprint());
  if (engine_) catch_up(place, session);
  PUMICE_TRY_ASSIGN(const auto cache, load_session(session, model, state));
  if (!cache || !engine_ || cache->layout != engine_->cache_layout()) return {};
  if (engine_->tickets_out() != 0) return {};  // whose commands may write where it would go
  const auto written = engine_->write_cache(place.sequence_, cache->tokens, cache->bytes);
  if (written) session.adopt_cache(cache->tokens);  // else it is read again, or fails there
  return {};
}

Result<std::vector<vk::Timing>> SharedModel::timings() {
  const std::lock_guard lock(mutex_);
  if (!engine_ || !timed_ || !stepped_) return std::vector<vk::Timing>();
  return engine_->timings({1, 1, Ending::Sample, false});
}

}  // namespace pumice
