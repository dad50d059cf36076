// What the sections of `pumice lab` share: the model on a bench, and what a section amounts to.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/quant/compare.h"
#include "engine/quant/divergence.h"
#include "engine/quant/importance.h"
#include "engine/quant/mix.h"
#include "engine/quant/sensitivity.h"
#include "engine/quant/tensor_weights.h"
#include "engine/session/engine.h"
#include "options.h"

namespace pumice::command {

struct LabOptions {
  ModelFlags model;
  std::string report, json, text;
  uint32_t chunks = 0;                ///< for calibration, and as many to test; 0 = chosen
  uint32_t allocations = 0;           ///< random ones of the prediction section; 0 = chosen
  std::vector<std::string> sections;  ///< ids; empty = all
  uint64_t seed = 1;
  bool quick = false;
  bool ids = false;      ///< the text's file holds token ids
  bool replies = false;  ///< only what the model says counts
};

/// Of a claim, for the model at hand.
enum class Standing { Holds, Partly, Fails, Unclear };

struct Verdict {
  std::string claim;
  Standing standing = Standing::Unclear;
  std::string words;  ///< the numbers that decided
};

struct LabFigure {
  std::string svg, caption;
};

struct LabTable {
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

/// One chapter of the page.
struct LabSection {
  std::string id, title;
  std::string method;  ///< what was measured and how
  std::vector<LabFigure> figures;
  std::vector<LabTable> tables;
  std::vector<Verdict> verdicts;
  nlohmann::ordered_json numbers;
  std::string absent;  ///< why it could not be measured; empty = it was
};

/// A line on stderr where that is a terminal, and the answer to Ctrl-C.
class LabProgress {
 public:
  explicit LabProgress(size_t sections) : sections_(sections) {}
  ~LabProgress();
  LabProgress(const LabProgress&) = delete;
  LabProgress& operator=(const LabProgress&) = delete;
  void begin(std::string title);
  /// Steps of the section at hand, once they are known.
  void expect(size_t steps);
  /// One step is done. Cancelled after Ctrl-C.
  [[nodiscard]] Result<void> step();
  /// False after Ctrl-C; `share` of the step at hand is done.
  bool tick(double share);

 private:
  using Clock = std::chrono::steady_clock;
  void show(double share);
  size_t sections_, section_ = 0, steps_ = 1, done_ = 0;
  std::string title_;
  bool shown_ = false;
  Clock::time_point start_{}, last_{};
};

/// What weighs squared errors when a block's scales are chosen.
enum class Weighing {
  Plain,       ///< all alike
  Magnitude,   ///< |w|
  Activation,  ///< E[x^2] of the input channel
  Feedback,    ///< and rounding errors carried on along the Gram matrix (GPTQ)
};

/// The model with f32 weights in a deterministic engine, its statistics and its two texts. Weights
/// are replaced, divergence is measured on the text that calibrated nothing, weights come back.
class LabBench {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LabBench>> open(const LabOptions& options,
                                                              LabProgress& progress);

  LabOptions options;
  LabProgress* progress = nullptr;
  LoadOptions load;  ///< that `engine` was loaded with
  std::string text_name;
  std::shared_ptr<const GgufFile> file;
  quant::MixFacts facts;
  std::vector<const TensorInfo*> matrices;  ///< that can be quantised and are in use
  uint64_t matrix_weights = 0;
  quant::EvaluationText calibration, test;  ///< disjoint
  quant::ImportanceMatrix importance;       ///< of `calibration`
  bool has_gram = false;
  std::unique_ptr<Engine> engine;
  std::optional<quant::KeptLogits> reference;         ///< of `test`
  std::optional<quant::Sensitivity> sensitivity;      ///< once its section has run
  std::map<std::string, quant::Comparison> mix_runs;  ///< once run_mix has made them

  /// A tensor's own weights.
  [[nodiscard]] Result<std::vector<float>> weights(const TensorInfo& tensor) const;
  /// What quantising leaves of them. The type fits the rows. Feedback is Activation where no Gram
  /// matrix is known or the type has no grid.
  [[nodiscard]] Result<std::vector<float>> rounded(const TensorInfo& tensor, QuantType type,
                                                   Weighing weighing) const;
  [[nodiscard]] Result<void> put(const TensorInfo& tensor, std::span<const float> values);
  [[nodiscard]] Result<void> restore(const TensorInfo& tensor);
  /// Rounds and puts every matrix that the type fits; returns how many weights that were.
  [[nodiscard]] Result<uint64_t> put_all(QuantType type, Weighing weighing);
  [[nodiscard]] Result<void> restore_all();
  /// The model as it is now against the reference on `test`.
  [[nodiscard]] Result<quant::Comparison> compare(std::vector<double> temperatures = {});
  /// The whole model as a mix has it ("Q4_K_M"), its weights weighed by activation; at several
  /// temperatures. Kept: made once.
  [[nodiscard]] Result<const quant::Comparison*> run_mix(const std::string& mix);

  /// Types from coarse to fine that most rows hold; two of them when quick.
  [[nodiscard]] std::vector<QuantType> ladder() const;
  /// The usual 4-bit type that most rows hold.
  [[nodiscard]] QuantType four_bit() const { return wide_ ? QuantType::Q4_K : QuantType::Q4_0; }
  /// Share of the matrices' weights in rows that a type fits.
  [[nodiscard]] double fitting_share(QuantType type) const;

 private:
  [[nodiscard]] Result<void> cut_text();
  [[nodiscard]] Result<void> gather();
  [[nodiscard]] Result<void> start_engine();
  [[nodiscard]] Result<void> find_matrices();
  bool wide_ = false;  ///< most rows are whole super-blocks of 256
};

/// The mixes of the equal-bytes section, by name.
[[nodiscard]] Result<quant::TypeRequest> mix_request(const LabBench& bench, const std::string& mix);

// Small words and sums that sections share.
[[nodiscard]] std::string upper_name(QuantType type);        ///< "Q4_K"
[[nodiscard]] std::string kind_of(std::string_view tensor);  ///< "attn_q", "output"
[[nodiscard]] std::optional<uint32_t> layer_of(std::string_view tensor);
[[nodiscard]] quant::Estimate mean_kld(const quant::Comparison& comparison);
/// KLD of `a` less that of `b`, position by position, with the error of that difference.
[[nodiscard]] quant::Estimate kld_difference(const quant::Comparison& a,
                                             const quant::Comparison& b);
[[nodiscard]] std::string with_error(const quant::Estimate& estimate);  ///< "0.0123 ± 0.0004"
[[nodiscard]] nlohmann::ordered_json to_json(const quant::Estimate& estimate);
[[nodiscard]] std::string percent_text(double share);

/// Of a claim that a difference decides: `above` where that lies more than 2 standard errors above
/// zero, the opposite where it lies as far below.
[[nodiscard]] Standing judged(const quant::Estimate& difference, Standing above);

// One per file lab_*.cpp.
[[nodiscard]] Result<LabSection> magnitude_section(LabBench& bench);
[[nodiscard]] Result<LabSection> sensitivity_section(LabBench& bench);
[[nodiscard]] Result<LabSection> weighing_section(LabBench& bench);
[[nodiscard]] Result<LabSection> granularity_section(LabBench& bench);
[[nodiscard]] Result<LabSection> outlier_section(LabBench& bench);
[[nodiscard]] Result<LabSection> equal_bytes_section(LabBench& bench);
[[nodiscard]] Result<LabSection> grid_section(LabBench& bench);
[[nodiscard]] Result<LabSection> flip_section(LabBench& bench);
[[nodiscard]] Result<LabSection> temperature_section(LabBench& bench);
[[nodiscard]] Result<LabSection> depth_section(LabBench& bench);
[[nodiscard]] Result<LabSection> prediction_section(LabBench& bench);

/// The page (lab_page.cpp).
struct LabHead {
  std::vector<std::pair<std::string, std::string>> facts;  ///< name, value
};
[[nodiscard]] std::string lab_page(const LabHead& head, const std::vector<LabSection>& sections);
[[nodiscard]] nlohmann::ordered_json lab_json(const LabHead& head,
                                              const std::vector<LabSection>& sections);

}  // namespace pumice::command
