// Brings the cache and the conversation together, chunk by chunk and token by token.
#include "engine/session/session.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace pumice {
namespace {

using Clock = std::chrono::steady_clock;

/// Between two looks whether the reply is to be stopped.
constexpr double kLongestPieceUs = 100e3;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

}  // namespace

Result<void> check_sampling(const SamplingOptions& sampling) {
  struct Row {
    const char* name;
    float value, low, high;
  };
  const Row rows[] = {{"temperature", sampling.temperature, 0.0f, 1000.0f},
                      {"top-p", sampling.top_p, 0.0f, 1.0f},
                      {"min-p", sampling.min_p, 0.0f, 1.0f},
                      {"repeat penalty", sampling.repeat_penalty, 0.01f, 1e6f}};
  for (const Row& row : rows)
    if (!(row.value >= row.low && row.value <= row.high))
      return fail(ErrorCode::BadArgument, "{} is {}; it must be from {} to {}", row.name, row.value,
                  row.low, row.high);
  return {};
}

Result<void> Session::say(ChatRole role, std::string_view text) {
  stop_ = false;
  return conversation_.say(role, text);
}

Result<void> Session::rewind(size_t count) {
  stop_ = false;
  return conversation_.rewind(count);
}

void Session::set_sampling(const SamplingOptions& sampling) {
  sampling_ = sampling;
  fresh_ = true;
}

void Session::forget_cache() {
  in_step_ = false;
  cached_.clear();
  fresh_ = true;
}

uint32_t Session::cached_tokens() const {
  return revision_ == conversation_.revision() ? uint32_t(cached_.size()) : 0;
}

void Session::adopt_cache(uint32_t tokens) {
  in_step_ = false;  // write_cache has ended the engine's, though the counts may look current
  const std::span<const int32_t> all = conversation_.tokens();
  cached_.assign(all.begin(), all.begin() + tokens);
  revision_ = conversation_.revision();
  fresh_ = true;
}

uint32_t Session::unread_tokens() const {
  if (conversation_.activity() == Activity::Idle) return 0;
  return uint32_t(conversation_.tokens().size()) - cached_tokens();
}

// Afterwards the cache holds a true beginning of the conversation, at least one token short of it.
void Session::prepare(Engine& engine) {
  const std::span<const int32_t> tokens = conversation_.tokens();
  size_t common = std::min(cached_.size(), tokens.size());
  if (revision_ != conversation_.revision()) {
    const auto [differs, ignored] =
        std::mismatch(cached_.begin(), cached_.begin() + ptrdiff_t(common), tokens.begin());
    common = size_t(differs - cached_.begin());
    revision_ = conversation_.revision();
    fresh_ = true;
  }
  common = std::min(common, tokens.size() - 1);
  cached_.resize(common);
  engine.rewind(sequence_, uint32_t(common));
  if (engine.length(sequence_) != common) {  // a step that failed half-way
    cached_.clear();
    engine.rewind(sequence_, 0);
  }
  if (!fresh_ && conversation_.activity() == Activity::Writing) return;
  engine.set_sampling(sequence_, sampling_, conversation_.draws());
  engine.set_history(sequence_, tokens);
  fresh_ = false;
}

void Session::count(const Engine& engine) {
  const size_t tokens = step_end_ - cached_.size();
  const double seconds = step_us_ * 1e-6;
  if (conversation_.activity() == Activity::Writing && tokens == 1) {
    figures_.decode_seconds += seconds;
    figures_.host_us += engine.last_host_us();
    ++figures_.steps;
  } else {
    figures_ = {};
    figures_.prompt_tokens = uint32_t(tokens);
    figures_.prompt_seconds = seconds;
  }
  figures_.last_seconds = seconds;
}

// The conversation may have changed while the engine worked on it.
bool Session::step_is_current() const {
  return conversation_.activity() != Activity::Idle && revision_ == conversation_.revision() &&
         step_end_ == conversation_.tokens().size();
}

bool Session::drop_stale_step(Engine& engine) {
  if (stop_.exchange(false)) conversation_.stop();
  if (!in_step_ || step_is_current()) return false;
  engine.discard();
  in_step_ = false;
  return true;
}

Result<bool> Session::begin(Engine& engine) {
  (void)drop_stale_step(engine);
  if (in_step_) return true;
  if (conversation_.activity() == Activity::Idle) return false;
  prepare(engine);
  PUMICE_TRY(engine.begin(sequence_, conversation_.tokens().subspan(cached_.size())));
  in_step_ = true;
  step_end_ = conversation_.tokens().size();
  step_us_ = 0;
  return true;
}

void Session::finish(const Engine& engine, const Sampled& sampled) {
  const bool current = in_step_ && step_is_current();
  in_step_ = false;
  if (!current) return;  // prepare() takes back what the cache holds too much
  count(engine);
  const std::span<const int32_t> tokens = conversation_.tokens();
  cached_.insert(cached_.end(), tokens.begin() + ptrdiff_t(cached_.size()), tokens.end());
  figures_.logits_hash =  // FNV-1a, a word at a time
      (figures_.logits_hash ^ sampled.logits_hash) * 0x100000001B3u;
  conversation_.accept(sampled.token);
  figures_.tokens = uint32_t(conversation_.messages().back().tokens.size());
}

Result<void> Session::advance(Engine& engine, double budget_us) {
  const Clock::time_point start = Clock::now();
  PUMICE_TRY_ASSIGN(const bool begun, begin(engine));
  if (!begun) return {};
  const auto progress = engine.advance(budget_us);
  if (!progress) {
    in_step_ = false;
    return tl::unexpected<Error>(progress.error());
  }
  step_us_ += us_since(start);
  if (!progress->finished) return {};
  in_step_ = false;
  PUMICE_TRY_ASSIGN(const std::span<const Sampled> sampled, engine.take());
  in_step_ = true;
  finish(engine, sampled.front());
  return {};
}

Result<void> Session::step(Engine& engine, double budget_us) {
  const Clock::time_point start = Clock::now();
  for (double used = 0; conversation_.activity() != Activity::Idle;) {
    PUMICE_TRY(advance(engine, std::clamp(budget_us - used, 1.0, kLongestPieceUs)));
    const double now = us_since(start);
    const double last = now - std::exchange(used, now);
    if (used + last > budget_us) break;  // another piece as long would not fit
  }
  return {};
}

}  // namespace pumice
