// What a pipeline is called in statistics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pumice::vk {

/// "name" or "name[64,1]": pipelines of one kernel differ by their constants.
[[nodiscard]] std::string pipeline_name(const std::string& kernel,
                                        const std::vector<uint32_t>& constants);

}  // namespace pumice::vk
