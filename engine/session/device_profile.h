// The profile of a device, in a folder of the user's.
#pragma once

#include <string>

#include "engine/schedule/capabilities.h"
#include "engine/schedule/tuning.h"

namespace pumice {

/// What the device's profile in `folder` says. No folder, no profile: the defaults. A profile that
/// cannot be read or believed: one warning in the life of the process, and the defaults.
[[nodiscard]] Tuning read_profile(const std::string& folder, const Capabilities& caps);

/// Writes it, the folder too; returns its path.
[[nodiscard]] Result<std::string> write_profile(const std::string& folder, const Capabilities& caps,
                                                const Tuning& tuning);

}  // namespace pumice
