// A model file and, when loaded, the engine that holds its weights, shared by several sessions:
// one lock, a place for each, and the way back after a lost device.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/session/session.h"

namespace pumice {

struct ModelUsage {
  bool loaded = false;
  uint32_t free_places = 0;
  std::string device, configuration;
  uint64_t device_bytes = 0, allocations = 0, pipelines = 0;
  double load_seconds = 0;
};

class SharedModel : public std::enable_shared_from_this<SharedModel> {
 public:
  /// A session's sequence, given back at the end.
  class Place {
   public:
    Place(std::shared_ptr<SharedModel> model, uint32_t sequence)
        : model_(std::move(model)), sequence_(sequence) {}
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    [[nodiscard]] uint32_t sequence() const { return sequence_; }
    [[nodiscard]] SharedModel& model() const { return *model_; }

   private:
    friend class SharedModel;
    std::shared_ptr<SharedModel> model_;
    uint32_t sequence_;
    uint64_t load_ = 0;                ///< that the session's cache belongs to
    std::optional<Sampled> finished_;  ///< what its step gave while another session was served
    double worked_us_ = 0;             ///< on it, meanwhile
    bool dropped_ = false;             ///< its step ended without a result
  };

  explicit SharedModel(std::shared_ptr<const GgufFile> file) : file_(std::move(file)) {}

  [[nodiscard]] const GgufFile& file() const { return *file_; }
  /// Unloads first. There will be a place for every open session, whatever the options say.
  /// BadArgument: a host's tickets are out.
  [[nodiscard]] Result<void> load(LoadOptions options);
  [[nodiscard]] Result<void> unload();
  [[nodiscard]] ModelUsage usage();

  /// BadArgument: the model is not loaded. OutOfMemory: all places are taken.
  [[nodiscard]] Result<std::unique_ptr<Place>> take_place();
  /// The tokenizer and the context of the loaded model.
  [[nodiscard]] Result<std::pair<Tokenizer, uint32_t>> text_of_loaded();
  /// Session::step, one session at a time: the engine's step that another session has begun is
  /// finished first, out of this budget. After another load the conversation is read again.
  [[nodiscard]] Result<void> step(Place& place, Session& session, double budget_us);
  /// The next part of the session's work, in a command buffer of the host that lent the device
  /// (Engine::record); of another session's where that one has begun a token. Ticket 0: nothing was
  /// written.
  [[nodiscard]] Result<HostSlice> record(Place& place, Session& session, vk::HostCommands commands,
                                         double budget_us);
  /// Engine::report, through any session: the one whose step it was hears of it at its next call.
  [[nodiscard]] Result<void> report(Place& place, Session& session, uint64_t ticket, bool done);
  /// A saved session (session_state.h). `with_cache`: also what the model has read, where it is
  /// loaded and has read something.
  [[nodiscard]] Result<std::vector<std::byte>> save(const Place& place, const Session& session,
                                                    bool with_cache);
  /// A cache that does not fit this model as it is loaded is left unused.
  [[nodiscard]] Result<void> restore(Place& place, Session& session,
                                     std::span<const std::byte> state);
  /// Device time of the last decoded token by label (vk::DeviceOptions::timestamps).
  [[nodiscard]] Result<std::vector<vk::Timing>> timings();

 private:
  [[nodiscard]] Result<void> check_loaded() const;
  [[nodiscard]] Result<void> check_no_tickets() const;
  [[nodiscard]] Result<uint64_t> fingerprint();
  void catch_up(Place& place, Session& session);
  [[nodiscard]] Result<double> finish_other(const Place& place, double budget_us);
  void give_back(const Place& place);

  std::mutex mutex_;
  std::shared_ptr<const GgufFile> file_;
  std::unique_ptr<Engine> engine_;
  Place* stepping_ = nullptr;  ///< whose step the engine has in progress
  uint64_t loads_ = 0;
  bool timed_ = false, stepped_ = false;  ///< kernels have timestamps; a token was decoded
  std::vector<bool> taken_;               ///< by sequence
  uint64_t fingerprint_ = 0;
  bool has_fingerprint_ = false;
};

}  // namespace pumice
