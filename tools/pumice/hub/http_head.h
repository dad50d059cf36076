// Reading of response headers and of refusals. Internal to the hub.
#pragma once

#include <string_view>

#include "tools/pumice/hub/http.h"

namespace pumice::hub {

/// Takes what HttpHead keeps out of one line as it came; a status line begins a new head. What
/// only the hub itself may say of a file counts where `from_hub` is set.
void read_header_line(std::string_view line, bool from_hub, HttpHead& head);

/// Why a status is no answer, and what to do.
[[nodiscard]] HttpError refusal(const HttpHead& head, std::string_view what, bool with_token);

}  // namespace pumice::hub
