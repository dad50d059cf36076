// The table of chat formats. Texts may hold {bos} and {eos} for the texts of those tokens.
#pragma once

#include <string_view>
#include <vector>

#include "engine/text/chat_template.h"

namespace pumice::text {

/// The format that a template's marks point to, with the variations that its text shows; a style
/// without a name if none is recognised. Linear in the length of the text.
[[nodiscard]] ChatStyle match_style(std::string_view template_text);

/// Plain form of every format, for choice by name.
[[nodiscard]] const std::vector<ChatStyle>& all_styles();

}  // namespace pumice::text
