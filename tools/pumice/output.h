// Standard output, watched: a reader that has gone ends the work quietly, a full disk is a failure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "command.h"

namespace pumice::command {

/// Writes and flushes.
[[nodiscard]] Outcome write_text(std::string_view text);

/// One JSON document with a line end; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] Outcome write_json(const nlohmann::ordered_json& document);
/// The same on one line, not flushed: for streams of many.
[[nodiscard]] std::string json_line(const nlohmann::ordered_json& document);

/// Text of a file for a terminal: control characters become '?', nothing longer than `longest`.
[[nodiscard]] std::string printable(std::string_view text, size_t longest = 200);

/// "38.1 MiB"
[[nodiscard]] std::string bytes_text(uint64_t bytes);

/// "pumice: text" on stderr.
void complain(std::string_view text);

}  // namespace pumice::command
