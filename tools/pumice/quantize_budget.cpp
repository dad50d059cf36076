#include "quantize_budget.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/platform.h"
#include "engine/quant/budget.h"
#include "engine/quant/recipe.h"
#include "generate.h"
#include "options.h"
#include "output.h"
#include "output_path.h"
#include "reply_positions.h"
#include "sensitivity_file.h"

namespace pumice::command {
namespace {

using quant::EvaluationProgress;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kUsualContext = 512, kUsualChunks = 8;
constexpr uint64_t kMostKept = uint64_t{2} << 30;

struct Thoroughness {
  const char* word;
  uint32_t anchors;
};
constexpr std::array kThoroughness = {Thoroughness{"fast", 2}, Thoroughness{"usual", 3},
                                      Thoroughness{"full", 0}};

/// "measuring [####      ] 41 %, 3 min 20 s left" on a terminal.
class StageBar {
 public:
  explicit StageBar(const char* stage) : stage_(stage) {}
  ~StageBar() {
    if (shown_) std::fprintf(stderr, "\r%79s\r", "");
  }
  StageBar(const StageBar&) = delete;
  StageBar& operator=(const StageBar&) = delete;

  /// False after Ctrl-C.
  bool show(uint64_t done, uint64_t total) {
    const Clock::time_point now = Clock::now();
    if (!is_terminal(Stream::Error) || now - last_ < std::chrono::milliseconds(200))
      return interrupts() == 0;
    last_ = now;
    shown_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double share = total ? double(done) / double(total) : 0.0;
    std::string line = fmt::format("{} [{:<24}] {:3.0f} %", stage_,
                                   std::string(size_t(share * 24), '#'), 100 * share);
    if (done != 0) {
      const auto left = uint64_t(seconds * (1 - share) / share);
      line += fmt::format(", {} min {:02} s left", left / 60, left % 60);
    }
    std::fprintf(stderr, "\r%-79.79s", line.c_str());
    return interrupts() == 0;
  }
  [[nodiscard]] EvaluationProgress progress() {
    return [this](uint64_t done, uint64_t total) { return show(done, total); };
  }

 private:
  const char* stage_;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now(), last_{};
};

/// One choice by budget: what is known so far.
class Chooser {
 public:
  Chooser(const BudgetFlags& flags, const BudgetJob& job, quant::ImportanceMatrix& importance,
          quant::QuantiseRequest& request)
      : flags_(flags), job_(job), importance_(importance), request_(request) {}

  tl::expected<BudgetChoice, Failure> run();

 private:
  Result<void> check_files() const;
  Result<void> check_model() const;
  Result<uint64_t> budget_bytes() const;
  Result<void> read_types();
  Result<void> read_calibration();
  Result<LoadOptions> engine_options() const;
  Result<void> gather_importance();
  Result<void> start_trial();
  Result<quant::Sensitivity> sensitivity();
  void warn_of_other_ways(const quant::Sensitivity& read) const;
  Result<void> wish(const BudgetChoice& choice);
  Outcome write_pareto(const BudgetChoice& choice) const;

  const BudgetFlags& flags_;
  const BudgetJob& job_;
  quant::ImportanceMatrix& importance_;
  quant::QuantiseRequest& request_;
  std::vector<QuantType> types_;
  quant::EvaluationText text_;
  std::unique_ptr<Engine> engine_;
  std::optional<quant::Trial> trial_;
};

/// Before the work, not after it.
Result<void> Chooser::check_files() const {
  std::vector<std::string> inputs = part_paths(job_.in, job_.model);
  inputs.push_back(flags_.calibration);
  if (request_.importance) inputs.push_back(request_.importance_name);
  PUMICE_TRY(check_output_path("--sensitivity-file", flags_.sensitivity_file, inputs));
  inputs.push_back(flags_.sensitivity_file);
  return check_output_path("--pareto", flags_.pareto, inputs);
}

Result<void> Chooser::check_model() const {
  for (const TensorInfo& tensor : job_.model.tensors())
    if (quant::is_quantisable(tensor) && info(tensor.type).block_weights > 1 &&
        !request_.allow_requantize)
      return fail(ErrorCode::BadArgument,
                  "tensor {} is quantised already, as {}: start from an F32, F16 or BF16 file, or "
                  "pass --allow-requantize and lose more",
                  tensor.name, info(tensor.type).name);
  return {};
}

Result<uint64_t> Chooser::budget_bytes() const {
  quant::BudgetScale scale{0, job_.model.tensor_bytes()};
  for (const TensorInfo& tensor : job_.model.tensors()) scale.weights += tensor.n_weights;
  const quant::Mix* mix = quant::find_mix(flags_.budget);
  if (!mix) return quant::parse_budget(flags_.budget, scale);
  quant::QuantiseRequest request;
  request.types.mix = mix;
  request.allow_requantize = request_.allow_requantize;
  request.importance = request_.importance;
  PUMICE_TRY_ASSIGN(const quant::QuantisePlan plan, quant::plan_quantise(job_.model, request));
  return plan.bytes;
}

Result<void> Chooser::read_types() {
  for (const std::string& name : flags_.types) {
    PUMICE_TRY_ASSIGN(const QuantType type, quant::parse_type(name));
    if (std::ranges::find(types_, type) == types_.end()) types_.push_back(type);
  }
  return {};
}

Result<void> Chooser::read_calibration() {
  PUMICE_TRY_ASSIGN(const model::Config config, model::read_config(job_.model));
  PUMICE_TRY_ASSIGN(const Tokenizer tokenizer, Tokenizer::create(job_.model.metadata()));
  quant::ChunkOptions chunks;
  chunks.context =
      flags_.context != 0 ? flags_.context : std::min(config.context_length, kUsualContext);
  chunks.chunks = flags_.chunks != 0 ? flags_.chunks : kUsualChunks;
  chunks.score_all = flags_.replies;
  auto text = flags_.ids ? quant::read_token_ids(flags_.calibration, config.n_vocab, chunks)
                         : quant::read_evaluation_text(flags_.calibration, tokenizer, chunks);
  PUMICE_TRY_ASSIGN(text_, std::move(text));
  return flags_.replies ? count_replies(text_, tokenizer) : Result<void>();
}

Result<LoadOptions> Chooser::engine_options() const {
  ModelFlags flags;
  flags.model = job_.in;
  flags.device = flags_.device;
  PUMICE_TRY_ASSIGN(LoadOptions load, load_options(flags));
  load.run = quant::evaluation_run(text_.context, ActivationType::F32, CacheType::F32);
  load.run.deterministic = true;
  load.weights_as_f32 = true;
  return load;
}

/// E[x^2] of every matrix, the output's too, over whole chunks.
Result<void> Chooser::gather_importance() {
  PUMICE_TRY_ASSIGN(LoadOptions load, engine_options());
  load.run.taps.statistics = graph::Statistics::Squares;
  load.run.taps.output = true;
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(load));
  StageBar bar("observing");
  for (uint32_t i = 0; i < text_.chunks; ++i) {
    if (!bar.show(i, text_.chunks)) return fail(ErrorCode::Cancelled, "interrupted");
    engine->rewind(0, 0);
    PUMICE_TRY(engine->append(0, text_.chunk(i)));
  }
  PUMICE_TRY_ASSIGN(std::vector<TapStatistics> taken, engine->take_statistics());
  PUMICE_TRY(quant::add_statistics(importance_, std::move(taken)));
  importance_.datasets = {flags_.calibration};
  importance_.chunk_count = text_.chunks;
  importance_.chunk_size = text_.context;
  request_.importance = &importance_;
  request_.importance_name = fmt::format("gathered from {}", flags_.calibration);
  return {};
}

Result<void> Chooser::start_trial() {
  PUMICE_TRY_ASSIGN(const LoadOptions load, engine_options());
  PUMICE_TRY_ASSIGN(engine_, Engine::load(load));
  StageBar bar("reference");
  quant::TrialOptions options;
  options.importance = request_.importance;
  options.feedback = job_.feedback;
  options.threads = job_.threads;
  const uint64_t free = available_memory();
  if (free != 0) options.most_bytes = std::min(kMostKept, free / 2);
  options.progress = bar.progress();
  PUMICE_TRY_ASSIGN(trial_, quant::Trial::start(*engine_, job_.model, text_, options));
  return {};
}

Result<quant::Sensitivity> Chooser::sensitivity() {
  std::error_code ignored;
  const std::string& file = flags_.sensitivity_file;
  if (!file.empty() && std::filesystem::exists(file, ignored)) {
    PUMICE_TRY_ASSIGN(quant::Sensitivity known, read_sensitivity(file, job_.model));
    if (!types_.empty())
      if (auto kept = quant::keep_types(known, types_, job_.model); !kept)
        return fail_in(file, std::move(kept.error()));
    return known;
  }
  PUMICE_TRY(start_trial());
  quant::SensitivityOptions options;
  options.candidates = types_;
  for (const Thoroughness& row : kThoroughness)
    if (flags_.thoroughness == row.word) options.anchors = row.anchors;
  StageBar bar("measuring");
  options.progress = bar.progress();
  PUMICE_TRY_ASSIGN(quant::Sensitivity measured, quant::measure_sensitivity(*trial_, options));
  if (!file.empty()) PUMICE_TRY(write_sensitivity(measured, job_.in, file));
  return measured;
}

/// Measurements that were read, beside a text or a method that they were not made with.
void Chooser::warn_of_other_ways(const quant::Sensitivity& read) const {
  if (trial_) return;
  const bool other_text =
      text_.chunks != 0 && read.text != 0 && read.text != quant::measurement_hash(text_);
  const bool other_method = read.error_feedback != (job_.feedback != nullptr);
  if (!other_text && !other_method) return;
  std::fprintf(stderr,
               "%s: measured with %s; it is used as it is, and another file name measures "
               "again\n",
               printable(flags_.sensitivity_file).c_str(),
               other_text            ? "other text or chunks than --calibration gives"
               : read.error_feedback ? "--method gptq, which is not asked for now"
                                     : "another method than gptq");
}

/// A pattern that finds exactly this name.
std::string exactly(std::string_view name) {
  std::string pattern = "^";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && !std::isalnum(byte) && c != '_') pattern += '\\';
    pattern += c;
  }
  return pattern + "$";
}

Result<void> Chooser::wish(const BudgetChoice& choice) {
  for (size_t t = 0; t < choice.sensitivity.tensors.size(); ++t) {
    const std::string& name = choice.sensitivity.tensors[t].name;
    PUMICE_TRY_ASSIGN(quant::Pattern pattern, quant::Pattern::compile(exactly(name)));
    request_.types.wishes.push_back(
        {std::move(pattern), choice.allocation.types[t], fmt::format("--budget, {}", name)});
  }
  return {};
}

Outcome Chooser::write_pareto(const BudgetChoice& choice) const {
  if (flags_.pareto.empty()) return {};
  const bool json = flags_.pareto.ends_with(".json");
  const std::string text = json ? budget_json(choice).dump(1) + "\n" : pareto_svg(choice);
  PUMICE_TRY(write_file_whole(flags_.pareto, std::as_bytes(std::span(text))));
  return {};
}

tl::expected<BudgetChoice, Failure> Chooser::run() {
  PUMICE_TRY(check_files());
  PUMICE_TRY(check_model());
  BudgetChoice choice;
  PUMICE_TRY_ASSIGN(choice.budget, budget_bytes());
  PUMICE_TRY(read_types());
  PUMICE_TRY(quant::allocate(quant::unmeasured(job_.model, types_), choice.budget));  // before work
  count_interrupts();
  if (!flags_.calibration.empty()) {
    PUMICE_TRY(read_calibration());
    if (!request_.importance) PUMICE_TRY(gather_importance());
  }
  PUMICE_TRY_ASSIGN(choice.sensitivity, sensitivity());
  warn_of_other_ways(choice.sensitivity);
  PUMICE_TRY_ASSIGN(choice.allocation, quant::allocate(choice.sensitivity, choice.budget));
  if (trial_) {
    StageBar bar("checking");
    PUMICE_TRY_ASSIGN(choice.measured,
                      quant::measure_allocation(*trial_, choice.sensitivity,
                                                choice.allocation.types, bar.progress()));
    PUMICE_TRY(check_validation(*engine_));
  }
  PUMICE_TRY(wish(choice));
  if (Outcome written = write_pareto(choice); !written)
    return tl::unexpected<Failure>(written.error());
  return choice;
}

}  // namespace

void add_budget_flags(CLI::App& app, BudgetFlags& flags) {
  app.add_option("--budget", flags.budget,
                 "Size of all tensors instead of TYPE: 4.9bpw, 800MiB, 0.62x, or a TYPE whose size "
                 "it is; the type of each tensor follows from measurements");
  app.add_option("--types", flags.types,
                 "Types that --budget chooses from: q4_k,q6_k (default: all that suit a tensor)")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  app.add_option("--calibration", flags.calibration, "Text that --budget measures with");
  app.add_flag("--ids", flags.ids, "The calibration file holds token ids instead of text");
  app.add_flag("--replies", flags.replies, kRepliesOption);
  app.add_option("--chunks", flags.chunks, "Chunks of the text (0: 8, or as many as there are)");
  app.add_option("-c,--context", flags.context, "Tokens per chunk (0: 512, or the model's)");
  app.add_option("--sensitivity", flags.thoroughness,
                 "Types measured per tensor: fast 2, usual 3, full all; the rest is scaled")
      ->check(CLI::IsMember({"fast", "usual", "full"}));
  app.add_option("--sensitivity-file", flags.sensitivity_file,
                 "JSON of the measurements: read where it exists, else written");
  app.add_option("--pareto", flags.pareto, "Write the Pareto front: FILE.svg or FILE.json");
  app.add_option("--device", flags.device,
                 "Device that measures and searches: index or part of its name");
}

Outcome check_budget_flags(const BudgetFlags& flags) {
  if (!flags.given()) {
    for (const auto& [flag, value] : {std::pair("--calibration", &flags.calibration),
                                      std::pair("--sensitivity-file", &flags.sensitivity_file),
                                      std::pair("--pareto", &flags.pareto)})
      if (!value->empty()) return usage("{} says nothing without --budget", flag);
    if (!flags.types.empty()) return usage("--types says nothing without --budget");
    if (flags.ids) return usage("--ids says nothing without --budget");
    if (flags.replies) return usage("--replies says nothing without --budget");
    return {};
  }
  for (const std::string& name : flags.types)
    if (const Result<QuantType> type = quant::parse_type(name); !type)
      return usage("--types: {}", type.error().text);
  std::error_code ignored;
  const bool known =
      !flags.sensitivity_file.empty() && std::filesystem::exists(flags.sensitivity_file, ignored);
  if (flags.calibration.empty() && !known)
    return usage("--budget needs --calibration TEXT, or a --sensitivity-file that exists");
  if (!flags.pareto.empty() && !flags.pareto.ends_with(".svg") && !flags.pareto.ends_with(".json"))
    return usage("--pareto {}: the name must end in .svg or .json", printable(flags.pareto));
  return {};
}

tl::expected<BudgetChoice, Failure> choose_by_budget(const BudgetFlags& flags, const BudgetJob& job,
                                                     quant::ImportanceMatrix& importance,
                                                     quant::QuantiseRequest& request) {
  return Chooser(flags, job, importance, request).run();
}

}  // namespace pumice::command
