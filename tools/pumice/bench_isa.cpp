// `pumice bench isa`: compiler statistics of every kernel that the table picks on a GPU that need
// not be there, through RADV's null device.
#include <memory>

#include "bench.h"
#include "engine/base/platform.h"
#include "engine/base/platform_process.h"
#include "output.h"
#include "read_text.h"
#include "tools/bench/isa.h"

namespace pumice::command {
namespace {

struct IsaFlags {
  std::string gpu, table;
  bool update = false;
};

const std::vector<std::string> kGpus = {"GFX1100", "NAVI21", "POLARIS10"};

/// RADV then offers one device that compiles for `gpu` and runs nothing. The loader is kept to
/// RADV where the user chose its file, and is free to find it where another driver was chosen.
void pretend(const std::string& gpu) {
  set_environment("RADV_FORCE_FAMILY", gpu.c_str());
  for (const char* name : {"VK_ICD_FILENAMES", "VK_DRIVER_FILES"})
    if (environment(name).find("radeon") == std::string::npos) set_environment(name, nullptr);
}

Result<std::unique_ptr<vk::Device>> open_null_device(const std::string& gpu) {
  pretend(gpu);
  vk::DeviceOptions options;
  options.pipeline_statistics = true;
  options.select = "RADV " + gpu;
  auto device = vk::Device::open(options);
  if (device) return device;
  return fail(ErrorCode::NoDevice,
              "RADV gives no null device for {} ({}); it compiles without the hardware, so install "
              "it (on Debian: apt install mesa-vulkan-drivers)",
              gpu, device.error().text);
}

std::string spilling_text(const bench::IsaTable& table) {
  size_t spilling = 0;
  for (const auto& [kernel, row] : table.rows)
    spilling += row[bench::Statistic::Spilled].value_or(0) != 0 ||
                        row[bench::Statistic::Scratch].value_or(0) != 0
                    ? 1
                    : 0;
  return fmt::format("{} ({}): {} pipelines, {} of them spill", table.gpu, table.driver,
                     table.rows.size(), spilling);
}

/// The table that `flags` name, which must be of the same GPU.
Result<bench::IsaTable> read_table(const IsaFlags& flags) {
  PUMICE_TRY_ASSIGN(const std::string text, read_text(flags.table));
  auto table = bench::parse_table(text);
  if (!table) return fail_in(flags.table, std::move(table.error()));
  if (table->gpu == flags.gpu) return table;
  return fail(ErrorCode::BadArgument, "{}: a table of {}, and --gpu says {}", flags.table,
              table->gpu.empty() ? "no GPU" : printable(table->gpu, 40), flags.gpu);
}

Outcome check(const std::string& path, const bench::IsaTable& before, const bench::IsaTable& now) {
  const bench::IsaDifference difference = bench::compare(before, now);
  std::string out = spilling_text(now) + "\n";
  for (const std::string& line : difference.reports) out += "note: " + line + "\n";
  for (const std::string& line : difference.failures) out += "FAILED: " + line + "\n";
  if (Outcome written = write_text(out); !written || difference.failures.empty()) return written;
  return tl::unexpected(Failure(
      kFailed, fmt::format("{} pipelines of {} are worse than in {}, the first: {}; if that is "
                           "meant, write the table again with --update",
                           difference.failures.size(), now.gpu, path, difference.failures[0])));
}

Outcome isa(const IsaFlags& flags) {
  if (flags.update && flags.table.empty()) return usage("--update needs --table FILE");
  bench::IsaTable before;
  if (!flags.table.empty() && !flags.update) {
    PUMICE_TRY_ASSIGN(before, read_table(flags));
  }
  PUMICE_TRY_ASSIGN(const auto device, open_null_device(flags.gpu));
  show_step("compiling every kernel for " + flags.gpu);
  PUMICE_TRY_ASSIGN(const bench::IsaTable table, bench::compile_table(*device, flags.gpu));
  show_step("");
  if (flags.table.empty()) return write_text(bench::table_text(table));
  if (!flags.update) return check(flags.table, before, table);
  const std::string text = bench::table_text(table);
  PUMICE_TRY(write_file_whole(flags.table, std::as_bytes(std::span(text))));
  return write_text(spilling_text(table) + "\n");
}

}  // namespace

Action add_bench_isa(CLI::App& app) {
  auto flags = std::make_shared<IsaFlags>();
  app.add_option("--gpu", flags->gpu, "Architecture to compile for")
      ->required()
      ->check(CLI::IsMember(kGpus));
  app.add_option("--table", flags->table, "A table to compare with (exit 1: a new spill)");
  app.add_flag("--update", flags->update, "Write the table instead");
  return [flags] { return isa(*flags); };
}

}  // namespace pumice::command
