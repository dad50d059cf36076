// A page of HTML that needs nothing beside itself: style sheet inside, no scripts, no addresses.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pumice::command {

/// The whole document. `body` is markup; `title` is text.
[[nodiscard]] std::string html_page(std::string_view title, std::string_view body);

/// A table of texts, escaped here. The first column is text, the others are set as figures.
[[nodiscard]] std::string html_table(std::span<const std::string> head,
                                     std::span<const std::vector<std::string>> rows);

/// <p> with escaped text.
[[nodiscard]] std::string html_paragraph(std::string_view text, std::string_view style = "");

}  // namespace pumice::command
