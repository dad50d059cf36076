#include "talk.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace pumice::chat {
namespace {

constexpr int64_t kWakeEvery = 33;   ///< ms
constexpr int64_t kTimedEvery = 10;  ///< ms: a token between two of those is not in the graph
constexpr std::chrono::seconds kPatience{20};  ///< that a fresh device is waited for
constexpr size_t kStepsKept = 100000;          ///< durations
constexpr size_t kTimesKept = 120;             ///< tokens in the graph
/// Of the context: a conversation that fills more leaves out its oldest turns, down to the other,
/// so that an answer has room and the model does not read everything anew for every question.
constexpr double kFullest = 0.75, kLeanest = 0.5;

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

Outcome<void> engine(pm_status status, const pm_error& error) {
  if (status == PM_OK) return {};
  return trouble("{}", error.text[0] ? error.text : pm_status_text(status));
}

pm_error fresh_error() {
  pm_error error = {};
  error.struct_size = sizeof error;
  return error;
}

/// Formats differ in the white space before an answer; it says nothing.
std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \n\t"), text.size()));
  return text;
}

/// Where the next question after `from` begins.
size_t next_question(const std::vector<Turn>& turns, size_t from) {
  for (++from; from < turns.size() && turns[from].by_model;) ++from;
  return from;
}

}  // namespace

Talk::Talk(std::function<void()> wake) : wake_(std::move(wake)), thread_([this] { run(); }) {}

Talk::~Talk() {
  {
    std::lock_guard lock(mutex_);
    quit_ = cancel_ = true;
    stopped_ = UINT64_MAX;
  }
  changed_.notify_all();
  thread_.join();
}

void Talk::load(LoadRequest request) {
  std::lock_guard lock(mutex_);
  state_.phase = Phase::Loading;
  state_.path = request.path;
  state_.done = state_.total = 0;
  state_.trouble.clear();
  load_ = std::move(request);
  stopped_ = issued_;
  cancel_ = false;
  changed_.notify_all();
}

uint64_t Talk::answer(AnswerRequest request) {
  std::lock_guard lock(mutex_);
  stopped_ = issued_;
  answer_ = std::move(request);
  state_.trouble.clear();
  if (state_.phase == Phase::Ready) state_.phase = Phase::Reading;
  changed_.notify_all();
  return ++issued_;
}

void Talk::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = issued_;
}

void Talk::pause_for_frame() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !(waiting_ && owed_) || quit_; });
  drawing_ = true;
  changed_.wait(lock, [&] { return !stepping_; });
  frame_begin_ms_ = now_ms();
}

void Talk::resume_after_frame() {
  std::lock_guard lock(mutex_);
  drawing_ = false;
  owed_ = true;
  frame_end_ms_ = now_ms();
  frame_ms_ = frame_end_ms_ - frame_begin_ms_;
  changed_.notify_all();
}

void Talk::lend(const pm_vulkan_host& host, std::string name) {
  std::lock_guard lock(mutex_);
  lent_ = host;
  lent_name_ = std::move(name);
  lends_ = true;
  withdraw_ = wants_ = false;
  changed_.notify_all();
}

void Talk::withdraw() {
  std::unique_lock lock(mutex_);
  lent_.reset();
  withdraw_ = true;
  drawing_ = false;  // a step that waits for the frame must come to its end
  changed_.notify_all();
  changed_.wait(lock, [&] { return !on_lent_; });
}

bool Talk::wants_device() {
  std::lock_guard lock(mutex_);
  return wants_;
}

/// What was lost is not borrowed again.
void Talk::forget_lent() {
  std::lock_guard lock(mutex_);
  if (on_lent_) lent_.reset();
}

bool Talk::withdrawn() {
  std::lock_guard lock(mutex_);
  return withdraw_ && on_lent_;
}

std::vector<float> Talk::take_step_ms() {
  std::lock_guard lock(mutex_);
  return std::exchange(step_ms_, {});
}

/// One step when no frame is being drawn.
pm_status Talk::step(pm_activity* activity, pm_error* error) {
  {
    std::unique_lock lock(mutex_);
    waiting_ = true;
    changed_.wait(lock, [&] { return !drawing_ || quit_; });
    waiting_ = owed_ = false;
    stepping_ = true;
  }
  const auto before = std::chrono::steady_clock::now();
  const pm_status status = pm_session_step(session_, budget_us_, activity, error);
  const std::chrono::duration<float, std::milli> took = std::chrono::steady_clock::now() - before;
  std::lock_guard lock(mutex_);
  stepping_ = false;
  if (step_ms_.size() < kStepsKept) step_ms_.push_back(took.count());
  changed_.notify_all();
  return status;
}

TalkState Talk::state() {
  std::lock_guard lock(mutex_);
  return state_;
}

std::string Talk::take_text(uint64_t ticket) {
  std::lock_guard lock(mutex_);
  return ticket == written_ ? std::exchange(text_, {}) : std::string();
}

/// A frame takes the machine from the engine, so the next one comes when the engine has had its
/// share: the rest of 33 ms, or as long as the frame took where drawing is slow.
void Talk::wake_now(bool at_once) {
  const int64_t now = now_ms(), frame = frame_ms_;
  const int64_t share = std::max(kWakeEvery - frame, frame);
  if (!at_once && (now - woken_ms_ < kWakeEvery || now - frame_end_ms_ < share)) return;
  woken_ms_ = now;
  wake_();
}

void Talk::run() {
  for (;;) {
    std::optional<LoadRequest> load;
    std::optional<AnswerRequest> answer;
    uint64_t ticket = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return quit_ || load_ || answer_ || (withdraw_ && on_lent_); });
      if (quit_) break;
      load = std::exchange(load_, std::nullopt);
      if (!load) answer = std::exchange(answer_, std::nullopt);
      ticket = issued_;
    }
    if (withdrawn()) leave_device();
    if (load) perform_load(*load);
    if (answer) perform_answer(*answer, ticket);
  }
  release();
}

void Talk::release() {
  pm_session_close(std::exchange(session_, nullptr));
  leave_device();
  pm_model_close(std::exchange(model_, nullptr));
}

/// The weights go with it; sessions keep their conversations.
void Talk::leave_device() {
  weights_ = false;
  if (model_) (void)pm_model_unload(model_, nullptr);
  pm_device_close(std::exchange(device_, nullptr));
  std::lock_guard lock(mutex_);
  on_lent_ = false;
  changed_.notify_all();
}

/// The window's device as soon as there is one.
Outcome<void> Talk::borrow_or_wait(pm_vulkan_host& host) {
  std::unique_lock lock(mutex_);
  if (!lent_) {
    wants_ = true;
    wake_now(true);
  }
  changed_.wait_for(lock, kPatience, [&] { return lent_ || quit_; });
  if (!lent_) return trouble("the graphics device was lost, and the window has no fresh one");
  host = *lent_;
  on_lent_ = true;
  return {};
}

Outcome<void> Talk::open_device() {
  const bool lent = [&] {
    std::lock_guard lock(mutex_);
    const bool number = loaded_.device.find_first_not_of("0123456789") == std::string::npos;
    return lends_ && (loaded_.device.empty() ||
                      (!number && lent_name_.find(loaded_.device) != std::string::npos));
  }();
  const char* pipelines = loaded_.pipelines.empty() ? nullptr : loaded_.pipelines.c_str();
  pm_error error = fresh_error();
  if (lent) {
    pm_vulkan_host host = {};
    if (auto there = borrow_or_wait(host); !there) return there;
    host.pipeline_cache = pipelines;
    return engine(pm_device_borrow(&host, &device_, &error), error);
  }
  pm_device_options where = {};
  where.struct_size = sizeof where;
  where.select = loaded_.device.empty() ? nullptr : loaded_.device.c_str();
  where.time_kernels = 1;
  where.pipeline_cache = pipelines;
  return engine(pm_device_open(&where, &device_, &error), error);
}

void Talk::perform_load(const LoadRequest& request) {
  Outcome<void> done = load_model(request);
  if (!done) release();
  std::lock_guard lock(mutex_);
  if (load_) return;  // another was chosen meanwhile
  cancel_ = false;    // a word that came too late is not meant for the next recover()
  state_.phase = done ? Phase::Ready : Phase::Empty;
  state_.trouble = done ? std::string() : std::move(done.error().text);
  state_.tokens = 0;
  state_.token_times.clear();
  state_.families.clear();
  wake_now(true);
}

Outcome<void> Talk::load_model(const LoadRequest& request) {
  release();
  loaded_ = request;
  pm_error error = fresh_error();
  if (auto opened = engine(pm_model_open(request.path.c_str(), &model_, &error), error); !opened)
    return opened;
  if (auto loaded = recover(); !loaded) return loaded;
  if (auto opened = open_session(); !opened) return opened;
  pm_model_info info = {};
  info.struct_size = sizeof info;
  if (auto told = engine(pm_model_describe(model_, &info, &error), error); !told) return told;
  std::lock_guard lock(mutex_);
  state_.model = info.name[0] ? info.name : info.architecture;
  state_.device = info.device ? info.device : "";
  state_.configuration = info.configuration ? info.configuration : "";
  state_.plain = !info.chat_template || !info.chat_template[0];
  return {};
}

/// Brings the weights to a device, also after one was lost or taken back.
Outcome<void> Talk::recover() {
  pm_load_options how = {};
  how.struct_size = sizeof how;
  how.context = loaded_.context;
  how.paced = 1;
  how.deterministic = 1;  // after a lost device the same words go on
  how.user = this;
  how.progress = [](void* user, uint64_t done, uint64_t total) {
    auto& self = *static_cast<Talk*>(user);
    {
      std::lock_guard lock(self.mutex_);
      self.state_.done = done;
      self.state_.total = total;
    }
    self.wake_now(false);
    return self.cancel_ || self.quit_ || self.withdrawn() ? 1 : 0;
  };
  Outcome<void> done;
  bool lost_before = false;
  for (bool again = true; again;) {
    pm_error error = fresh_error();
    pm_status status = PM_OK;
    done = open_device();
    if (done) {
      status = pm_model_load(model_, device_, &how, &error);
      done = engine(status, error);
    }
    weights_ = done.has_value();
    const bool lost = status == PM_DEVICE_LOST && !std::exchange(lost_before, true);
    again = !done && (lost || withdrawn()) && !cancel_ && !quit_;
    if (lost) forget_lent();
    if (!done) leave_device();
  }
  return done;
}

Outcome<void> Talk::open_session() {
  pm_error error = fresh_error();
  auto opened = engine(pm_session_open(model_, nullptr, &session_, &error), error);
  if (!opened) return opened;
  pm_session_info info = {};
  info.struct_size = sizeof info;
  auto told = engine(pm_session_describe(session_, &info, &error), error);
  std::lock_guard lock(mutex_);
  state_.context = info.context;
  return told;
}

void Talk::perform_answer(const AnswerRequest& request, uint64_t ticket) {
  {
    std::lock_guard lock(mutex_);
    text_.clear();
    written_ = ticket;
    state_.token_times.clear();
    state_.ending = PM_NOT_ENDED;
  }
  tokens_seen_ = 0;
  Outcome<void> done;
  if (!session_) done = trouble("no model is loaded: choose one first");
  if (done && !weights_) done = recover();
  if (done) done = synchronise(request);
  if (done) done = write_answer(ticket);
  std::lock_guard lock(mutex_);
  state_.ended = ticket;
  if (state_.phase != Phase::Loading) state_.phase = session_ ? Phase::Ready : Phase::Empty;
  // why there is no model says more than that there is none
  if (!done && (session_ || state_.trouble.empty())) state_.trouble = std::move(done.error().text);
  wake_now(true);
}

/// The session says what the request asks for, without the oldest turns where all do not fit.
/// What was left out once stays out, so that the model need not read the rest again.
Outcome<void> Talk::synchronise(const AnswerRequest& request) {
  const std::vector<Turn>& turns = request.turns;
  if (turns.empty()) return trouble("there is no question to answer");
  const bool same = turns[0].text == first_turn_ && left_out_ < turns.size();
  size_t from = same ? left_out_ : 0;
  for (double most = kFullest;; most = kLeanest, from = next_question(turns, from)) {
    pm_error error = fresh_error();
    const pm_status status = say_all(request, from, error);
    const bool last = next_question(turns, from) >= turns.size();
    if (status != PM_OK && (status != PM_CONTEXT_FULL || last)) return engine(status, error);
    pm_session_info info = {};
    info.struct_size = sizeof info;
    if (auto told = engine(pm_session_describe(session_, &info, &error), error); !told) return told;
    if (status == PM_OK && (last || info.tokens <= most * info.context)) break;
  }
  first_turn_ = turns[0].text;
  left_out_ = from;
  std::lock_guard lock(mutex_);
  state_.left_out = from;
  return {};
}

/// Makes the session's messages the system prompt and the turns from `from` on: what both have is
/// kept, with what the model has read of it.
pm_status Talk::say_all(const AnswerRequest& request, size_t from, pm_error& error) {
  struct Said {
    pm_role role;
    std::string_view text;
  };
  std::vector<Said> wanted;
  if (!request.system.empty()) wanted.push_back({PM_SYSTEM, request.system});
  for (size_t i = from; i < request.turns.size(); ++i)
    wanted.push_back({request.turns[i].by_model ? PM_ASSISTANT : PM_USER, request.turns[i].text});
  uint32_t same = 0;
  for (; same < wanted.size() && same < pm_session_count(session_); ++same) {
    pm_message message = {};
    message.struct_size = sizeof message;
    const pm_status found = pm_session_message(session_, same, &message, &error);
    if (found != PM_OK) return found;
    if (message.role != wanted[same].role || trimmed(message.text) != trimmed(wanted[same].text))
      break;
  }
  pm_status status = pm_session_rewind(session_, same, &error);
  if (status == PM_OK) status = pm_session_set_sampling(session_, &request.sampling, &error);
  for (size_t i = same; status == PM_OK && i < wanted.size(); ++i) {
    const std::string text(wanted[i].text);
    status = pm_session_say(session_, wanted[i].role, text.c_str(), &error);
  }
  return status;
}

Outcome<void> Talk::write_answer(uint64_t ticket) {
  bool lost_before = false;
  for (pm_activity activity = PM_READING; activity != PM_IDLE;) {
    if (stopped_ >= ticket) pm_session_stop(session_);
    if (withdrawn()) leave_device();
    if (!weights_) {
      if (auto again = recover(); !again) return again;
      std::lock_guard lock(mutex_);
      ++state_.recoveries;
    }
    pm_error error = fresh_error();
    const pm_status status = step(&activity, &error);
    if (status == PM_DEVICE_LOST) {
      forget_lent();
      leave_device();
      if (!std::exchange(lost_before, true)) continue;
    }
    if (auto stepped = engine(status, error); !stepped) return stepped;
    collect(activity);
    wake_now(false);
  }
  return {};
}

/// Moves text and figures to where the window reads them.
void Talk::collect(pm_activity activity) {
  std::string text;
  char buffer[512];
  for (size_t length = 0;
       pm_session_read(session_, buffer, sizeof buffer, &length) == PM_OK && length > 0;)
    text.append(buffer, length);
  pm_session_info info = {};
  info.struct_size = sizeof info;
  const bool known = pm_session_describe(session_, &info, nullptr) == PM_OK;
  TokenTime token;
  std::vector<std::string> families = state_.families;  // only this thread changes them
  const uint32_t seen = std::exchange(tokens_seen_, info.answer_tokens);
  const bool more = known && info.answer_tokens > seen;
  const bool timed = more && now_ms() - timed_ms_ >= kTimedEvery;
  if (timed) token = time_of_token(info.seconds_per_token, families);
  std::lock_guard lock(mutex_);
  text_ += text;
  if (state_.phase != Phase::Loading)
    state_.phase = activity == PM_WRITING ? Phase::Writing : Phase::Reading;
  if (!known) return;
  state_.tokens = info.tokens;
  state_.context = info.context;
  state_.unread = info.unread;
  state_.ending = info.ending;
  state_.tokens_per_second = info.tokens_per_second;
  if (more) state_.written += info.answer_tokens - seen;
  if (!timed) return;
  state_.families = std::move(families);
  state_.token_times.push_back(token);
  if (state_.token_times.size() > kTimesKept) state_.token_times.erase(state_.token_times.begin());
}

/// Names come in the order of the first token's costs and keep their places.
TokenTime Talk::time_of_token(double seconds, std::vector<std::string>& families) {
  timed_ms_ = now_ms();
  TokenTime token;
  token.ms = static_cast<float>(seconds * 1e3);
  pm_kernel_time rows[32] = {};
  for (pm_kernel_time& row : rows) row.struct_size = sizeof row;
  uint32_t count = 32;
  if (pm_model_kernel_times(model_, rows, &count, nullptr) != PM_OK) return token;
  for (uint32_t i = 0; i < std::min(count, 32u); ++i) {
    const auto known = std::find(families.begin(), families.end(), rows[i].name);
    auto at = static_cast<size_t>(known - families.begin());
    if (known == families.end() && families.size() < kFamilies)
      families.emplace_back(families.size() + 1 < kFamilies ? rows[i].name : "the others");
    at = std::min(at, kFamilies - 1);
    token.parts[at] += rows[i].microseconds / 1000;
  }
  return token;
}

}  // namespace pumice::chat
