// `pumice bench shader`: a compute shader of the user's own, compiled whenever it is saved, timed
// and placed under the device's roofs.
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <thread>

#include "bench.h"
#include "bench_roof.h"
#include "engine/base/platform.h"
#include "engine/session/option_words.h"
#include "glsl.h"
#include "options.h"
#include "output.h"
#include "tools/bench/shader_times.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kDefaultBuffer = uint64_t{16} << 20;
constexpr uint32_t kMostBindings = 32;
constexpr auto kLook = std::chrono::milliseconds(200);  ///< between looks at the file

struct ShaderFlags {
  std::string file, device, without, push, buffers, groups = "1", constants;
  double bytes = 0, operations = 0, seconds = 3, watchdog_ms = 1e3 * bench::kWatchdogSeconds;
  uint32_t walk_mib = 256;
  bool once = false;
  BenchFormat format;
};

std::vector<std::string> parts_of(const std::string& text, char between) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size() && !text.empty();) {
    const size_t end = std::min(text.find(between, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <class Number>
bool parse_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

/// 7, -1, 0.5 (as f32 bits): words of push constants and specialization constants.
Result<std::vector<uint32_t>> parse_words(const char* flag, const std::string& text) {
  std::vector<uint32_t> words;
  for (const std::string& part : parts_of(text, ',')) {
    uint32_t whole = 0;
    int32_t negative = 0;
    float real = 0;
    if (parse_number(part, whole))
      words.push_back(whole);
    else if (parse_number(part, negative))
      words.push_back(uint32_t(negative));
    else if (parse_number(part, real))
      words.push_back(std::bit_cast<uint32_t>(real));
    else
      return fail(ErrorCode::BadArgument, "{} \"{}\": \"{}\" is no number of 32 bits", flag, text,
                  part);
  }
  return words;
}

/// "64MiB", "4096", "1GiB:random".
Result<bench::ShaderBuffer> parse_buffer(const std::string& text) {
  constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
  std::string_view rest = text;
  bench::ShaderBuffer buffer;
  if (rest.ends_with(":random")) {
    buffer.random = true;
    rest.remove_suffix(7);
  }
  const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  uint32_t number = 0;
  if (parse_number(rest.substr(0, digits), number))
    for (const auto& [unit, bytes] : kUnits)
      if (rest.substr(digits) == unit) buffer.bytes = number * bytes;
  if (buffer.bytes != 0) return buffer;
  return fail(
      ErrorCode::BadArgument,
      "--buffers: \"{}\" is no size; say 4096, 64KiB, 16MiB or 1GiB, with :random behind it "
      "for random numbers",
      text);
}

Result<std::vector<bench::ShaderBuffer>> parse_buffers(const std::string& text) {
  std::vector<bench::ShaderBuffer> buffers;
  for (const std::string& part : parts_of(text, ',')) {
    PUMICE_TRY_ASSIGN(const bench::ShaderBuffer buffer, parse_buffer(part));
    buffers.push_back(buffer);
  }
  return buffers;
}

/// Those that the shader binds: the first of what was given, or of the usual size.
Result<std::vector<bench::ShaderBuffer>> buffers_for(const ShaderFlags& flags,
                                                     std::vector<bench::ShaderBuffer> given,
                                                     uint32_t needed) {
  if (needed > kMostBindings)
    return fail(ErrorCode::Unsupported, "{} has a binding {}; the highest that is bound is {}",
                flags.file, needed - 1, kMostBindings - 1);
  if (given.empty()) given.assign(needed, {kDefaultBuffer});
  if (given.size() < needed)
    return fail(ErrorCode::BadArgument, "{} binds {} buffers, and --buffers gives {}", flags.file,
                needed, given.size());
  given.resize(needed);
  return given;
}

Result<std::array<uint32_t, 3>> parse_groups(const std::string& text) {
  std::array<uint32_t, 3> groups{1, 1, 1};
  const auto parts = parts_of(text, 'x');
  bool fine = !parts.empty() && parts.size() <= 3;
  for (size_t i = 0; fine && i < parts.size(); ++i)
    fine = parse_number(parts[i], groups[i]) && groups[i] != 0;
  if (fine) return groups;
  return fail(ErrorCode::BadArgument, "--groups \"{}\": 1024, 64x16 or 64x16x2 were expected",
              text);
}

/// The device with what is measured once on it.
struct Bench {
  bench::ShaderStore store;
  std::unique_ptr<vk::Device> device;
  std::unique_ptr<bench::Stopwatch> stopwatch;
  bench::Roofs roofs;

  void close() {
    stopwatch.reset();
    device.reset();
  }
};

Result<void> open_bench(const ShaderFlags& flags, Bench& all) {
  show_step("measuring the roofs");
  vk::DeviceOptions options;
  options.select = flags.device;
  PUMICE_TRY_ASSIGN(options.without, parse_mask(flags.without, "--without"));
  options.timestamps = true;
  options.pipeline_statistics = true;
  options.kernels = [&all](const std::string& name) { return all.store.find(name); };
  PUMICE_TRY_ASSIGN(all.device, vk::Device::open(options));
  PUMICE_TRY_ASSIGN(bench::Stopwatch stopwatch, bench::Stopwatch::create(*all.device));
  all.stopwatch = std::make_unique<bench::Stopwatch>(stopwatch);
  const bench::RoofEffort effort{uint64_t{flags.walk_mib} << 20,
                                 {.seconds = std::min(flags.seconds, 1.0)}};
  PUMICE_TRY_ASSIGN(all.roofs, bench::measure_roofs(*all.device, *all.stopwatch, effort));
  return {};
}

/// What the flags say of every version of the shader: all but its kernel, and buffers as given.
Result<bench::ShaderJob> parse_job(const ShaderFlags& flags) {
  bench::ShaderJob job;
  PUMICE_TRY_ASSIGN(job.buffers, parse_buffers(flags.buffers));
  PUMICE_TRY_ASSIGN(job.push, parse_words("--push", flags.push));
  PUMICE_TRY_ASSIGN(job.constants, parse_words("--constants", flags.constants));
  PUMICE_TRY_ASSIGN(job.groups, parse_groups(flags.groups));
  PUMICE_TRY(parse_mask(flags.without, "--without"));
  job.effort.seconds = flags.seconds;
  job.walk = uint64_t{flags.walk_mib} << 20;
  job.watchdog = flags.watchdog_ms * 1e-3;
  return job;
}

/// The job of the file as it is now.
Result<bench::ShaderJob> job_of(const ShaderFlags& flags, bench::ShaderJob job,
                                bench::ShaderStore& store) {
  PUMICE_TRY_ASSIGN(std::vector<uint32_t> spirv, compile_glsl(flags.file));
  auto needed = bench::bindings_of(spirv);
  if (!needed) return fail_in(flags.file, std::move(needed.error()));
  PUMICE_TRY_ASSIGN(job.buffers, buffers_for(flags, std::move(job.buffers), *needed));
  job.kernel = store.add(std::move(spirv));
  return job;
}

std::string statistics_text(const bench::KernelStatistics& statistics) {
  std::string text;
  for (size_t i = 0; i < bench::kStatistics; ++i)
    if (statistics.values[i])
      text += fmt::format("{}{} {}", text.empty() ? "compiler: " : ", ",
                          statistic_name(bench::Statistic(i)), *statistics.values[i]);
  return text.empty() ? "the driver reports no compiler statistics" : text;
}

Outcome print(const ShaderFlags& flags, const Bench& all, const bench::ShaderJob& job,
              const bench::ShaderTimes& times) {
  BenchResults results = new_results("shader", all.device->capabilities());
  results.subject = {{"file", flags.file}};
  results.options = {{"groups", job.groups},
                     {"push", job.push},
                     {"constants", job.constants},
                     {"buffers", flags.buffers}};
  results.roof = roof_json(all.roofs);
  BenchRow row{flags.file, "us", false, times.seconds, Json::object()};
  for (double& sample : row.samples) sample *= 1e6;
  double bytes = flags.bytes;
  if (bytes <= 0)
    for (const bench::ShaderBuffer& buffer : job.buffers) bytes += double(buffer.bytes);
  place_on_roofline(row, {bytes, flags.operations}, all.roofs);
  row.more["settled"] = times.settled;
  row.more["cached"] = times.cached;
  BenchTable table{{"shader", "us", "+-%"}, {{row.name}}};
  table.rows[0].push_back(figure(summarise(row.samples).median));
  table.rows[0].push_back(interval_cell(row));
  for (const std::string& head : roofline_heads()) table.head.push_back(head);
  for (const std::string& cell : roofline_cells(row)) table.rows[0].push_back(cell);
  std::vector<std::string> notes{statistics_text(times.statistics)};
  if (flags.bytes <= 0) notes.emplace_back("bytes: every buffer once (--bytes says otherwise)");
  if (job.buffers.size() < parts_of(flags.buffers, ',').size())
    notes.push_back(
        fmt::format("--buffers: the shader uses the first {} alone", job.buffers.size()));
  if (!times.settled) notes.emplace_back("the 95 % interval is still wider than 2 %");
  if (times.cached) notes.emplace_back("its buffers may stay in caches");
  notes.push_back(describe(all.roofs));
  notes.back().pop_back();
  results.rows.push_back(std::move(row));
  return write_results(results, table, notes, flags.format);
}

Outcome time_job(const ShaderFlags& flags, Bench& all, const bench::ShaderJob& job) {
  if (all.device == nullptr) PUMICE_TRY(open_bench(flags, all));
  show_step("timing " + flags.file);
  auto times = bench::time_shader(*all.device, *all.stopwatch, job);
  show_step("");
  if (times) return print(flags, all, job, *times);
  if (times.error().code == ErrorCode::DeviceLost) all.close();
  return fail_in(flags.file, std::move(times.error()));
}

/// The latest change of any source; what does not exist has none.
std::filesystem::file_time_type last_change(const std::vector<std::string>& sources) {
  auto latest = std::filesystem::file_time_type::min();
  for (const std::string& source : sources) {
    std::error_code failed;
    const auto time = std::filesystem::last_write_time(source, failed);
    if (!failed) latest = std::max(latest, time);
  }
  return latest;
}

void wait_for_change(const ShaderFlags& flags, const std::vector<std::string>& sources,
                     std::filesystem::file_time_type before) {
  show_step(flags.file + ": timed again when it is saved; Ctrl-C ends");
  while (interrupts() == 0 && last_change(sources) == before) std::this_thread::sleep_for(kLook);
  // Editors replace a file: it is away for a moment.
  std::error_code ignored;
  for (int i = 0; i < 5 && interrupts() == 0; ++i) {
    if (std::filesystem::exists(flags.file, ignored)) break;
    std::this_thread::sleep_for(kLook);
  }
  show_step("");
}

/// A shader that does not compile, or cannot run, may be better the next time. A file that was
/// never there and a device that cannot be opened are not waited for.
Outcome watch(const ShaderFlags& flags, const bench::ShaderJob& given, Bench& all) {
  PUMICE_TRY(check_source(flags.file));
  while (interrupts() == 0) {
    const auto sources = sources_of(flags.file);
    const auto before = last_change(sources);
    const auto job = job_of(flags, given, all.store);
    if (job && all.device == nullptr) PUMICE_TRY(open_bench(flags, all));
    const Outcome done =
        job ? time_job(flags, all, *job) : Outcome(tl::unexpected<Failure>(Failure(job.error())));
    if (interrupts() != 0) break;                         // the compiler had the signal, too
    if (!done && done.error().text.empty()) return done;  // nobody reads any more
    show_step("");
    if (!done) complain(done.error().text);
    wait_for_change(flags, sources, before);
  }
  return {};
}

Outcome shader(const ShaderFlags& flags) {
  const auto given = parse_job(flags);
  if (!given) return usage("{}", given.error().text);
  for (const double work : {flags.bytes, flags.operations})
    if (!std::isfinite(work) || work < 0)
      return usage("--bytes and --operations are no less than 0");
  Bench all;
  if (!flags.once) {
    count_interrupts();
    return watch(flags, *given, all);
  }
  PUMICE_TRY_ASSIGN(const bench::ShaderJob job, job_of(flags, *given, all.store));
  return time_job(flags, all, job);
}

}  // namespace

Action add_bench_shader(CLI::App& app) {
  auto flags = std::make_shared<ShaderFlags>();
  app.add_option("file", flags->file, "GLSL compute shader")->required();
  struct Row {
    const char* name;
    std::string& value;
    const char* what;
  };
  const Row rows[] = {
      {"--push", flags->push, "Push constants: 1024,-1,0.5 (a point makes an f32)"},
      {"--buffers", flags->buffers, "Sizes by binding: 64MiB,4096,1MiB:random (16MiB each)"},
      {"--groups", flags->groups, "Workgroups: 1024 or 64x16x2"},
      {"--constants", flags->constants, "Specialization constants 0, 1, ...: 64,1"},
      {"--device", flags->device, "Index or part of the name (see pumice devices)"},
      {"--without", flags->without, "Capabilities to leave unused"},
  };
  for (const Row& row : rows) app.add_option(row.name, row.value, row.what);
  app.add_option("--bytes", flags->bytes, "Bytes that a dispatch moves (every buffer once)");
  app.add_option("--operations", flags->operations, "Arithmetic operations of a dispatch");
  app.add_option("--seconds", flags->seconds, "Longest time per measurement")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  app.add_option("--walk", flags->walk_mib, "MiB of buffers used before any is used again")
      ->check(CLI::Range(1u, 1u << 16))
      ->capture_default_str();
  app.add_option("--watchdog", flags->watchdog_ms, "Refuse dispatches that last longer, in ms")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  app.add_flag("--once", flags->once, "Measure and stop; do not wait for the file to change");
  add_format_flags(app, flags->format);
  return [flags] { return shader(*flags); };
}

}  // namespace pumice::command
