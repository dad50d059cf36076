// Compiler statistics (registers, spills, code size) through VK_KHR_pipeline_executable_properties.
#include <fmt/ranges.h>

#include "engine/vk/pipeline.h"
#include "engine/vk/pipeline_name.h"

namespace pumice::vk {
namespace {

double as_number(const VkPipelineExecutableStatisticKHR& row) {
  switch (row.format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
      return row.value.b32 ? 1.0 : 0.0;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
      return double(row.value.i64);
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
      return double(row.value.u64);
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
      return row.value.f64;
    default:
      return 0.0;
  }
}

/// Asks for the count, then for the rows; each row needs its sType before.
template <class Row, class Call>
VkResult enumerate_typed(std::vector<Row>& rows, VkStructureType type, const Call& call) {
  uint32_t count = 0;
  VkResult result = call(&count, static_cast<Row*>(nullptr));
  if (result != VK_SUCCESS) return result;
  rows.assign(count, Row{type});
  result = call(&count, rows.data());
  rows.resize(count);
  return result == VK_INCOMPLETE ? VK_SUCCESS : result;
}

}  // namespace

std::string pipeline_name(const std::string& kernel, const std::vector<uint32_t>& constants) {
  if (constants.empty()) return kernel;
  return fmt::format("{}[{}]", kernel, fmt::join(constants, ","));
}

Result<void> PipelineStore::statistics_of(const Key& key, const Pipeline& pipeline,
                                          std::vector<PipelineStatistic>& rows) {
  VkPipelineInfoKHR info{VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR};
  info.pipeline = pipeline.handle.get();
  std::vector<VkPipelineExecutablePropertiesKHR> executables;
  VkResult result = enumerate_typed(
      executables, VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR,
      [&](uint32_t* number, VkPipelineExecutablePropertiesKHR* out) {
        return context_.fn.GetPipelineExecutablePropertiesKHR(context_.device, &info, number, out);
      });
  if (result != VK_SUCCESS) return context_.failed("vkGetPipelineExecutablePropertiesKHR", result);
  for (uint32_t index = 0; index < executables.size(); ++index) {
    VkPipelineExecutableInfoKHR which{VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR};
    which.pipeline = info.pipeline;
    which.executableIndex = index;
    std::vector<VkPipelineExecutableStatisticKHR> values;
    result = enumerate_typed(values, VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR,
                             [&](uint32_t* number, VkPipelineExecutableStatisticKHR* out) {
                               return context_.fn.GetPipelineExecutableStatisticsKHR(
                                   context_.device, &which, number, out);
                             });
    if (result != VK_SUCCESS)
      return context_.failed("vkGetPipelineExecutableStatisticsKHR", result);
    for (const auto& value : values)
      rows.push_back({pipeline_name(key.kernel, key.constants), executables[index].name, value.name,
                      as_number(value)});
  }
  return {};
}

Result<std::vector<PipelineStatistic>> PipelineStore::statistics() {
  if (!context_.capture_statistics)
    return fail(ErrorCode::Unsupported,
                "pipeline statistics: {} does not report them, or the device was opened without "
                "DeviceOptions::pipeline_statistics",
                context_.caps().device_name);
  const std::lock_guard lock(mutex_);
  std::vector<PipelineStatistic> rows;
  for (const auto& [key, pipeline] : pipelines_) PUMICE_TRY(statistics_of(key, *pipeline, rows));
  return rows;
}

}  // namespace pumice::vk
