// `pumice quantize`: a GGUF file in, a smaller one out. IN [OUT] TYPE as users of llama.cpp's tool
// know it; what each tensor becomes is decided in engine/quant.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "command.h"
#include "engine/base/platform.h"
#include "engine/quant/block_grid.h"
#include "engine/quant/quantise.h"
#include "engine/quant/recipe.h"
#include "engine/quant/scale_search.h"
#include "loader/gguf.h"
#include "output.h"
#include "quantize_budget.h"
#include "quantize_methods.h"
#include "quantize_report.h"

namespace pumice::command {
namespace {

struct Options {
  std::vector<std::string> words;  ///< IN [OUT] [TYPE]
  std::string recipe, importance, output_type, embedding_type;
  std::vector<std::string> tensor_types;
  bool pure = false, dry_run = false, json = false, allow_requantize = false;
  uint32_t threads = 0;
  std::string search = "auto";
  MethodFlags methods;
  BudgetFlags budget;

  // From words, by understand():
  std::string in, out;
  const quant::Mix* mix = nullptr;
};

/// NAME-TYPE.gguf beside NAME.gguf.
std::string derived_name(const std::string& in, const quant::Mix& mix) {
  std::filesystem::path path(in);
  path.replace_filename(fmt::format("{}-{}.gguf", path.stem().string(), mix.name));
  return path.string();
}

/// IN [OUT] beside --budget, which excludes all that names types.
Outcome understand_budget(Options& options) {
  const bool types = !options.recipe.empty() || !options.tensor_types.empty() || options.pure ||
                     !options.output_type.empty() || !options.embedding_type.empty();
  if (types || options.words.size() > 2)
    return usage("--budget chooses the types itself: IN OUT, and no TYPE, recipe or type flags");
  options.in = options.words.front();
  if (options.words.size() == 2) options.out = options.words.back();
  if (options.out.empty() && !options.dry_run) return usage("OUT is missing: IN OUT --budget SIZE");
  return {};
}

/// Tells IN, OUT and TYPE apart.
Outcome understand(Options& options) {
  if (options.budget.given()) return understand_budget(options);
  std::vector<std::string> words = options.words;
  options.in = words.front();
  if (words.size() > 1) options.mix = quant::find_mix(words.back());
  if (options.mix) words.pop_back();
  if (words.size() == 3 || (!options.mix && options.recipe.empty())) {
    const std::string word = words.size() > 1 ? words.back() : "";
    return usage(
        "{}; the types are {}",
        word.empty() ? "TYPE is missing" : fmt::format("\"{}\" is no TYPE", printable(word, 60)),
        quant::mix_names());
  }
  if (options.pure && !options.mix) return usage("--pure needs a TYPE");
  if (words.size() == 2) options.out = words.back();
  if (options.out.empty() && options.mix) options.out = derived_name(options.in, *options.mix);
  if (options.out.empty() && !options.dry_run) return usage("OUT is missing: IN OUT [TYPE]");
  return {};
}

/// Everything the flags say about types. Errors of the flags themselves are usage errors.
Outcome read_types(const Options& options, quant::TypeRequest& types) {
  types.mix = options.mix;
  types.pure = options.pure;
  for (const std::string& text : options.tensor_types) {
    auto wish = quant::parse_wish(text, fmt::format("--tensor-type {}", text));
    if (!wish) return usage("{}", wish.error().text);
    types.wishes.push_back(std::move(*wish));
  }
  const auto single = [](const char* flag, const std::string& name,
                         std::optional<QuantType>& type) -> Outcome {
    if (name.empty()) return {};
    const Result<QuantType> parsed = quant::parse_type(name);
    if (!parsed) return usage("{}: {}", flag, parsed.error().text);
    type = *parsed;
    return {};
  };
  if (Outcome done = single("--output-tensor-type", options.output_type, types.output); !done)
    return done;
  if (Outcome done =
          single("--token-embedding-type", options.embedding_type, types.token_embedding);
      !done)
    return done;
  if (options.recipe.empty()) return {};
  PUMICE_TRY_ASSIGN(std::vector<quant::TypeWish> lines, quant::read_recipe(options.recipe));
  std::ranges::move(lines, std::back_inserter(types.wishes));
  return {};
}

Result<quant::ImportanceMatrix> read_importance_of(const std::string& path, const GgufFile& model,
                                                   bool gram) {
  PUMICE_TRY_ASSIGN(quant::ImportanceMatrix matrix, quant::read_importance(path, gram));
  if (auto checked = quant::check_importance(matrix, model); !checked)
    return fail_in(path, std::move(checked.error()));
  return matrix;
}

/// Null where the cores search alone.
Result<std::unique_ptr<quant::ScaleSearch>> open_search_of(const Options& options,
                                                           const quant::QuantisePlan& plan) {
  uint64_t weights = 0;
  for (const quant::PlannedTensor& planned : plan.tensors)
    if (planned.type != planned.tensor->type && quant::has_grid(planned.type))
      weights += planned.tensor->n_weights;
  using enum quant::SearchPlace;
  const auto place = options.search == "cpu" ? Cpu : options.search == "gpu" ? Device : Auto;
  vk::DeviceOptions device;
  device.select = options.budget.device;
  if (const std::filesystem::path cache = cache_folder(); !cache.empty())
    device.pipeline_cache = (cache / "pipelines.bin").string();
  auto search = quant::open_search(place, device, weights);
  if (!search) return fail_in("--search gpu", std::move(search.error()));
  return search;
}

/// `budget` is null without --budget; it was shown already, except as JSON.
Outcome write_model(const Options& options, const GgufFile& model, const quant::QuantisePlan& plan,
                    const quant::QuantiseRequest& request, const BudgetChoice* budget) {
  quant::QuantiseOutput output;
  output.path = options.out;
  output.inputs = part_paths(options.in, model);
  for (const std::string& file : {options.importance, options.recipe, options.budget.calibration,
                                  options.budget.sensitivity_file})
    if (!file.empty()) output.inputs.push_back(file);
  output.threads = options.threads;
  PUMICE_TRY_ASSIGN(const std::unique_ptr<quant::ScaleSearch> search,
                    open_search_of(options, plan));
  output.search = search.get();
  count_interrupts();
  double seconds = 0;
  {
    QuantiseBar bar;
    output.watch = [&](const quant::QuantiseProgress& progress) {
      bar.show(progress);
      return interrupts() == 0;
    };
    PUMICE_TRY(quant::quantise(model, plan, request, output));
    seconds = bar.seconds();
  }
  if (options.json) {
    auto json = plan_json(model, plan);
    json["output"] = options.out;
    json["seconds"] = seconds;
    if (search) json["slices_on_gpu"] = search->slices_on_device();
    if (budget) json["allocation"] = budget_json(*budget);
    return write_json(json);
  }
  const uint64_t slices = search ? search->slices_on_device() : 0;
  complain(fmt::format("{}: {}{}", options.out, summary_text(plan, seconds),
                       slices ? fmt::format("; {} slices searched on the GPU", slices) : ""));
  return {};
}

Outcome write_or_show(const Options& options, const GgufFile& model, const BudgetChoice* budget,
                      quant::ImportanceMatrix& importance, quant::QuantiseRequest& request) {
  PUMICE_TRY_ASSIGN(const quant::QuantisePlan plan, quant::plan_quantise(model, request));
  if (budget && !options.json)
    if (Outcome shown = write_text(budget_text(*budget)); !shown) return shown;
  if (!options.dry_run) {
    quant::Folding folding;
    if (Outcome done = apply_methods(options.methods, model, plan, importance, folding, request);
        !done)
      return done;
    return write_model(options, model, plan, request, budget);
  }
  if (!options.json) return write_text(budget ? std::string() : plan_text(model, plan));
  auto json = plan_json(model, plan);
  if (budget) json["allocation"] = budget_json(*budget);
  return write_json(json);
}

Outcome quantize(Options options) {
  if (Outcome understood = understand(options); !understood) return understood;
  if (Outcome fit = check_budget_flags(options.budget); !fit) return fit;
  if (Outcome fit = check_methods(options.methods, options.importance); !fit) return fit;
  quant::QuantiseRequest request;
  request.allow_requantize = options.allow_requantize;
  if (Outcome read = read_types(options, request.types); !read) return read;
  PUMICE_TRY_ASSIGN(const std::shared_ptr<const GgufFile> model, open_gguf(options.in));
  quant::ImportanceMatrix importance;
  if (!options.importance.empty()) {
    PUMICE_TRY_ASSIGN(importance,
                      read_importance_of(options.importance, *model, options.methods.has("gptq")));
    request.importance = &importance;
    request.importance_name = options.importance;
    if (Outcome fit = check_gram(options.methods, importance, options.importance); !fit) return fit;
  }
  std::optional<BudgetChoice> budget;
  if (options.budget.given()) {
    const quant::ErrorFeedbackOptions feedback = feedback_of(options.methods);
    const BudgetJob job{options.in, *model, options.threads,
                        options.methods.has("gptq") ? &feedback : nullptr};
    auto chosen = choose_by_budget(options.budget, job, importance, request);
    if (!chosen) return tl::unexpected<Failure>(std::move(chosen.error()));
    budget = std::move(*chosen);
  }
  return write_or_show(options, *model, budget ? &*budget : nullptr, importance, request);
}

}  // namespace

Action add_quantize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option(
         "files", options->words,
         "IN [OUT] TYPE: without OUT, IN-TYPE.gguf beside IN; TYPE is one of " + quant::mix_names())
      ->required()
      ->expected(1, 3)
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  app.add_option("--recipe", options->recipe,
                 "File of lines \"regex type\": the first whose regex is found in a tensor's name "
                 "decides; the rest follows TYPE, or stays as it is");
  app.add_option("--tensor-type", options->tensor_types,
                 "regex=type, before the recipe; may be given often")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--output-tensor-type", options->output_type, "Type of the output matrix");
  app.add_option("--token-embedding-type", options->embedding_type, "Type of the embeddings");
  app.add_option("--imatrix", options->importance, "Importance matrix: what pumice imatrix writes");
  add_method_flags(app, options->methods);
  add_budget_flags(app, options->budget);
  app.add_option("-t,--threads", options->threads, "Threads (default: all cores)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--search", options->search,
                 "Where scales are searched for: auto (where it is faster, per type), cpu, gpu")
      ->check(CLI::IsMember({"auto", "cpu", "gpu"}));
  app.add_flag("--pure", options->pure, "TYPE for every matrix, without the mix's rules");
  app.add_flag("--allow-requantize", options->allow_requantize,
               "Quantise what is quantised already");
  app.add_flag("--dry-run", options->dry_run, "Show the types and the size; write nothing");
  app.add_flag("--json", options->json, "The table, or the summary, as JSON on standard output");
  return [options] { return quantize(*options); };
}

}  // namespace pumice::command
