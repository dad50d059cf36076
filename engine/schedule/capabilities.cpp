// Takes capabilities away, so that a lower tier runs on any driver.
#include "engine/schedule/capabilities.h"

namespace pumice {

Capabilities masked(Capabilities caps, const CapabilityMask& mask) {
  if (mask.fp16) caps.fp16 = caps.storage16 = false;
  if (mask.dot8) caps.dot8 = caps.int8 = false;
  if (mask.subgroup) caps.subgroup_basic = caps.subgroup_shuffle = false;
  if (mask.coopmat) caps.coopmat = false;
  if (mask.texel) caps.max_texel_elements = 0;
  return caps;
}

}  // namespace pumice
