// Small plots as inline SVG: lines, points, bars, heat maps. Text in, text out; knows nothing of
// what is plotted. Colours and type sizes are classes of the page's style sheet (html.cpp).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pumice::command {

/// Text as the content of an element or a quoted attribute. Control characters and bytes that are
/// no UTF-8 become U+FFFD.
[[nodiscard]] std::string escape_markup(std::string_view text);

/// Three significant digits, no needless zeros; "-" for what is no finite number.
[[nodiscard]] std::string number_text(double value);

struct PlotAxis {
  std::string label;  ///< with its unit
  bool log = false;   ///< values <= 0 are left out
  bool from_zero = false;
};

/// x and y of one length; values that are not finite are left out, and end a line.
struct PlotSeries {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> error;  ///< standard errors of y; may be empty
  bool dashed = false, points = false;
};

/// `title` is what a screen reader says.
[[nodiscard]] std::string line_plot(std::string_view title, const PlotAxis& x, const PlotAxis& y,
                                    std::span<const PlotSeries> series);

/// Bars in groups: series[s].y[g] is the bar of series s in group g; x is not read.
[[nodiscard]] std::string bar_plot(std::string_view title, std::span<const std::string> groups,
                                   const PlotAxis& y, std::span<const PlotSeries> series);

/// values[row * columns.size() + column]; not finite = an empty cell.
struct HeatMap {
  std::vector<std::string> rows, columns;
  std::vector<double> values;
  std::string label;  ///< of the values, with their unit
  bool log = false;   ///< shades follow the logarithm
};
[[nodiscard]] std::string heat_map(std::string_view title, const HeatMap& map);

/// Round numbers from `low` to `high`, about `count` of them; decades and their halves for log.
[[nodiscard]] std::vector<double> nice_ticks(double low, double high, bool log, int count = 5);

}  // namespace pumice::command
