// `pumice bench model`: rows as llama-bench's users know them, with what noise allows to say.
#include "bench_model.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "bench_roof.h"
#include "engine/base/platform.h"
#include "generate.h"
#include "output.h"
#include "synthetic.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kMostTokens = 1u << 20, kMostSequences = 256, kMostRepetitions = 1000;
constexpr size_t kMostCases = 1000, kFamiliesShown = 6;

/// A case while it is being measured.
struct CaseRecord {
  BenchCase one;
  std::vector<double> rates, host_us;  ///< per repetition: tokens/s, microseconds per token
  CaseWork work;
  std::optional<KernelTimes> kernels;

  /// GB/s of writing, or 0.
  [[nodiscard]] double gigabytes_per_second() const {
    if (one.prompt != 0) return 0;
    const double steps = summarise(rates).median / one.sequences;
    return steps * double(work.weight_bytes + work.cache_bytes) * 1e-9;
  }
};

std::string format_types(const GgufFile& file) {
  std::map<std::string, uint64_t> weights;
  for (const TensorInfo& tensor : file.tensors())
    weights[std::string(info(tensor.type).name)] += tensor.n_weights;
  std::string text;
  for (const auto& [type, count] : weights)
    text += fmt::format("{}{} {:.4g} M", text.empty() ? "" : ", ", type, double(count) / 1e6);
  return text;
}

Json to_json(const KernelTimes& times) {
  Json families = Json::array();
  for (const KernelTimes::Family& family : times.families) {
    Json one = {{"name", family.name},
                {"microseconds_per_step", family.microseconds / times.steps},
                {"share", times.microseconds > 0 ? family.microseconds / times.microseconds : 0},
                {"dispatches_per_step", double(family.dispatches) / times.steps}};
    if (family.weight_bytes != 0 && family.microseconds > 0)
      one["gigabytes_per_second"] = double(family.weight_bytes) / family.microseconds * 1e-3;
    families.push_back(std::move(one));
  }
  return {{"clock", "device timestamps"},
          {"microseconds_per_step", times.microseconds / times.steps},
          {"families", families}};
}

BenchRow row_of(const CaseRecord& record) {
  const BenchCase& one = record.one;
  BenchRow row{one.name(), "tokens/s", true, record.rates, Json::object()};
  const double median = summarise(record.rates).median;
  row.more = {{"prompt", one.prompt},
              {"generated", one.generated},
              {"depth", one.depth},
              {"sequences", one.sequences},
              {"host_us_per_token", summary_json(summarise(record.host_us))},
              {"flops_per_token", record.work.flops_per_token},
              {"gigaflops_per_second", median * record.work.flops_per_token * 1e-9},
              {"flops_per_byte", record.work.flops_per_byte(one)}};
  if (one.prompt == 0) {
    row.more["weight_bytes_per_step"] = record.work.weight_bytes;
    row.more["cache_bytes_per_step"] = record.work.cache_bytes;
    row.more["gigabytes_per_second"] = record.gigabytes_per_second();
  }
  if (record.kernels) row.more["gpu"] = to_json(*record.kernels);
  return row;
}

/// In turn, forwards and backwards, so that what disturbs the machine for a while meets all rows.
Result<void> measure(ModelBench& bench, uint32_t repetitions, std::vector<CaseRecord>& records) {
  for (CaseRecord& record : records) {
    show_step("warming up: " + record.one.name());
    PUMICE_TRY(bench.warm_up(record.one));
    record.work = work_of(bench.engine(), record.one);
  }
  for (uint32_t r = 0; r < repetitions; ++r)
    for (size_t i = 0; i < records.size(); ++i) {
      CaseRecord& record = records[r % 2 == 0 ? i : records.size() - 1 - i];
      show_step(fmt::format("repetition {} of {}: {}", r + 1, repetitions, record.one.name()));
      PUMICE_TRY_ASSIGN(const BenchRun ran, bench.run(record.one));
      const double tokens = record.one.tokens();
      record.rates.push_back(tokens / std::max(ran.seconds, 1e-9));
      record.host_us.push_back(ran.host_us / tokens);
    }
  return check_validation(bench.engine());
}

/// In a second engine: timestamps around every dispatch would cost the first one speed.
Result<void> measure_kernels(LoadOptions load, const std::vector<BenchCase>& cases,
                             std::vector<CaseRecord>& records) {
  load.device.timestamps = true;
  PUMICE_TRY_ASSIGN(const std::unique_ptr<ModelBench> bench, ModelBench::open(load, cases));
  for (CaseRecord& record : records) {
    show_step("kernels: " + record.one.name());
    PUMICE_TRY_ASSIGN(record.kernels, time_kernels(*bench, record.one));
  }
  return {};
}

/// What part of the measured bandwidth the rows reach; rows without GB/s are left alone.
void add_shares(BenchResults& results) {
  const double roof = results.roof.value("bytes_per_second", 0.0);
  if (roof <= 0) return;
  for (BenchRow& row : results.rows)
    if (const auto rate = row.more.find("gigabytes_per_second"); rate != row.more.end())
      row.more["roof_percent"] = 100 * rate->get<double>() * 1e9 / roof;
}

struct Measured {
  BenchResults results;
  std::vector<CaseRecord> records;
  std::vector<std::string> notes;
};

/// `caches`: of compiled pipelines, that were there before.
BenchRow start_row(const char* name, const std::vector<double>& seconds, const char* caches) {
  BenchRow row{name, "ms", false, {}, {{"caches", caches}}};
  for (const double one : seconds) row.samples.push_back(one * 1e3);
  return row;
}

std::string families_text(const CaseRecord& record) {
  const KernelTimes& times = *record.kernels;
  std::string text = fmt::format("GPU time of {}: {} us a step", record.one.name(),
                                 figure(times.microseconds / times.steps));
  for (size_t i = 0; i < std::min(times.families.size(), kFamiliesShown); ++i) {
    const KernelTimes::Family& family = times.families[i];
    text += fmt::format("{} {} {:.1f} %", i == 0 ? ":" : ",", family.name,
                        100 * family.microseconds / std::max(times.microseconds, 1e-9));
    if (family.weight_bytes != 0 && family.microseconds > 0)
      text += fmt::format(" ({} GB/s)",
                          figure(double(family.weight_bytes) / family.microseconds * 1e-3));
  }
  return text;
}

Result<Measured> measure_all(const BenchModelFlags& flags, const LoadOptions& load,
                             const std::vector<BenchCase>& cases) {
  Measured all;
  PUMICE_TRY_ASSIGN(const StartTimes starts, time_starts(load, flags.starts));
  for (const BenchCase& one : cases) all.records.push_back({one, {}, {}, {}, {}});
  bool timestamps = false;
  {
    show_step("loading");
    PUMICE_TRY_ASSIGN(const std::unique_ptr<ModelBench> bench, ModelBench::open(load, cases));
    PUMICE_TRY(measure(*bench, flags.repetitions, all.records));
    all.results = model_results(flags, bench->engine());
    const Capabilities& caps = bench->engine().device().capabilities();
    timestamps = caps.timestamps;
    all.notes.push_back(fmt::format("{}; {}; {}", printable(caps.device_name),
                                    describe(bench->engine().plan().policy),
                                    all.results.subject.value("name", "")));
  }
  if (!flags.no_kernels && timestamps) PUMICE_TRY(measure_kernels(load, cases, all.records));
  if (!flags.no_roof) {
    show_step("measuring the roof");  // on a device of its own, after the model's is gone
    PUMICE_TRY_ASSIGN(const bench::Roofs roofs, bench::measure_roofs(load.device));
    all.results.roof = roof_json(roofs);
    all.notes.push_back(roof_line(roofs));
  }
  if (!timestamps)
    all.notes.push_back("this device has no timestamps: all times are the host's, none by kernel");
  for (const CaseRecord& record : all.records) {
    all.results.rows.push_back(row_of(record));
    if (!timestamps) all.results.rows.back().more["gpu"] = {{"clock", "none: host time only"}};
    if (record.kernels) all.notes.push_back(families_text(record));
  }
  if (!flags.no_roof) add_shares(all.results);
  if (flags.starts != 0) {
    all.results.rows.push_back(start_row("first token, cold", starts.cold, "the driver's own"));
    all.results.rows.push_back(
        start_row("first token, warm", starts.warm, "the driver's own and pumice's"));
    all.notes.emplace_back(
        "first token: loading included; cold: without pumice's cache of pipelines, but with the "
        "driver's own (Mesa's ~/.cache/mesa_shader_cache stays) and the file in memory");
  }
  return all;
}

std::string interval_text(const Summary& summary) {
  const std::string text = fmt::format("{} .. {}", figure(summary.low), figure(summary.high));
  return summary.coverage >= 0.95 ? text
                                  : text + fmt::format(" ({:.3g} %)", 100 * summary.coverage);
}

/// The fields of a row that not every row has; empty texts where it has not.
struct Extra {
  std::string gigabytes, roof, host_us;
};

Extra extra_of(const BenchRow& row) {
  Extra extra;
  const auto bytes = row.more.find("gigabytes_per_second");
  if (bytes != row.more.end()) extra.gigabytes = figure(bytes->get<double>());
  const auto roof = row.more.find("roof_percent");
  if (roof != row.more.end()) extra.roof = fmt::format("{:.1f}", roof->get<double>());
  const auto host = row.more.find("host_us_per_token");
  if (host != row.more.end()) extra.host_us = figure((*host)["median"].get<double>());
  return extra;
}

BenchTable table_of(const BenchResults& results, const BenchFormat& format) {
  BenchTable table{{"test", "unit", "median", "quartiles", "95 % interval", "GB/s", "% of roof",
                    "host us/token"},
                   {}};
  if (format.csv)
    table.head = {"test",
                  "unit",
                  "n",
                  "median",
                  "q1",
                  "q3",
                  "low",
                  "high",
                  "coverage",
                  "gigabytes_per_second",
                  "roof_percent",
                  "host_us_per_token"};
  for (const BenchRow& row : results.rows) {
    const Summary summary = summarise(row.samples);
    const Extra extra = extra_of(row);
    if (format.csv)
      table.rows.push_back({row.name, row.unit, fmt::format("{}", summary.n),
                            fmt::format("{}", summary.median), fmt::format("{}", summary.q1),
                            fmt::format("{}", summary.q3), fmt::format("{}", summary.low),
                            fmt::format("{}", summary.high), fmt::format("{}", summary.coverage),
                            extra.gigabytes, extra.roof, extra.host_us});
    else
      table.rows.push_back({row.name, row.unit, figure(summary.median),
                            fmt::format("{} .. {}", figure(summary.q1), figure(summary.q3)),
                            interval_text(summary), extra.gigabytes, extra.roof, extra.host_us});
  }
  return table;
}

/// The model that the flags name, in memory where it is synthetic.
Result<LoadOptions> model_of(const BenchModelFlags& flags) {
  PUMICE_TRY_ASSIGN(LoadOptions load, load_options(flags.model));
  if (flags.synthetic.empty()) return load;
  PUMICE_TRY_ASSIGN(const SyntheticSpec spec, parse_synthetic(flags.synthetic));
  show_step("making " + flags.synthetic);
  PUMICE_TRY_ASSIGN(load.file,
                    make_synthetic(spec, [](uint64_t, uint64_t) { return interrupts() == 0; }));
  return load;
}

Outcome write_model(const BenchModelFlags& flags) {
  if (flags.synthetic.empty()) return usage("--write needs --synthetic SHAPE:TYPE");
  PUMICE_TRY_ASSIGN(const SyntheticSpec spec, parse_synthetic(flags.synthetic));
  PUMICE_TRY_ASSIGN(
      const uint64_t bytes,
      write_synthetic(spec, flags.write, [](uint64_t, uint64_t) { return interrupts() == 0; }));
  return write_text(fmt::format("{}: {}, {}\n", flags.write, flags.synthetic, bytes_text(bytes)));
}

Outcome run(BenchModelFlags flags) {
  const Result<std::vector<BenchCase>> cases = cases_of(flags);
  if (!cases) return usage("{}", cases.error().text);
  if (const Result<LoadOptions> load = load_options(flags.model); !load)
    return usage("{}", load.error().text);
  if (!flags.synthetic.empty())
    if (const Result<SyntheticSpec> spec = parse_synthetic(flags.synthetic); !spec)
      return usage("{}", spec.error().text);
  count_interrupts();
  if (!flags.write.empty()) return write_model(flags);
  if (Outcome found = find_model(flags.model.hub, flags.model.model); !found) return found;
  PUMICE_TRY_ASSIGN(LoadOptions load, model_of(flags));
  load.progress = [](uint64_t, uint64_t) { return interrupts() == 0; };
  if (!flags.interleave.empty()) return interleave(flags, load, *cases);
  const Result<Measured> all = measure_all(flags, load, *cases);
  show_step("");
  if (!all) return tl::unexpected<Failure>(Failure(all.error()));
  return write_results(all->results, table_of(all->results, flags.format), all->notes,
                       flags.format);
}

void add_case_flags(CLI::App& app, BenchModelFlags& flags) {
  struct Row {
    const char* names;
    std::vector<uint32_t>& list;
    uint32_t least, most;
    const char* what;
  };
  const Row rows[] = {
      {"-p,--n-prompt", flags.prompts, 0, kMostTokens, "Prompt tokens: 512,64 (0: none)"},
      {"-n,--n-gen", flags.generated, 0, kMostTokens, "Tokens to write: 128 (0: none)"},
      {"-d,--n-depth", flags.depths, 0, kMostTokens, "Tokens in the cache before: 0,4096"},
      {"-b,--sequences", flags.sequences, 1, kMostSequences, "Sequences that write side by side"},
  };
  for (const Row& row : rows)
    app.add_option(row.names, row.list, row.what)
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->check(CLI::Range(row.least, row.most))
        ->capture_default_str();
  app.add_option("-r,--repetitions", flags.repetitions, "Of every row, in turn")
      ->check(CLI::Range(uint32_t(1), kMostRepetitions))
      ->capture_default_str();
  app.add_option("--starts", flags.starts,
                 "Starts to the first token, without and with pumice's pipeline cache (0: none)")
      ->check(CLI::Range(uint32_t(0), uint32_t(100)))
      ->capture_default_str();
  app.add_flag("--no-kernels", flags.no_kernels, "No GPU time by kernel family");
  app.add_flag("--no-roof", flags.no_roof, "Do not measure what the device can do at most");
}

void add_run_flags(CLI::App& app, ModelFlags& flags) {
  app.add_option("--batch-size", flags.batch, "Prompt tokens per step (0: chosen)")
      ->check(CLI::Range(uint32_t(0), uint32_t(1) << 16));
  app.add_option("--device", flags.device, "Index or part of the name (see pumice devices)");
  add_precision_flags(app, flags);
  app.add_option("--without", flags.without,
                 "Capabilities to leave unused: fp16,dot8,subgroup,coopmat,texel");
  app.add_flag("--deterministic", flags.deterministic,
               "Measure the kernels that give the same bits however the prompt is cut");
  app.add_flag("--validate", flags.validate, "Run under the Khronos validation layer");
  app.add_flag("--no-cache", flags.no_cache,
               "Neither compiled pipelines nor a device profile of earlier runs");
  app.add_flag("-v,--verbose", flags.verbose, "Print decisions to stderr");
}

}  // namespace

std::string BenchCase::name() const {
  std::string text = prompt != 0 ? fmt::format("pp{}", prompt) : fmt::format("tg{}", generated);
  if (sequences > 1) text += fmt::format(" x {} sequences", sequences);
  if (depth != 0) text += fmt::format(" @ d{}", depth);
  return text;
}

Result<std::vector<BenchCase>> cases_of(const BenchModelFlags& flags) {
  std::vector<BenchCase> cases;
  const auto add = [&](const BenchCase& one) {
    if (std::none_of(cases.begin(), cases.end(),
                     [&](const BenchCase& known) { return known.name() == one.name(); }))
      cases.push_back(one);
  };
  for (const uint32_t depth : flags.depths) {
    for (const uint32_t prompt : flags.prompts)
      if (prompt != 0) add({prompt, 0, depth, 1});
    for (const uint32_t generated : flags.generated)
      for (const uint32_t sequences : flags.sequences)
        if (generated != 0) add({0, generated, depth, sequences});
    if (cases.size() > kMostCases)
      return fail(ErrorCode::BadArgument, "more than {} rows", kMostCases);
  }
  if (cases.empty()) return fail(ErrorCode::BadArgument, "-p 0 and -n 0 leave nothing to measure");
  return cases;
}

BenchResults model_results(const BenchModelFlags& flags, Engine& engine) {
  const GgufFile& file = engine.file();
  const RunOptions& run = engine.plan().options;
  BenchResults results = new_results("model", engine.device().capabilities());
  uint64_t weights = 0;
  for (const TensorInfo& tensor : file.tensors()) weights += tensor.n_weights;
  results.subject = {{"name", std::filesystem::path(file.name()).filename().string()},
                     {"architecture", engine.config().architecture},
                     {"layers", engine.config().n_layers},
                     {"weights", weights},
                     {"bytes", file.tensor_bytes()},
                     {"types", format_types(file)}};
  results.options = {{"policy", describe(engine.plan().policy)},
                     {"repetitions", flags.repetitions},
                     {"context", run.context},
                     {"sequences", run.max_sequences},
                     {"chunk", run.max_chunk},
                     {"deterministic", run.deterministic},
                     {"without", flags.model.without},
                     {"dispatches_per_token", engine.dispatches_per_step()}};
  return results;
}

Action add_bench_model(CLI::App& app) {
  auto flags = std::make_shared<BenchModelFlags>();
  CLI::Option* synthetic = app.add_option(
      "--synthetic", flags->synthetic,
      "SHAPE:TYPE, a model without a file: 1B:q4_k_m, or layers=16,width=2048,heads=32,"
      "kv=8,ff=8192,vocab=128256:q4_k_m (shapes: " +
          synthetic_names() + ")");
  synthetic->excludes(add_model_option(app, flags->model.model, flags->model.hub, synthetic));
  synthetic->excludes(app.get_option("--hf-repo"));
  app.add_option("--write", flags->write, "Write the synthetic model to a file, and end");
  add_case_flags(app, *flags);
  app.add_option("--interleave", flags->interleave,
                 "Shell command of another program, run in turn with our one row; the last number "
                 "it prints is its tokens/s");
  app.add_flag("--interleave-time", flags->interleave_time,
               "Compare seconds from start to end, loading included, instead of what it prints");
  add_run_flags(app, flags->model);
  add_format_flags(app, flags->format);
  return [flags] { return run(*flags); };
}

}  // namespace pumice::command
