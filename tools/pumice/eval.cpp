// `pumice eval`: what a model predicts, and how far that is from a reference.
#include "eval.h"

#include <array>
#include <memory>

#include "engine/base/platform.h"
#include "generate.h"
#include "reply_positions.h"

namespace pumice::command {
namespace {

struct Kind {
  const char* name;
  const char* summary;
  Action (*add)(CLI::App& app);
};

template <EvalKind kind>
Action add_kind(CLI::App& app) {
  return add_eval_kind(app, kind);
}

constexpr std::array kKinds = {
    Kind{"ppl", "Perplexity of a text", add_kind<EvalKind::Perplexity>},
    Kind{"kld", "KL divergence from a reference, over a grid of precisions",
         add_kind<EvalKind::Divergence>},
    Kind{"flips", "Where the most likely token changes, by the reference's margin",
         add_kind<EvalKind::Flips>},
    Kind{"curve", "Loss and divergence by position in a long context", add_kind<EvalKind::Curve>},
    Kind{"qa", "Greedy answers to questions of a file, scored", add_eval_qa},
};

tl::expected<EvalRun, Failure> run_once(EvalTask& task, const NamedRun& options,
                                        const std::string& label) {
  LoadOptions load = task.load;
  load.run = options.run;
  load.run.context = task.load.run.context;
  load.run.max_chunk = task.load.run.max_chunk;
  load.run.max_outputs = task.load.run.max_outputs;
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(load));
  quant::EngineSource model(*engine);
  ProgressBar bar(label, task.text.scored_per_chunk());
  quant::CompareOptions compare;
  compare.temperatures = task.flags.temperatures;
  compare.top_p = task.flags.top_p;
  compare.progress = [&](uint64_t done, uint64_t total) { return bar.show(done, total); };
  EvalRun run;
  run.options = options;
  PUMICE_TRY_ASSIGN(run.comparison,
                    quant::compare(task.reference.source.get(), model, task.text, compare));
  run.policy = describe(engine->plan().policy);
  run.device = engine->device().capabilities().device_name;
  PUMICE_TRY(check_validation(*engine));
  run.statistics = quant::summarise(run.comparison, {task.flags.replicates, task.flags.seed});
  return run;
}

Outcome evaluate(EvalKind kind, EvalFlags flags) {
  const Result<std::vector<NamedRun>> grid = grid_of(flags);
  if (!grid) return usage("{}", grid.error().text);
  if (Result<LoadOptions> load = load_options(flags.model); !load)
    return usage("{}", load.error().text);
  if (Outcome found = find_model(flags.model.hub, flags.model.model); !found) return found;
  count_interrupts();
  PUMICE_TRY_ASSIGN(EvalTask task, prepare_evaluation(kind, flags));
  std::vector<EvalRun> runs;
  for (const NamedRun& options : *grid) {
    const std::string label = grid->size() == 1
                                  ? std::string("running")
                                  : fmt::format("act {}, kv {}", options.act, options.kv);
    auto run = run_once(task, options, label);
    if (!run) return tl::unexpected<Failure>(std::move(run.error()));
    runs.push_back(std::move(*run));
  }
  if (task.reference.engine) PUMICE_TRY(check_validation(*task.reference.engine));
  return report_evaluation(task, runs);
}

void add_lists(CLI::App& app, EvalFlags& flags, EvalKind kind) {
  struct Row {
    const char* name;
    std::vector<std::string>& list;
    const char* what;
  };
  for (const Row& row :
       {Row{"--act", flags.act, "Precisions of activations to run: f32,q8"},
        Row{"--kv", flags.kv, "Caches to run: f32,f16,q8_0,q4_0,q8_0/q4_0 (K/V),q4_0+rotate"}})
    app.add_option(row.name, row.list, row.what)
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->capture_default_str();
  if (kind == EvalKind::Divergence || kind == EvalKind::Flips)
    app.add_option("--temps", flags.temperatures, "Temperatures to compare sampling at: 0.5,1,1.5")
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->check(CLI::Range(0.01, 100.0));
}

void add_model(CLI::App& app, ModelFlags& flags, EvalKind kind) {
  add_model_option(app, flags.model, flags.hub);
  app.add_option("-c,--ctx-size,--context", flags.context,
                 kind == EvalKind::Curve ? "Tokens per chunk (0: the model's context, at most 4096)"
                                         : "Tokens per chunk")
      ->check(CLI::Range(uint32_t(0), uint32_t(1) << 20))
      ->capture_default_str();
  app.add_option("-b,--batch-size", flags.batch, "Tokens per step (0: chosen)")
      ->check(CLI::Range(uint32_t(0), uint32_t(1) << 16));
  app.add_option("--device", flags.device, "Index or part of the name (see pumice devices)");
  app.add_option("--without", flags.without,
                 "Capabilities to leave unused: fp16,dot8,subgroup,coopmat,texel");
  app.add_flag("--deterministic", flags.deterministic, "The same bits however the text is cut");
  app.add_flag("--validate", flags.validate, "Run under the Khronos validation layer");
  app.add_flag("--no-cache", flags.no_cache, "Neither read nor write compiled pipelines");
  app.add_flag("-v,--verbose", flags.verbose, "Print decisions to stderr");
}

}  // namespace

Action add_eval_kind(CLI::App& app, EvalKind kind) {
  auto flags = std::make_shared<EvalFlags>();
  flags->model.context = kind == EvalKind::Curve ? 0 : 512;
  flags->score_all = kind == EvalKind::Curve;
  add_model(app, flags->model, kind);
  app.add_option("-f,--file", flags->file, "Text in UTF-8");
  app.add_option("--chunks", flags->chunks, "Chunks to use (0: all that the text fills)");
  app.add_flag("--ids", flags->ids, "The file holds token ids instead of text");
  if (kind != EvalKind::Curve) {
    app.add_flag("--score-all", flags->score_all, "Score whole chunks, not their second halves");
    app.add_flag("--replies", flags->replies, kRepliesOption);
  }
  if (kind != EvalKind::Perplexity) {
    app.add_option("--reference", flags->reference,
                   kind == EvalKind::Curve
                       ? "Model file or saved logits to diverge from"
                       : "Model file or saved logits to diverge from (default: the model itself "
                         "with f32 activations and cache)");
    app.add_option("--save-reference", flags->save_reference,
                   "Keep the reference's logits in a file, for --reference");
    app.add_option("--top-p", flags->top_p, "Mass of the nuclei that --temps compares")
        ->check(CLI::Range(0.01, 1.0))
        ->capture_default_str();
  }
  add_lists(app, *flags, kind);
  app.add_option("--replicates", flags->replicates, "Bootstrap replicates for standard errors")
      ->check(CLI::Range(uint32_t(0), uint32_t(100'000)))
      ->capture_default_str();
  app.add_option("-s,--seed", flags->seed, "Seed of the bootstrap")->capture_default_str();
  app.add_option("--json", flags->json, "Write all figures as JSON to a file (-: stdout, alone)");
  return [flags, kind] { return evaluate(kind, *flags); };
}

Action add_eval(CLI::App& app) {
  app.require_subcommand(1);
  auto actions = std::make_shared<std::vector<std::pair<CLI::App*, Action>>>();
  for (const Kind& kind : kKinds) {
    CLI::App* sub = app.add_subcommand(kind.name, kind.summary);
    sub->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    actions->emplace_back(sub, kind.add(*sub));
  }
  return [actions]() -> Outcome {
    for (const auto& [sub, action] : *actions)
      if (sub->parsed()) return action();
    return usage("eval needs one of its subcommands (pumice eval --help)");
  };
}

}  // namespace pumice::command
