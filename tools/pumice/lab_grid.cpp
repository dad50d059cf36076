// Precisions of weights, activations and cache together: real files, run as a user would run them.
#include <cmath>
#include <filesystem>
#include <random>

#include "engine/quant/quantise.h"
#include "generate.h"
#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

struct Activations {
  const char* name;
  ActivationType type;
};
constexpr Activations kActivations[] = {{"f32", ActivationType::F32}, {"q8", ActivationType::Q8}};

struct Cache {
  const char* name;
  CacheFormat format;
  bool quick;  ///< part of the short grid too
};
const Cache kCaches[] = {
    {"f32", CacheType::F32, false},
    {"f16", CacheType::F16, true},
    {"q8_0", CacheType::Q8_0, true},
    {"q4_0", CacheType::Q4_0, true},
    {"q4_0+rotate", {CacheType::Q4_0, CacheType::Q4_0, true}, true},
    {"K q4_0, V f16", {CacheType::Q4_0, CacheType::F16}, false},
    {"K f16, V q4_0", {CacheType::F16, CacheType::Q4_0}, false},
};

/// A folder for the quantised files, gone at the end.
class Workshop {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Workshop>> open() {
    std::error_code error;
    const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
    std::random_device random;
    for (int attempt = 0; !error && attempt < 16; ++attempt) {
      auto path = folder / fmt::format("pumice-lab-{:08x}", random());
      if (std::filesystem::create_directory(path, error))
        return std::unique_ptr<Workshop>(new Workshop(std::move(path)));
    }
    return fail(ErrorCode::Io, "no folder for temporary files: {}", error.message());
  }
  ~Workshop() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const {
    return (path_ / (name + ".gguf")).string();
  }

 private:
  explicit Workshop(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// One cell; without a comparison, why not.
struct GridRun {
  std::string weights, act, kv;
  std::optional<quant::Comparison> comparison;
  std::string absent;
};

Result<std::string> write_weights(LabBench& bench, const Workshop& workshop,
                                  const std::string& mix) {
  quant::QuantiseRequest request;
  PUMICE_TRY_ASSIGN(request.types, mix_request(bench, mix));
  request.types.with_importance = true;
  request.allow_requantize = true;
  request.importance = &bench.importance;
  request.importance_name = "calibration half of " + bench.text_name;
  PUMICE_TRY_ASSIGN(const quant::QuantisePlan plan, quant::plan_quantise(*bench.file, request));
  quant::QuantiseOutput output;
  output.path = workshop.file(mix);
  output.watch = [&](const quant::QuantiseProgress&) { return bench.progress->tick(0); };
  PUMICE_TRY(quant::quantise(*bench.file, plan, request, output));
  return output.path;
}

Result<quant::Comparison> run_cell(LabBench& bench, const std::string& model,
                                   const Activations& act, const Cache& cache) {
  LoadOptions load = bench.load;
  load.model = model;
  load.weights_as_f32 = false;
  load.run = quant::evaluation_run(bench.test.context, act.type, cache.format);
  load.run.deterministic = true;
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(load));
  quant::EngineSource source(*engine);
  quant::CompareOptions how;
  how.progress = [&](uint64_t done, uint64_t all) {
    return bench.progress->tick(double(done) / double(all));
  };
  PUMICE_TRY_ASSIGN(quant::Comparison comparison,
                    quant::compare(&*bench.reference, source, bench.test, how));
  PUMICE_TRY(check_validation(*engine));
  return comparison;
}

Result<std::vector<GridRun>> measure(LabBench& bench) {
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Workshop> workshop, Workshop::open());
  std::vector<std::string> mixes = {"F16", "Q8_0", "Q4_K_M"};
  std::vector<const Cache*> caches;
  for (const Cache& cache : kCaches)
    if (cache.quick || !bench.options.quick) caches.push_back(&cache);
  if (bench.options.quick) mixes = {"F16", "Q4_K_M"};
  bench.progress->expect(mixes.size() * std::size(kActivations) * caches.size());
  std::vector<GridRun> runs;
  for (const std::string& mix : mixes) {
    PUMICE_TRY_ASSIGN(const std::string model, write_weights(bench, *workshop, mix));
    for (const Activations& act : kActivations) {
      for (const Cache* cache : caches) {
        // Quick: a row and a column of the grid, not the inside.
        if (bench.options.quick && mix != "F16" && std::string_view(cache->name) != "f16") continue;
        if (bench.options.quick && act.type == ActivationType::Q8 &&
            std::string_view(cache->name) != "f16")
          continue;
        GridRun& run = runs.emplace_back(GridRun{mix, act.name, cache->name, {}, {}});
        auto comparison = run_cell(bench, model, act, *cache);
        PUMICE_TRY(bench.progress->step());
        if (comparison)
          run.comparison = std::move(*comparison);
        else if (comparison.error().code == ErrorCode::Unsupported ||
                 comparison.error().code == ErrorCode::BadArgument)
          run.absent = comparison.error().text;
        else
          return tl::unexpected<Error>(std::move(comparison.error()));
      }
    }
  }
  return runs;
}

const quant::Comparison* find(const std::vector<GridRun>& runs, std::string_view weights,
                              std::string_view act, std::string_view kv) {
  for (const GridRun& run : runs)
    if (run.weights == weights && run.act == act && run.kv == kv && run.comparison)
      return &*run.comparison;
  return nullptr;
}

/// What kept the runs that a verdict needs from being made.
std::string why_not(const std::vector<GridRun>& runs) {
  for (const GridRun& run : runs)
    if (!run.comparison) return fmt::format("Not to be seen here: {}.", run.absent);
  return "The runs that would tell are not part of this grid.";
}

constexpr const char* kF16 = "F16";
constexpr const char* kFour = "Q4_K_M";

Verdict activation_verdict(const std::vector<GridRun>& runs) {
  Verdict verdict;
  verdict.claim = "8-bit activations are fragile";
  const quant::Comparison *f32 = find(runs, kF16, "f32", "f16"),
                          *q8 = find(runs, kF16, "q8", "f16");
  const quant::Comparison *four = find(runs, kFour, "f32", "f16"),
                          *both = find(runs, kFour, "q8", "f16");
  if (!f32 || !q8 || !four || !both) {
    verdict.words = why_not(runs);
    return verdict;
  }
  // 16-bit weights have no integer kernels: what int8 costs shows beside 4-bit weights.
  const quant::Estimate cost = kld_difference(*both, *four);
  const double scale = mean_kld(*four).value;
  verdict.standing = cost.value > 0.5 * scale   ? Standing::Holds
                     : cost.value > 0.1 * scale ? Standing::Partly
                                                : Standing::Fails;
  verdict.words = fmt::format(
      "Int8 in blocks of 32 adds {} nats to the {} nats of 4-bit weights (with F16 weights {} "
      "against {}).",
      with_error(cost), number_text(scale), number_text(mean_kld(*q8).value),
      number_text(mean_kld(*f32).value));
  return verdict;
}

Verdict cache_verdict(const std::vector<GridRun>& runs) {
  Verdict verdict;
  verdict.claim = "Quantising the KV cache is catastrophic";
  const quant::Comparison *f16 = find(runs, kF16, "f32", "f16"),
                          *q8 = find(runs, kF16, "f32", "q8_0"),
                          *q4 = find(runs, kF16, "f32", "q4_0"),
                          *weights = find(runs, kFour, "f32", "f16");
  if (!f16 || !q8 || !q4 || !weights) {
    verdict.words = why_not(runs);
    return verdict;
  }
  const double scale = mean_kld(*weights).value, eight = mean_kld(*q8).value,
               four = mean_kld(*q4).value;
  verdict.standing = eight > 0.5 * scale ? Standing::Holds
                     : four > scale      ? Standing::Partly
                                         : Standing::Fails;
  verdict.words = fmt::format("KLD of a q8_0 cache {}, of q4_0 {}; 4-bit weights alone cost {}.",
                              number_text(eight), number_text(four), number_text(scale));
  const quant::Comparison *k = find(runs, kF16, "f32", "K q4_0, V f16"),
                          *v = find(runs, kF16, "f32", "K f16, V q4_0");
  if (k && v)
    verdict.words += fmt::format(" 4-bit K alone costs {}, 4-bit V alone {}.",
                                 number_text(mean_kld(*k).value), number_text(mean_kld(*v).value));
  return verdict;
}

Verdict rotation_verdict(const std::vector<GridRun>& runs) {
  Verdict verdict;
  verdict.claim = "A Hadamard rotation makes a 4-bit cache better";
  const quant::Comparison *plain = find(runs, kF16, "f32", "q4_0"),
                          *rotated = find(runs, kF16, "f32", "q4_0+rotate");
  if (!plain || !rotated) {
    verdict.words = why_not(runs);
    return verdict;
  }
  const quant::Estimate won = kld_difference(*plain, *rotated);
  verdict.standing = judged(won, Standing::Holds);
  verdict.words = fmt::format("q4_0 {} nats, rotated {} nats; the rotation takes {} off.",
                              number_text(mean_kld(*plain).value),
                              number_text(mean_kld(*rotated).value), with_error(won));
  return verdict;
}

void draw(const std::vector<GridRun>& runs, LabSection& section) {
  std::vector<PlotSeries> bars;
  std::vector<std::string> caches;
  LabTable table{"Mean KLD, nats per token", {"weights", "activations", "cache", "KLD"}, {}};
  for (const GridRun& run : runs) {
    if (std::ranges::find(caches, run.kv) == caches.end()) caches.push_back(run.kv);
    const std::string name = run.weights + ", " + run.act;
    if (bars.empty() || bars.back().name != name) bars.push_back({name, {}, {}, {}, false, false});
    const quant::Estimate mean =
        run.comparison ? mean_kld(*run.comparison) : quant::Estimate{NAN, NAN};
    const auto place = size_t(std::ranges::find(caches, run.kv) - caches.begin());
    bars.back().y.resize(place + 1, NAN);
    bars.back().error.resize(place + 1, NAN);
    bars.back().y[place] = mean.value;
    bars.back().error[place] = mean.error;
    table.rows.push_back({run.weights, run.act, run.kv,
                          run.comparison ? with_error(mean) : "not run: " + run.absent});
    nlohmann::ordered_json cell = {{"weights", run.weights}, {"act", run.act}, {"kv", run.kv}};
    if (run.comparison)
      cell["kld"] = to_json(mean);
    else
      cell["absent"] = run.absent;
    section.numbers["runs"].push_back(std::move(cell));
  }
  section.figures.push_back(
      {bar_plot("Divergence by cache", caches, {"mean KLD, nats per token", true, false}, bars),
       "Colours: weights and activations. Whiskers: one standard error."});
  section.tables.push_back(std::move(table));
}

}  // namespace

Result<LabSection> grid_section(LabBench& bench) {
  LabSection section;
  section.method =
      "Files are written with the calibration text's statistics, loaded as they are and run with "
      "each "
      "precision of activations and cache, against the untouched model in f32 throughout. KLD on "
      "the "
      "test text.";
  if (bench.options.quick) section.method += " Short grid: one precision lowered at a time.";
  PUMICE_TRY_ASSIGN(const std::vector<GridRun> runs, measure(bench));
  draw(runs, section);
  section.verdicts = {activation_verdict(runs), cache_verdict(runs), rotation_verdict(runs)};
  return section;
}

}  // namespace pumice::command
