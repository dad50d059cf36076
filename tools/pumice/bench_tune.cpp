// `pumice bench tune`: the fastest choices of the kernel table on this device, measured and kept as
// its profile.
#include <algorithm>
#include <memory>

#include "bench.h"
#include "engine/base/platform.h"
#include "engine/session/device_profile.h"
#include "options.h"
#include "output.h"
#include "tools/bench/kernels.h"
#include "tools/bench/tune.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

struct TuneFlags {
  std::string device, folder = cache_folder().string();
  double seconds = 1;
  uint32_t walk_mib = 128, size = 4096;
  bool dry_run = false;
  BenchFormat format;
};

BenchTable table_of(const bench::TuneResult& tuned) {
  BenchTable table{{"choice", "value", "speed", "95 % interval", ""}, {}};
  for (const bench::TuneChoice& choice : tuned.choices)
    table.rows.push_back(
        {choice.axis, choice.value, fmt::format("{:.3f}", choice.speed),
         choice.by_default ? "default" : fmt::format("{:.3f} .. {:.3f}", choice.low, choice.high),
         choice.chosen ? "chosen" : ""});
  return table;
}

BenchResults results_of(const TuneFlags& flags, const Capabilities& caps,
                        const bench::TuneResult& tuned) {
  BenchResults results = new_results("tune", caps);
  results.options = {{"seconds", flags.seconds},
                     {"walk_bytes", uint64_t{flags.walk_mib} << 20},
                     {"size", flags.size}};
  Json choices = Json::array();
  for (const bench::TuneChoice& choice : tuned.choices)
    choices.push_back({{"axis", choice.axis},
                       {"value", choice.value},
                       {"speed", choice.speed},
                       {"interval", {choice.low, choice.high}},
                       {"default", choice.by_default},
                       {"chosen", choice.chosen}});
  results.subject = {{"choices", choices}};
  for (const bench::TuneTimes& times : tuned.times) {
    BenchRow row{times.name, "us", false, times.seconds, Json::object()};
    for (double& sample : row.samples) sample *= 1e6;
    results.rows.push_back(std::move(row));
  }
  return results;
}

Result<bench::TuneResult> measure(const TuneFlags& flags, vk::Device& device) {
  PUMICE_TRY_ASSIGN(bench::Stopwatch stopwatch, bench::Stopwatch::create(device));
  bench::TuneEffort effort;
  effort.kernel.effort.seconds = flags.seconds;
  effort.kernel.walk = uint64_t{flags.walk_mib} << 20;
  effort.size = flags.size;
  return bench::tune(device, stopwatch, effort, [](const std::string& what) {
    show_step(what);
    return interrupts() == 0;
  });
}

Outcome run(const TuneFlags& flags) {
  if (flags.folder.empty() && !flags.dry_run)
    return fail(ErrorCode::NotFound,
                "this user has no cache folder (XDG_CACHE_HOME, HOME); name one with --folder");
  if (flags.size % 256 != 0) return usage("--size {}: a multiple of 256 is needed", flags.size);
  vk::DeviceOptions options;
  options.select = flags.device;
  options.timestamps = true;
  options.kernels = bench::find_bench_kernel;
  PUMICE_TRY_ASSIGN(const auto device, vk::Device::open(options));
  const Capabilities& caps = device->capabilities();
  const Result<bench::TuneResult> tuned = measure(flags, *device);
  show_step("");
  if (!tuned) return tl::unexpected<Failure>(Failure(tuned.error()));
  std::vector<std::string> notes = {
      "speed: times the default's, mean over matrices; what is not clearly faster is not chosen",
      fmt::format("{}: {}", printable(caps.device_name),
                  describe(choose_policy(caps, {.tuning = tuned->tuning})))};
  if (!flags.dry_run) {
    PUMICE_TRY_ASSIGN(const std::string path, write_profile(flags.folder, caps, tuned->tuning));
    notes.push_back("profile: " + printable(path));
  }
  return write_results(results_of(flags, caps, *tuned), table_of(*tuned), notes, flags.format);
}

}  // namespace

Action add_bench_tune(CLI::App& app) {
  auto flags = std::make_shared<TuneFlags>();
  app.add_option("--device", flags->device, "Index or part of the name (see pumice devices)");
  app.add_option("--folder", flags->folder, "Where the profile is kept (the user's cache folder)");
  app.add_option("--seconds", flags->seconds, "Longest time per measurement")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  app.add_option("--walk", flags->walk_mib, "MiB of weights read before any is read again")
      ->check(CLI::Range(1u, 1u << 16))
      ->capture_default_str();
  app.add_option("--size", flags->size, "Rows, and row length, of the matrices")
      ->check(CLI::Range(256u, 16384u))
      ->capture_default_str();
  app.add_flag("--dry-run", flags->dry_run, "Measure and write no profile");
  add_format_flags(app, flags->format);
  return [flags] {
    count_interrupts();
    return run(*flags);
  };
}

}  // namespace pumice::command
