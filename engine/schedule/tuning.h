// A device's profile: what `pumice bench tune` found out, as the text of a file. The profile is of
// one device and one driver, and says so; it ends with a checksum.
#pragma once

#include <string>
#include <string_view>

#include "engine/schedule/capabilities.h"
#include "engine/schedule/policy.h"

namespace pumice {

/// "profile-<UUID of the device>.txt": the driver's version is inside, so that a new driver's
/// profile takes the place of the old one's.
[[nodiscard]] std::string profile_name(const Capabilities& caps);

[[nodiscard]] std::string profile_text(const Capabilities& caps, const Tuning& tuning);

/// BadFile: not such a text, or damaged. Unsupported: of another device, driver or version of the
/// format. Both name the line.
[[nodiscard]] Result<Tuning> parse_profile(std::string_view text, const Capabilities& caps);

}  // namespace pumice
