// Types by name as users write them down: recipe files, one wish a line, and flags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/mix.h"

namespace pumice::quant {

/// "q4_k" to a type; the error lists those that there are.
[[nodiscard]] Result<QuantType> parse_type(std::string_view name);

/// "regex=type". `place` starts the errors of this wish, now and later.
[[nodiscard]] Result<TypeWish> parse_wish(std::string_view text, std::string place);

/// Lines of "regex type" (or "regex=type"); '#' at the start of a line or after a space begins a
/// comment. Errors name the line.
[[nodiscard]] Result<std::vector<TypeWish>> parse_recipe(std::string_view text,
                                                         const std::string& name);
[[nodiscard]] Result<std::vector<TypeWish>> read_recipe(const std::string& path);

}  // namespace pumice::quant
