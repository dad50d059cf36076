// `pumice lab`: one page that answers common claims about quantisation for the model at hand.
#include "lab.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "engine/base/platform.h"
#include "engine/base/platform_file.h"
#include "generate.h"
#include "output.h"
#include "reply_positions.h"

namespace pumice::command {
namespace {

struct SectionRow {
  const char* id;
  const char* title;
  Result<LabSection> (*measure)(LabBench& bench);
};

// Sensitivities come before what is computed from them.
constexpr std::array kSections = {
    SectionRow{"magnitude", "1. Error by weight magnitude", magnitude_section},
    SectionRow{"sensitivity", "2. Sensitivity of layers and tensors", sensitivity_section},
    SectionRow{"weighing", "3. Importance by |w|, activation and Hessian", weighing_section},
    SectionRow{"granularity", "4. Granularity", granularity_section},
    SectionRow{"outliers", "5. Outliers among activations", outlier_section},
    SectionRow{"equal-bytes", "6. Equal bytes", equal_bytes_section},
    SectionRow{"grid", "7. Weights, activations and cache", grid_section},
    SectionRow{"flips", "8. Margins and flips", flip_section},
    SectionRow{"temperature", "9. Temperatures", temperature_section},
    SectionRow{"depth", "10. Error by depth", depth_section},
    SectionRow{"prediction", "11. Predicted and measured", prediction_section},
};

using Clock = std::chrono::steady_clock;

/// The files that will be there at the end, or not at all.
struct Outputs {
  std::unique_ptr<NewFile> report, json;
};

Result<Outputs> open_outputs(const LabOptions& options) {
  Outputs outputs;
  for (const std::string* path : {&options.report, &options.json}) {
    if (path->empty()) continue;
    if (same_file(*path, options.model.model) ||
        (!options.text.empty() && same_file(*path, options.text)))
      return fail(ErrorCode::BadArgument, "{}: that is an input of this command", *path);
  }
  PUMICE_TRY_ASSIGN(outputs.report, NewFile::create(options.report));
  if (options.json.empty()) return outputs;
  std::error_code ignored;
  if (std::filesystem::weakly_canonical(options.json, ignored) ==
      std::filesystem::weakly_canonical(options.report, ignored))
    return fail(ErrorCode::BadArgument, "--json: {} is the report", options.json);
  PUMICE_TRY_ASSIGN(outputs.json, NewFile::create(options.json));
  return outputs;
}

Result<void> write(NewFile& file, std::string_view text) {
  PUMICE_TRY(file.write(std::as_bytes(std::span(text))));
  return file.finish();
}

/// What a section may fail with and the page still be worth having.
bool only_this_section(ErrorCode code) {
  return code == ErrorCode::Unsupported || code == ErrorCode::BadArgument ||
         code == ErrorCode::OutOfMemory || code == ErrorCode::Io || code == ErrorCode::NotFound;
}

bool wanted(const SectionRow& row, const LabOptions& options) {
  return options.sections.empty() ||
         std::ranges::find(options.sections, row.id) != options.sections.end();
}

std::vector<std::string> section_ids() {
  std::vector<std::string> ids;
  for (const SectionRow& row : kSections) ids.push_back(row.id);
  return ids;
}

Result<std::vector<LabSection>> run_sections(LabBench& bench) {
  std::vector<LabSection> sections;
  for (const SectionRow& row : kSections) {
    if (!wanted(row, bench.options)) continue;
    bench.progress->begin(row.title);
    Result<LabSection> section = row.measure(bench);
    if (!section) {
      if (!only_this_section(section.error().code))
        return tl::unexpected<Error>(std::move(section.error()));
      LabSection absent;
      absent.absent = section.error().text;
      section = std::move(absent);
      PUMICE_TRY(bench.restore_all());
    }
    section->id = row.id;
    section->title = row.title;
    sections.push_back(std::move(*section));
  }
  return sections;
}

std::string command_line(const LabOptions& options) {
  std::string line = fmt::format("pumice lab {} -m {}", options.report, options.model.model);
  if (!options.text.empty()) line += " -f " + options.text;
  if (options.model.context != 0) line += fmt::format(" -c {}", options.model.context);
  if (options.chunks != 0) line += fmt::format(" --chunks {}", options.chunks);
  if (!options.sections.empty())
    line += fmt::format(" --sections {}", fmt::join(options.sections, ","));
  if (options.allocations != 0) line += fmt::format(" --allocations {}", options.allocations);
  line += fmt::format(" --seed {}", options.seed);
  if (!options.model.device.empty()) line += " --device " + options.model.device;
  if (!options.model.without.empty()) line += " --without " + options.model.without;
  for (const auto& [given, flag] : {std::pair(options.ids, " --ids"),
                                    {options.replies, " --replies"},
                                    {options.quick, " --quick"}})
    if (given) line += flag;
  if (!options.json.empty()) line += " --json " + options.json;
  return line;
}

std::string types_text(const GgufFile& file) {
  std::map<std::string, uint64_t> weights;
  for (const TensorInfo& tensor : file.tensors())
    weights[upper_name(tensor.type)] += tensor.n_weights;
  std::string text;
  for (const auto& [type, count] : weights)
    text += fmt::format("{}{} {:.3g} M", text.empty() ? "" : ", ", type, double(count) / 1e6);
  return text;
}

LabHead head_of(LabBench& bench, double seconds) {
  const auto text = [](const quant::EvaluationText& part) {
    return fmt::format("{} chunks of {} tokens, {} positions scored", part.chunks, part.context,
                       part.positions());
  };
  const std::filesystem::path path(bench.options.model.model);
  return {{
      {"Model", path.filename().string()},
      {"Architecture", fmt::format("{}, {} layers", bench.facts.architecture, bench.facts.layers)},
      {"Weights", types_text(*bench.file)},
      {"Device", bench.engine->device().capabilities().device_name},
      {"Kernels", describe(bench.engine->plan().policy)},
      {"Text", bench.text_name},
      {"Calibration", text(bench.calibration)},
      {"Test", text(bench.test)},
      {"Seconds", fmt::format("{:.1f}", seconds)},
      {"Seed", fmt::format("{}", bench.options.seed)},
      {"Version", "pumice " PUMICE_VERSION},
      {"Command", command_line(bench.options)},
  }};
}

void report(const LabOptions& options, const std::vector<LabSection>& sections, double seconds) {
  size_t verdicts = 0;
  for (const LabSection& section : sections) {
    verdicts += section.verdicts.size();
    if (!section.absent.empty())
      std::fprintf(stderr, "%s: not measured: %s\n", section.title.c_str(),
                   printable(section.absent, 400).c_str());
    if (section.id == "prediction")
      for (const Verdict& verdict : section.verdicts)
        std::fprintf(stderr, "%s\n", verdict.words.c_str());
  }
  std::fprintf(stderr, "%s: %zu sections, %zu verdicts, %.1f s\n", options.report.c_str(),
               sections.size(), verdicts, seconds);
}

Result<void> measure_and_write(const LabOptions& options) {
  const Clock::time_point start = Clock::now();
  PUMICE_TRY_ASSIGN(const Outputs outputs, open_outputs(options));
  std::vector<LabSection> sections;
  LabHead head;
  double seconds = 0;
  {
    const auto count = std::ranges::count_if(
        kSections, [&](const SectionRow& row) { return wanted(row, options); });
    LabProgress progress(size_t(count) + 1);
    progress.begin("Text, statistics, reference");
    PUMICE_TRY_ASSIGN(const std::unique_ptr<LabBench> bench, LabBench::open(options, progress));
    PUMICE_TRY_ASSIGN(sections, run_sections(*bench));
    PUMICE_TRY(check_validation(*bench->engine));
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
    head = head_of(*bench, seconds);
  }
  if (outputs.json) {
    const std::string json =
        lab_json(head, sections)
            .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    PUMICE_TRY(write(*outputs.json, json + "\n"));
  }
  PUMICE_TRY(write(*outputs.report, lab_page(head, sections)));
  report(options, sections, seconds);
  return {};
}

Outcome lab(LabOptions options) {
  if (const Result<LoadOptions> load = load_options(options.model); !load)
    return usage("{}", load.error().text);
  if (Outcome found = find_model(options.model.hub, options.model.model); !found) return found;
  count_interrupts();
  const Result<void> done = measure_and_write(options);
  if (done) return {};
  if (done.error().code == ErrorCode::Cancelled)
    return tl::unexpected<Failure>(Failure(kFailed, "interrupted; nothing was written"));
  return tl::unexpected<Failure>(Failure(done.error()));
}

}  // namespace

Action add_lab(CLI::App& app) {
  auto options = std::make_shared<LabOptions>();
  app.add_option("report", options->report, "Page to write (HTML)")->required();
  add_model_option(app, options->model.model, options->model.hub);
  CLI::Option* text =
      app.add_option("-f,--file", options->text,
                     "Text in UTF-8: its first half calibrates, its second tests (default: a short "
                     "one that is built in)");
  app.add_flag("--ids", options->ids, "The file holds token ids instead of text")->needs(text);
  app.add_flag("--replies", options->replies, kRepliesOption)->needs(text);
  app.add_option("-c,--ctx-size,--context", options->model.context, "Tokens per chunk (0: chosen)")
      ->check(CLI::Range(uint32_t(0), uint32_t(1) << 20));
  app.add_option("--chunks", options->chunks, "Chunks of each half (0: 8, quick 2)")
      ->check(CLI::Range(uint32_t(0), uint32_t(1) << 20));
  app.add_option("--sections", options->sections,
                 "Only these, for example sensitivity,prediction (default: all; equal-bytes, depth "
                 "and prediction use what sensitivity measures)")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false)
      ->check(CLI::IsMember(section_ids()));
  app.add_option("--allocations", options->allocations,
                 "Random allocations of the last section (0: 60, quick 12)")
      ->check(CLI::Range(uint32_t(0), uint32_t(10'000)));
  app.add_flag("--quick", options->quick, "Fewer chunks, types and runs: a first look");
  app.add_option("-s,--seed", options->seed, "Seed of random allocations")->capture_default_str();
  app.add_option("--json", options->json, "Also write all numbers as JSON to a file");
  app.add_option("--device", options->model.device, "Index or part of the name");
  app.add_option("--without", options->model.without,
                 "Capabilities to leave unused: fp16,dot8,subgroup,coopmat,texel");
  app.add_flag("--validate", options->model.validate, "Run under the Khronos validation layer");
  app.add_flag("--no-cache", options->model.no_cache, "Neither read nor write compiled pipelines");
  app.add_flag("-v,--verbose", options->model.verbose, "Print decisions to stderr");
  return [options] { return lab(*options); };
}

}  // namespace pumice::command
