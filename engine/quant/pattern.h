// Regular expressions over tensor names, bounded: a hostile pattern is an error, never a hang.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace pumice::quant {

class Pattern {
 public:
  /// BadArgument says what is wrong and where. Perl's syntax.
  [[nodiscard]] static Result<Pattern> compile(std::string_view text);

  /// True when the pattern is found anywhere in `name`. An error when looking takes too long.
  [[nodiscard]] Result<bool> found_in(std::string_view name) const;

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  struct Code;
  Pattern() = default;
  std::string text_;
  std::shared_ptr<const Code> code_;
};

}  // namespace pumice::quant
