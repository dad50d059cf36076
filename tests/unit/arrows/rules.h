// The allowed arrows between folders, as tables, and the functions that judge one line by them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pumice::arrows {

struct Include {
  std::string target;   ///< as written
  bool quoted = false;  ///< "target" and not <target>
};

/// The include directive of a line, C++ or GLSL, if it is one.
[[nodiscard]] std::optional<Include> parse_include(std::string_view line);

/// Why the file at `from` may not include the project's file `to` (both from the root with
/// slashes); empty when it may.
[[nodiscard]] std::string project_arrow_error(std::string_view from, std::string_view to);

/// The same for a header outside the project, as written in the directive.
[[nodiscard]] std::string outside_header_error(std::string_view from, std::string_view header);

}  // namespace pumice::arrows
