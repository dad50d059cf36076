// Lowers a planned graph to the dispatch list of one step shape. Pure: the same plan and shape
// always give the same list.
#pragma once

#include <vector>

#include "engine/schedule/model_plan.h"

namespace pumice {

enum class Ending : uint8_t {
  None,    ///< fill the cache only (all but the last chunk of a prompt)
  Sample,  ///< pick a token per output column on the device
  Logits,  ///< check, then copy the logits rows to the host
};

struct StepShape {
  uint32_t tokens = 1;   ///< columns computed (a power of two; surplus ones use the scrap page)
  uint32_t outputs = 1;  ///< logits rows; 0 with Ending::None
  Ending ending = Ending::Sample;
  bool advance = false;  ///< the sampled token becomes the next step's input
};

[[nodiscard]] Result<std::vector<Dispatch>> lower(const ModelPlan& plan, const StepShape& shape);

}  // namespace pumice
