// Words of users and hosts for options: the command's flags and the public header's strings.
#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/schedule/capabilities.h"
#include "engine/schedule/policy.h"

namespace pumice {

// An unknown word is BadArgument with the known ones; `what` begins the message.

/// "fp16,dot8,subgroup,coopmat,texel", each of them or none.
[[nodiscard]] Result<CapabilityMask> parse_mask(std::string_view words, std::string_view what);
/// "auto", "f32", "q8".
[[nodiscard]] Result<ActivationType> parse_activations(std::string_view word,
                                                       std::string_view what);
/// "f16", "q8_0/q4_0" (K and V), each with "+rotate" behind it for a Hadamard transform.
[[nodiscard]] Result<CacheFormat> parse_cache(std::string_view word, std::string_view what);

}  // namespace pumice
