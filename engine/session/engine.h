// A model on a device: loaded once, then stepped. Owns the device, the plan, all buffers and the
// recorded commands; knows sequences only as rows of a page table. Text is session.h's business.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/architectures.h"
#include "engine/schedule/lower.h"
#include "engine/session/statistics.h"
#include "engine/session/step.h"
#include "engine/session/weight_upload.h"
#include "engine/text/tokenizer.h"
#include "engine/vk/device.h"

namespace pumice {

/// How a token is picked; the defaults are the greedy choice.
struct SamplingOptions {
  float temperature = 0.0f;     ///< 0 = greedy
  uint32_t top_k = 0;           ///< 0 = off
  float top_p = 1.0f;           ///< 1 = off
  float min_p = 0.0f;           ///< 0 = off
  float repeat_penalty = 1.0f;  ///< 1 = off
  uint32_t repeat_last = 64;    ///< tokens that the penalty looks back on, at most 64
  uint64_t seed = 0;
};

using OpenDevice =
    std::function<Result<std::unique_ptr<vk::Device>>(const vk::DeviceOptions& options)>;

struct LoadOptions {
  std::string model;                     ///< path of a GGUF file (any part of a split one)
  std::shared_ptr<const GgufFile> file;  ///< an open one instead
  RunOptions run;
  vk::DeviceOptions device;
  LoadProgress progress;
  /// Budgets will be given: everything that steps of one sequence need is made before load
  /// returns, and the costs of short ones are measured.
  bool paced = false;
  std::string profiles;  ///< folder of device profiles (device_profile.h); empty = none are asked
  /// Every matrix is decoded to f32 on the device, so that set_weight is exact for any model.
  bool weights_as_f32 = false;
  OpenDevice open_device = vk::Device::open;  ///< tests plan faults and lower limits here
};

/// Logits rows as they lie in the memory that the device writes: valid until the engine's next
/// step.
struct LogitsView {
  const float* data = nullptr;
  uint32_t count = 0, n_vocab = 0;
  uint32_t stride = 0;  ///< floats from one row to the next

  [[nodiscard]] std::span<const float> row(uint32_t i) const {
    return {data + uint64_t{i} * stride, n_vocab};
  }
};

struct LoadTimes {
  double open_ms = 0, device_ms = 0, upload_ms = 0, pipelines_ms = 0, total_ms = 0;
};

class Engine {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Engine>> load(const LoadOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] const ModelPlan& plan() const { return plan_; }
  [[nodiscard]] const model::Config& config() const { return config_; }
  [[nodiscard]] const Tokenizer& tokenizer() const { return *tokenizer_; }
  [[nodiscard]] const GgufFile& file() const { return *file_; }
  [[nodiscard]] vk::Device& device() { return *device_; }
  [[nodiscard]] const LoadTimes& load_times() const { return load_times_; }
  /// Weight bytes that one decode step reads (embedding table excluded).
  [[nodiscard]] uint64_t weight_bytes_per_step() const { return weight_bytes_per_step_; }
  [[nodiscard]] uint32_t dispatches_per_step() const { return dispatches_per_step_; }

  /// Tokens of a sequence that are in the cache.
  [[nodiscard]] uint32_t length(uint32_t sequence) const { return sequences_[sequence].length; }
  /// Forgets all tokens from position `length` on. Ends a step in progress of this sequence.
  void rewind(uint32_t sequence, uint32_t length);
  /// `draws`: tokens that were sampled with this seed before; the random numbers go on there.
  void set_sampling(uint32_t sequence, const SamplingOptions& options, uint32_t draws = 0);
  /// Tokens that the repetition penalty sees, oldest first; a prompt's tail, usually.
  void set_history(uint32_t sequence, std::span<const int32_t> tokens);

  // ---- a step in slices: begin, advance until finished, take. One step at a time; the calls that
  // ---- run whole steps (below) are refused from begin to take or discard.
  /// Takes on the tokens (at least one) as the continuation of a sequence; they run in as many
  /// chunks as append_and_sample would use, and the last chunk samples the next token.
  /// BadArgument: no tokens, an id outside the vocabulary, a step in progress. ContextFull: the
  /// sequence would become longer than its context; nothing has changed then.
  [[nodiscard]] Result<void> begin(uint32_t sequence, std::span<const int32_t> tokens);
  /// One token each for several sequences; samples one each.
  [[nodiscard]] Result<void> begin(std::span<const StepToken> tokens);
  /// Runs what fits the budget (microseconds of this call) and waits for it, without spinning; at
  /// least one piece, so that calls come to an end. Bits do not depend on how a step was sliced.
  /// An error ends the step: its sequences then hold what length() says.
  [[nodiscard]] Result<Progress> advance(double budget_us = kNoBudget);
  /// What a finished step sampled, one per sequence in the order of begin; valid until the next
  /// begin. BadArgument: the step is not finished.
  [[nodiscard]] Result<std::span<const Sampled>> take();
  /// Ends a step in progress without a result. Chunks of its tokens that had been finished stay in
  /// the cache: length() counts them.
  void discard();
  // ---- the same in command buffers of a host that lent the device, instead of advance
  /// Writes the next part of the step into a command buffer, outside of a render pass; bound
  /// compute state is lost. The host submits it to the queue of the device, in the order of the
  /// tickets, or never. Nothing is written (ticket 0) at the end of a list before all its tickets
  /// are reported, and while vk::kParts of them are out. Afterwards in_step() still holds until
  /// the last report has come: see finished(). Unsupported: an engine that gathers statistics.
  [[nodiscard]] Result<HostSlice> record(vk::HostCommands commands, double budget_us);
  /// `done`: the queue has finished the command buffer (its fence was waited for); otherwise it
  /// will never be submitted, and what was to follow is written again. In any order, each once.
  /// Answers the microseconds that the device worked on the slices which this report settles.
  /// BadArgument: a ticket that is not out. An error of the device or of the model ends the step.
  [[nodiscard]] Result<double> report(uint64_t ticket, bool done);
  /// Tickets that wait for a report; no step may begin before there are none.
  [[nodiscard]] size_t tickets_out() const { return slices_out_.size(); }
  /// The step is complete: take() gives what it sampled.
  [[nodiscard]] bool finished() const { return work_.phase == StepPhase::Finished; }

  /// From begin to take or discard.
  [[nodiscard]] bool in_step() const { return work_.phase != StepPhase::None; }

  /// Appends tokens without asking for logits.
  [[nodiscard]] Result<void> append(uint32_t sequence, std::span<const int32_t> tokens);
  /// Appends tokens (at least one) and samples the next.
  [[nodiscard]] Result<Sampled> append_and_sample(uint32_t sequence,
                                                  std::span<const int32_t> tokens);
  /// One token each for several sequences, stepped together; samples one each.
  [[nodiscard]] Result<std::vector<Sampled>> step(std::span<const StepToken> tokens);
  /// Appends tokens and shows the logits rows after the last `rows` of them, without a copy. As
  /// many as 1..most_rows(), all from one step.
  [[nodiscard]] Result<LogitsView> append_and_view(uint32_t sequence,
                                                   std::span<const int32_t> tokens, uint32_t rows);
  /// Logits rows that one step can keep: RunOptions::max_outputs as far as the device allows.
  [[nodiscard]] uint32_t most_rows() const {
    return std::min(plan_.options.max_outputs, plan_.options.max_chunk);
  }
  /// Appends tokens and returns the logits row after each: n_vocab floats per token.
  [[nodiscard]] Result<std::vector<float>> logits(uint32_t sequence,
                                                  std::span<const int32_t> tokens);

  // ---- for saved sessions
  /// Bytes that the cache holds of `length` tokens, in whole pages.
  [[nodiscard]] uint64_t cache_bytes(uint32_t length) const;
  /// Differs between engines whose caches differ in anything but their content.
  [[nodiscard]] uint64_t cache_layout() const;
  /// The cache of a sequence: cache_bytes(length(sequence)).
  [[nodiscard]] Result<std::vector<std::byte>> read_cache(uint32_t sequence);
  /// Gives a sequence what read_cache of a sequence of `length` tokens, of an engine with the same
  /// layout, has returned. BadArgument: another number of bytes. ContextFull: no room.
  [[nodiscard]] Result<void> write_cache(uint32_t sequence, uint32_t length,
                                         std::span<const std::byte> bytes);

  // ---- for the quantiser
  /// Layers whose matrix inputs this engine observes (RunOptions::taps).
  [[nodiscard]] const graph::TappedLayers& tapped_layers() const { return tapped_layers_; }
  /// What every step since the load, or since the last call, added: all tokens of all sequences
  /// once each, rewound ones too. The next step starts from zero. Empty without taps.
  [[nodiscard]] Result<std::vector<TapStatistics>> take_statistics();
  /// Replaces all values of a tensor that lies on the device as f32, f16 or bf16 (rounded to it):
  /// shape as in the file, shape[0] fastest. Where the model uses a tensor twice (tied embeddings)
  /// both uses change. The cache keeps what the old weights left there: rewind.
  /// NotFound: no such tensor in use. BadArgument: another count, NaN or infinity. Unsupported: it
  /// is loaded as a quant type (see LoadOptions::weights_as_f32).
  [[nodiscard]] Result<void> set_weight(std::string_view name, std::span<const float> values);

  /// Microseconds the host spent outside waits in the last step.
  [[nodiscard]] double last_host_us() const { return last_host_us_; }
  [[nodiscard]] const StepShape& last_shape() const { return last_shape_; }
  /// Device time per label of the last step of this shape (DeviceOptions::timestamps); running
  /// means where that was run in parts.
  [[nodiscard]] Result<std::vector<vk::Timing>> timings(const StepShape& shape);

 private:
  struct Sequence {
    uint32_t length = 0;
    std::vector<uint32_t> pages;
    SamplingOptions sampling;
    uint32_t draws = 0;
    std::vector<int32_t> history;  ///< newest last, at most PUMICE_HISTORY
  };
  using ShapeKey = std::array<uint32_t, 4>;

  Engine() = default;
  [[nodiscard]] Result<void> open_model(const LoadOptions& options);
  [[nodiscard]] Result<graph::Graph> build(const LoadOptions& options);
  [[nodiscard]] Result<void> allocate();
  [[nodiscard]] Result<void> warm_up();
  [[nodiscard]] std::vector<Dispatch> bind(std::vector<Dispatch> list) const;
  [[nodiscard]] Result<StepCommand*> command(const StepShape& shape);
  [[nodiscard]] Result<void> warm_up_paced();
  [[nodiscard]] Result<void> check_token(const StepToken& column) const;
  [[nodiscard]] Result<void> make_room(uint32_t sequence, std::span<const int32_t> tokens);
  [[nodiscard]] Result<void> extend(uint32_t sequence, uint64_t length);
  void write_columns(std::span<const StepToken> tokens, uint32_t columns);
  void write_sampling(uint32_t column, const Sequence& sequence);
  [[nodiscard]] Result<void> begin_tokens(uint32_t sequence, std::span<const int32_t> tokens,
                                          Ending ending);
  [[nodiscard]] Result<void> begin_rows(uint32_t sequence, std::span<const int32_t> tokens,
                                        uint32_t rows);
  [[nodiscard]] Result<void> begin_columns(uint32_t rows, Ending ending);
  [[nodiscard]] Result<void> begin_chunk();
  [[nodiscard]] Result<void> begin_list();
  [[nodiscard]] Result<Progress> advance_step(double budget_us);
  [[nodiscard]] Result<void> run_next(double budget_us, Progress& progress);
  [[nodiscard]] Result<void> run_whole(Progress& progress);
  [[nodiscard]] Result<void> run_part(const SlicePlan& plan, Progress& progress);
  [[nodiscard]] Result<double> settle(const SliceOut& slice);
  [[nodiscard]] Result<double> settle_all();
  [[nodiscard]] Result<void> go_on_from_reports();
  [[nodiscard]] Result<void> end_list();
  [[nodiscard]] Result<void> end_chunk();
  void believe_counts();
  [[nodiscard]] Result<Sampled> take_result(uint32_t column, bool sampled);
  [[nodiscard]] uint32_t next_chunk(size_t remaining) const;
  void give_back_pages(Sequence& state);
  /// The same result; where it is an error the step in progress is over.
  template <class T>
  [[nodiscard]] Result<T> ended_by_error(Result<T> result) {
    if (!result) discard();
    return result;
  }

  std::shared_ptr<const GgufFile> file_;
  std::optional<Tokenizer> tokenizer_;
  model::Config config_;
  ModelPlan plan_;
  std::unique_ptr<vk::Device> device_;
  PlannedBuffers buffers_;
  std::map<ShapeKey, StepCommand> commands_;
  Pacer pacer_;
  double overhead_us_ = 40;  ///< of a part, beside the device's work: running mean
  std::vector<Sequence> sequences_;
  std::vector<uint32_t> free_pages_;
  std::vector<uint32_t> submissions_;  ///< per output column: results seen so far
  std::span<uint32_t> step_words_;
  StepWork work_;
  std::vector<SliceOut> slices_out_;  ///< oldest first
  uint64_t tickets_ = 0;              ///< given so far
  bool gap_ = false;                  ///< a slice was discarded, younger ones are out
  bool ran_past_gap_ = false;         ///< one of those ran, on what the gap had left behind
  Place gap_at_;
  graph::TappedLayers tapped_layers_;
  VectorValues replaced_vectors_;  ///< by set_weight
  LoadTimes load_times_;
  uint64_t weight_bytes_per_step_ = 0;
  uint32_t dispatches_per_step_ = 0;
  double last_host_us_ = 0;
  StepShape last_shape_;
};

}  // namespace pumice
