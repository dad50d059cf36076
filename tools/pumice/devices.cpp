// `pumice devices`: what every Vulkan device can do and, where it cannot run models, why.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command.h"
#include "engine/vk/device.h"
#include "output.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

struct Feature {
  const char* name;
  bool Capabilities::*flag;
};

constexpr Feature kFeatures[] = {
    {"fp16", &Capabilities::fp16},
    {"storage16", &Capabilities::storage16},
    {"int8", &Capabilities::int8},
    {"dot8", &Capabilities::dot8},
    {"coopmat", &Capabilities::coopmat},
    {"timeline", &Capabilities::timeline},
    {"shuffle", &Capabilities::subgroup_shuffle},
    {"timestamps", &Capabilities::timestamps},
};

std::string version_text(uint32_t api) {
  return fmt::format("{}.{}.{}", api >> 22 & 0x7F, api >> 12 & 0x3FF, api & 0xFFF);
}

const char* kind_text(const Capabilities& caps) {
  if (caps.is_cpu) return "software";
  return caps.unified_memory ? "unified memory" : "discrete";
}

Json to_json(const vk::DeviceSummary& device) {
  const Capabilities& caps = device.caps;
  Json features = Json::object();
  for (const Feature& feature : kFeatures) features[feature.name] = caps.*feature.flag;
  return Json{{"index", device.index},
              {"name", caps.device_name},
              {"driver", caps.driver_name},
              {"vulkan", version_text(caps.api_version)},
              {"software", caps.is_cpu},
              {"unified_memory", caps.unified_memory},
              {"memory_bytes", caps.device_memory},
              {"memory_free_bytes", caps.device_memory_free},
              {"subgroup_size", caps.subgroup_size},
              {"max_storage_range", caps.max_storage_range},
              {"features", features},
              {"usable", device.unusable.empty()},
              {"unusable_because", device.unusable}};
}

std::string to_text(const vk::DeviceSummary& device) {
  const Capabilities& caps = device.caps;
  std::string features;
  for (const Feature& feature : kFeatures)
    if (caps.*feature.flag) features += fmt::format(" {}", feature.name);
  std::string text = fmt::format(
      "{}: {}\n   {}, Vulkan {}, {}, {} ({} free)\n   subgroups of {},{}\n", device.index,
      printable(caps.device_name), printable(caps.driver_name), version_text(caps.api_version),
      kind_text(caps), bytes_text(caps.device_memory), bytes_text(caps.device_memory_free),
      caps.subgroup_size, features.empty() ? " baseline only" : features);
  if (!device.unusable.empty())
    text += fmt::format("   cannot be used: {}\n", printable(device.unusable, 1000));
  return text;
}

Outcome devices(bool json) {
  PUMICE_TRY_ASSIGN(const std::vector<vk::DeviceSummary> list, vk::list_devices());
  if (json) {
    Json all = Json::array();
    for (const vk::DeviceSummary& device : list) all.push_back(to_json(device));
    return write_json(Json{{"devices", all}});
  }
  std::string text;
  for (const vk::DeviceSummary& device : list) text += to_text(device);
  return write_text(text);
}

}  // namespace

Action add_devices(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "One JSON document on stdout");
  return [json] { return devices(*json); };
}

}  // namespace pumice::command
