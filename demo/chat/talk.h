// The engine on its own thread: what to load and what to answer goes in, text and figures come
// out. All but pause_for_frame and withdraw return at once; the window polls state() and
// take_text() when woken. The only files of the window that know the engine's headers are this,
// inspect.* and lend.*.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/pumice_vulkan.h"
#include "outcome.h"

namespace pumice::chat {

struct LoadRequest {
  std::string path;
  std::string device;     ///< index or part of a name; empty = the best
  uint32_t context = 0;   ///< tokens; 0 = the model's own, at most 4096
  std::string pipelines;  ///< file that keeps compiled pipelines; empty = none
};

struct Turn {
  bool by_model;
  std::string text;
};

struct AnswerRequest {
  std::string system;
  std::vector<Turn> turns;  ///< the last one is the question
  pm_sampling sampling;
};

enum class Phase { Empty, Loading, Ready, Reading, Writing };

/// Kinds of kernel that are told apart; the last one holds what is left.
inline constexpr size_t kFamilies = 6;

/// Device time of one token, all of it and by kind of kernel (0 where that is not known).
struct TokenTime {
  float ms = 0;
  std::array<float, kFamilies> parts = {};
};

struct TalkState {
  Phase phase = Phase::Empty;
  std::string path, model, device, configuration;  ///< of what is loaded or being loaded
  bool plain = false;                              ///< the file has no chat format that we know
  uint64_t done = 0, total = 0;                    ///< bytes of a load
  std::string trouble;                             ///< of the last load or answer; empty = well
  uint64_t ended = 0;                              ///< ticket of the last answer that ended
  pm_ending ending = PM_NOT_ENDED;                 ///< of the last one
  uint32_t tokens = 0, context = 0;                ///< of the conversation, and what fits
  uint32_t unread = 0;                             ///< tokens that the model has yet to read
  double tokens_per_second = 0;
  uint64_t written = 0;     ///< tokens of all answers so far
  size_t left_out = 0;      ///< turns that the model does not read because they do not fit
  uint32_t recoveries = 0;  ///< lost devices that an answer survived
  std::vector<TokenTime> token_times;  ///< of the latest tokens, the oldest first
  std::vector<std::string> families;   ///< names of TokenTime::parts, as many as are used
};

class Talk {
 public:
  /// `wake` is called from the thread whenever there is something new, at most 30 times a second.
  explicit Talk(std::function<void()> wake);
  ~Talk();
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  /// Replaces the model; an answer in progress is stopped.
  void load(LoadRequest request);
  void cancel_load() { cancel_ = true; }
  /// The answer's ticket, counted from 1. Stops the answer before.
  uint64_t answer(AnswerRequest request);
  void stop();
  /// Of device time per step: how soon a frame or a stop gets its turn. 8 ms at first.
  void set_budget(uint32_t us) { budget_us_ = us; }

  /// The window's own device, on which models are loaded that ask for no other; before the first
  /// load, and again after every withdraw().
  void lend(const pm_vulkan_host& host, std::string name);
  /// Returns when nothing of the engine is left on it. An answer goes on with the next one.
  void withdraw();
  /// The engine lost the lent device and waits for a fresh one.
  [[nodiscard]] bool wants_device();

  /// Between these the engine rests, so that a frame finds the processor and the device free: the
  /// wait is at most one step. In between it steps as fast as it can, at least once where it has
  /// something to do, so that slow frames do not keep it from its work.
  void pause_for_frame();
  void resume_after_frame();
  /// Milliseconds that each step took since the last call, with the wait for the device.
  [[nodiscard]] std::vector<float> take_step_ms();

  [[nodiscard]] TalkState state();
  /// What was written of that answer since the last call.
  [[nodiscard]] std::string take_text(uint64_t ticket);

 private:
  void run();
  void perform_load(const LoadRequest& request);
  void perform_answer(const AnswerRequest& request, uint64_t ticket);
  Outcome<void> load_model(const LoadRequest& request);
  Outcome<void> open_session();
  Outcome<void> synchronise(const AnswerRequest& request);
  pm_status say_all(const AnswerRequest& request, size_t from, pm_error& error);
  Outcome<void> write_answer(uint64_t ticket);
  Outcome<void> recover();
  Outcome<void> open_device();
  Outcome<void> borrow_or_wait(pm_vulkan_host& host);
  void leave_device();
  void forget_lent();
  bool withdrawn();
  pm_status step(pm_activity* activity, pm_error* error);
  void collect(pm_activity activity);
  TokenTime time_of_token(double seconds, std::vector<std::string>& families);
  void release();
  void wake_now(bool at_once);

  std::function<void()> wake_;
  std::atomic<bool> cancel_ = false, quit_ = false;
  std::atomic<uint64_t> stopped_ = 0;  ///< answers up to this ticket shall end
  std::atomic<uint32_t> budget_us_ = 8000;
  std::atomic<int64_t> frame_end_ms_ = 0, frame_ms_ = 0;  ///< of the last frame
  int64_t frame_begin_ms_ = 0;                            ///< of the window's thread alone

  std::mutex mutex_;  ///< guards what follows, down to text_
  std::condition_variable changed_;
  std::optional<LoadRequest> load_;
  std::optional<AnswerRequest> answer_;
  uint64_t issued_ = 0;   ///< tickets
  uint64_t written_ = 0;  ///< ticket of text_
  TalkState state_;
  std::string text_;
  bool drawing_ = false;   ///< a frame has, or waits for, the machine
  bool stepping_ = false;  ///< the engine has it
  bool waiting_ = false;   ///< for a step
  bool owed_ = false;      ///< no step since the last frame
  std::vector<float> step_ms_;
  std::optional<pm_vulkan_host> lent_;
  std::string lent_name_;
  bool lends_ = false;     ///< there is a window that lends its device
  bool withdraw_ = false;  ///< it wants it back
  bool on_lent_ = false;   ///< the engine has something on it
  bool wants_ = false;

  // of the thread alone
  pm_device* device_ = nullptr;
  pm_model* model_ = nullptr;
  pm_session* session_ = nullptr;
  LoadRequest loaded_;
  bool weights_ = false;      ///< they are on the device
  uint32_t tokens_seen_ = 0;  ///< of the answer, for token_times
  size_t left_out_ = 0;       ///< turns of the conversation whose first words are...
  std::string first_turn_;
  int64_t woken_ms_ = 0, timed_ms_ = 0;
  std::thread thread_;
};

}  // namespace pumice::chat
