// What a measurement ran on: this machine, the device, the build.
#include <ctime>
#include <thread>

#include "bench_results.h"
#include "engine/base/platform.h"
#include "engine/base/platform_process.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  const std::tm* parts = std::gmtime(&now);
  return parts && std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", parts) ? text : "";
}

ProcessorTime at_begin;

std::string hexadecimal(const std::array<uint8_t, 16>& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

Json device_json(const Capabilities& caps) {
  return {{"name", caps.device_name},
          {"driver", caps.driver_name},
          {"vulkan", fmt::format("{}.{}.{}", caps.api_version >> 22 & 0x7F,
                                 caps.api_version >> 12 & 0x3FF, caps.api_version & 0xFFF)},
          {"uuid", hexadecimal(caps.device_uuid)},
          {"driver_uuid", hexadecimal(caps.driver_uuid)},
          {"software", caps.is_cpu},
          {"unified_memory", caps.unified_memory},
          {"timestamps", caps.timestamps},
          {"memory_bytes", caps.device_memory}};
}

}  // namespace

void begin_measurement() {
  at_begin = processor_time();
}

std::optional<double> stolen_share() {
  const ProcessorTime now = processor_time();
  if (now.total <= at_begin.total || now.stolen < at_begin.stolen) return std::nullopt;
  return double(now.stolen - at_begin.stolen) / double(now.total - at_begin.total);
}

BenchResults new_results(std::string kind, const Capabilities& caps) {
  BenchResults results;
  results.kind = std::move(kind);
  results.machine = {{"processor", processor_name()},
                     {"threads", std::thread::hardware_concurrency()},
                     {"memory_bytes", physical_memory()},
                     {"system", system_name()},
                     {"time", utc_now()}};
  results.device = device_json(caps);
  results.build = {{"version", PUMICE_VERSION},
                   {"commit", build_commit()},
                   {"compiler", PUMICE_COMPILER},
                   {"type", PUMICE_BUILD_TYPE}};
  return results;
}

}  // namespace pumice::command
