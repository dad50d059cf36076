#include "plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace pumice::command {
namespace {

// A phone shows 480 units in about 360 points of width: 13 units of type stay readable.
constexpr double kWidth = 480, kPlotHeight = 220;
constexpr double kLeft = 62, kRight = 14, kTop = 10, kBottom = 44, kLegendLine = 18;
constexpr double kLetter = 6.8;  ///< mean advance of the page's type at 13 units
constexpr size_t kColours = 8;   ///< classes c0 .. c7 of the style sheet

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  [[nodiscard]] bool empty() const { return !(low <= high); }
};

bool usable(double value, bool log) {
  return std::isfinite(value) && (!log || value > std::numeric_limits<double>::min());
}

/// Numbers of an axis to units of the drawing.
class Scale {
 public:
  Scale(Range range, const PlotAxis& axis, double begin, double end)
      : log_(axis.log), begin_(begin), end_(end) {
    if (axis.from_zero && !log_) {
      range.add(0.0);
    }
    if (range.high <= range.low) {
      const double room = log_ ? 0.0 : std::max(std::abs(range.low) * 0.1, 1e-12);
      range = log_ ? Range{range.low / 2, range.high * 2}
                   : Range{range.low - (axis.from_zero ? 0.0 : room), range.high + room};
    } else if (log_) {
      range = {range.low / 1.3, range.high * 1.3};
    } else {
      const double room = (range.high - range.low) * 0.05;
      range = {axis.from_zero && range.low >= 0 ? range.low : range.low - room, range.high + room};
    }
    low_ = range.low, high_ = range.high;
  }
  [[nodiscard]] double at(double value) const {
    const double share =
        log_ ? std::log(value / low_) / std::log(high_ / low_) : (value - low_) / (high_ - low_);
    return begin_ + (end_ - begin_) * std::clamp(share, 0.0, 1.0);
  }
  [[nodiscard]] std::vector<double> ticks(int count) const {
    return nice_ticks(low_, high_, log_, count);
  }
  [[nodiscard]] double low() const { return low_; }
  [[nodiscard]] double begin() const { return begin_; }
  [[nodiscard]] double end() const { return end_; }

 private:
  bool log_;
  double begin_, end_, low_ = 0, high_ = 1;
};

std::string label(double x, double y, std::string_view anchor, std::string_view text,
                  std::string_view more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, more, escape_markup(text));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view style) {
  return fmt::format(
      "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", style, x1,
      y1, x2, y2);
}

std::string open_svg(std::string_view title, double height) {
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" "
      "aria-label=\"{}\">\n",
      kWidth, height, escape_markup(title));
}

std::string nothing(std::string_view title) {
  return open_svg(title, 60) + label(kWidth / 2, 35, "middle", "nothing to draw") + "</svg>\n";
}

/// Names beside their colours, wrapped; none for one series without a name.
struct Legend {
  std::string drawn;
  double height = 0;
};

Legend legend_of(std::span<const PlotSeries> series) {
  Legend legend;
  double x = kLeft, y = kTop + 8;
  for (size_t i = 0; i < series.size(); ++i) {
    if (series[i].name.empty()) continue;
    const double width = 26 + kLetter * double(series[i].name.size());
    if (x > kLeft && x + width > kWidth - kRight) x = kLeft, y += kLegendLine;
    legend.drawn += fmt::format(
        "<rect class=\"f c{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"11\" height=\"{}\"/>\n",
        i % kColours, x, y - (series[i].dashed ? 5 : 9), series[i].dashed ? 3 : 11);
    legend.drawn += label(x + 15, y + 1, "start", series[i].name);
    x += width;
    legend.height = y + kLegendLine - kTop - 8;
  }
  return legend;
}

std::string axis_names(const PlotAxis& x, const PlotAxis& y, double top, double bottom,
                       double names_at) {
  std::string out;
  if (!x.label.empty()) out += label((kLeft + kWidth - kRight) / 2, names_at, "middle", x.label);
  const double middle = (top + bottom) / 2;
  out += label(14, middle, "middle", y.label,
               fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", middle));
  return out;
}

std::string y_grid(const Scale& y) {
  std::string out;
  for (const double tick : y.ticks(5)) {
    out += line(kLeft, y.at(tick), kWidth - kRight, y.at(tick), "grid");
    out += label(kLeft - 5, y.at(tick) + 4, "end", number_text(tick));
  }
  return out;
}

std::string whisker(const Scale& y, double x, double value, double error, bool log) {
  if (!std::isfinite(error) || error <= 0) return "";
  const double low = value - error;
  return line(x, y.at(log && low <= 0 ? y.low() : low), x, y.at(value + error), "whisker");
}

std::string polyline(const PlotSeries& series, size_t colour, const Scale& x, const Scale& y,
                     bool log_x, bool log_y) {
  std::string out, points;
  const auto end_line = [&] {
    if (!points.empty())
      out += fmt::format("<polyline class=\"s c{}{}\" points=\"{}\"/>\n", colour,
                         series.dashed ? " dashed" : "", points);
    points.clear();
  };
  const size_t count = std::min(series.x.size(), series.y.size());
  for (size_t i = 0; i < count; ++i) {
    if (!usable(series.x[i], log_x) || !usable(series.y[i], log_y)) {
      end_line();
      continue;
    }
    const double px = x.at(series.x[i]), py = y.at(series.y[i]);
    if (!series.points) points += fmt::format("{:.1f},{:.1f} ", px, py);
    if (i < series.error.size()) out += whisker(y, px, series.y[i], series.error[i], log_y);
    if (series.points || count <= 40)
      out += fmt::format(
          "<circle class=\"f c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}: {}, {}</title>"
          "</circle>\n",
          colour, px, py, series.points ? 3.5 : 2.5, escape_markup(series.name),
          number_text(series.x[i]), number_text(series.y[i]));
  }
  end_line();
  return out;
}

/// Names under groups: level where they fit, else slanted.
struct GroupNames {
  bool slanted = false;
  double height = 20;
};

GroupNames group_names(std::span<const std::string> groups, double step) {
  size_t longest = 0;
  for (const std::string& name : groups) longest = std::max(longest, name.size());
  GroupNames names;
  names.slanted = double(longest) * kLetter > step;
  if (names.slanted) names.height = std::min(20 + double(longest) * kLetter * 0.62, 110.0);
  return names;
}

std::string group_name(double x, double y, const std::string& name, bool slanted) {
  if (!slanted) return label(x, y + 15, "middle", name);
  return label(x + 4, y + 13, "end", name,
               fmt::format(" transform=\"rotate(-38 {:.1f} {:.1f})\"", x + 4, y + 13));
}

std::string bar(const PlotSeries& series, size_t colour, size_t group, const std::string& name,
                const Scale& y, double left, double width, bool log) {
  const double value = group < series.y.size() ? series.y[group] : NAN;
  if (!usable(value, log)) return "";
  const double top = y.at(value), foot = log ? y.begin() : y.at(0.0);
  std::string out = fmt::format(
      "<rect class=\"f c{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\">"
      "<title>{}{}{}: {}</title></rect>\n",
      colour, left, std::min(top, foot), width, std::max(std::abs(foot - top), 0.5),
      escape_markup(name), series.name.empty() ? "" : ", ", escape_markup(series.name),
      number_text(value));
  if (group < series.error.size())
    out += whisker(y, left + width / 2, value, series.error[group], log);
  return out;
}

/// Bytes of the UTF-8 character that begins at `at`, 0 where none does.
size_t character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : uint8_t(0); };
  const uint8_t first = byte(at);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  const uint8_t second = byte(at + 1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  return size;
}

/// 0 (least) .. 1 (most) for the shade of a cell.
double shade(double value, const Range& range, bool log) {
  if (range.high <= range.low) return 0.5;
  return log ? std::log(value / range.low) / std::log(range.high / range.low)
             : (value - range.low) / (range.high - range.low);
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t size = character_at(text, at);
    const char c = text[at];
    if (size == 0 || (size == 1 && uint8_t(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
      out += "\xEF\xBF\xBD";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += text.substr(at, size);
    }
    at += std::max<size_t>(size, 1);
  }
  return out;
}

std::string number_text(double value) {
  if (!std::isfinite(value)) return "-";
  return fmt::format("{:.3g}", value == 0 ? 0.0 : value);
}

std::vector<double> nice_ticks(double low, double high, bool log, int count) {
  std::vector<double> ticks;
  if (!std::isfinite(low) || !std::isfinite(high) || !(low < high) || count < 1) return ticks;
  if (log) {
    if (low <= 0) return ticks;
    const double decades = std::log10(high / low);
    const double every = std::max(1.0, std::ceil(decades / (count + 1)));
    for (double power = std::floor(std::log10(low)); power <= std::log10(high); power += 1) {
      for (const double step : {1.0, 2.0, 5.0}) {
        if (decades > 2.5 && step != 1.0) continue;
        if (decades > 1.2 && step == 5.0) continue;
        if (std::fmod(std::abs(power), every) != 0) continue;
        const double tick = step * std::pow(10.0, power);
        if (tick >= low && tick <= high) ticks.push_back(tick);
      }
    }
    if (!ticks.empty()) return ticks;
  }
  const double rough = (high - low) / count, power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double nice : {5.0, 2.0, 1.0})
    if (nice * power >= rough) step = nice * power;
  if (!(step > 0) || !std::isfinite(step)) return ticks;
  const double first = std::ceil(low / step - 1e-9);
  for (int i = 0; i <= 3 * count; ++i) {
    const double tick = (first + i) * step;
    if (tick > high + step * 1e-9) break;
    ticks.push_back(std::abs(tick) < step * 1e-9 ? 0.0 : tick);
  }
  return ticks;
}

std::string line_plot(std::string_view title, const PlotAxis& x, const PlotAxis& y,
                      std::span<const PlotSeries> series) {
  Range xs, ys;
  for (const PlotSeries& one : series) {
    for (size_t i = 0; i < std::min(one.x.size(), one.y.size()); ++i) {
      if (!usable(one.x[i], x.log) || !usable(one.y[i], y.log)) continue;
      xs.add(one.x[i]);
      ys.add(one.y[i]);
    }
  }
  if (xs.empty() || ys.empty()) return nothing(title);
  const Legend legend = legend_of(series);
  const double top = kTop + legend.height, bottom = top + kPlotHeight;
  const Scale to_x(xs, x, kLeft, kWidth - kRight), to_y(ys, y, bottom, top);
  std::string out = open_svg(title, bottom + kBottom) + legend.drawn + y_grid(to_y);
  for (const double tick : to_x.ticks(6)) {
    out += line(to_x.at(tick), bottom, to_x.at(tick), bottom + 4, "axis");
    out += label(to_x.at(tick), bottom + 17, "middle", number_text(tick));
  }
  out += line(kLeft, bottom, kWidth - kRight, bottom, "axis");
  for (size_t i = 0; i < series.size(); ++i)
    out += polyline(series[i], i % kColours, to_x, to_y, x.log, y.log);
  return out + axis_names(x, y, top, bottom, bottom + 36) + "</svg>\n";
}

std::string bar_plot(std::string_view title, std::span<const std::string> groups, const PlotAxis& y,
                     std::span<const PlotSeries> series) {
  Range range;
  for (const PlotSeries& one : series)
    for (size_t g = 0; g < std::min(one.y.size(), groups.size()); ++g)
      if (usable(one.y[g], y.log)) range.add(one.y[g]);
  if (range.empty()) return nothing(title);
  PlotAxis axis = y;
  axis.from_zero = true;
  if (y.log) range.low /= 2;  // the least bar shall have a height
  const Legend legend = legend_of(series);
  const double top = kTop + legend.height, bottom = top + kPlotHeight;
  const Scale to_y(range, axis, bottom, top);
  const double step = (kWidth - kLeft - kRight) / double(groups.size());
  const double width = std::min(step * 0.8 / double(series.size()), 44.0);
  const GroupNames names = group_names(groups, step);
  std::string out = open_svg(title, bottom + names.height) + legend.drawn + y_grid(to_y);
  for (size_t g = 0; g < groups.size(); ++g) {
    const double middle = kLeft + (double(g) + 0.5) * step;
    const double left = middle - width * double(series.size()) / 2;
    for (size_t s = 0; s < series.size(); ++s)
      out += bar(series[s], s % kColours, g, groups[g], to_y, left + double(s) * width,
                 std::max(width - 1, 0.5), y.log);
    out += group_name(middle, bottom, groups[g], names.slanted);
  }
  const double foot = y.log ? bottom : to_y.at(0.0);
  out += line(kLeft, foot, kWidth - kRight, foot, "axis");
  return out + axis_names({}, y, top, bottom, 0) + "</svg>\n";
}

std::string heat_map(std::string_view title, const HeatMap& map) {
  Range range;
  for (const double value : map.values)
    if (usable(value, map.log)) range.add(value);
  if (range.empty() || map.values.size() != map.rows.size() * map.columns.size())
    return nothing(title);
  const double cell = (kWidth - kLeft - kRight) / double(map.columns.size());
  const double height = std::clamp(300.0 / double(map.rows.size()), 9.0, 24.0);
  const double top = kTop + 22, bottom = top + height * double(map.rows.size());
  const GroupNames names = group_names(map.columns, cell);
  const size_t every = size_t(std::ceil(13.0 / height));  // rows that have room for a name
  std::string out = open_svg(title, bottom + names.height);
  out += label(kLeft, kTop + 10, "start",
               fmt::format("{}: {} (light) to {} (dark)", map.label, number_text(range.low),
                           number_text(range.high)));
  for (size_t r = 0; r < map.rows.size(); ++r) {
    const double y = top + height * double(r);
    if (r % every == 0) out += label(kLeft - 5, y + height / 2 + 4, "end", map.rows[r]);
    for (size_t c = 0; c < map.columns.size(); ++c) {
      const double value = map.values[r * map.columns.size() + c];
      const std::string place =
          fmt::format("x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"",
                      kLeft + cell * double(c), y, cell - 1, height - 1);
      const std::string what = escape_markup(map.rows[r] + ", " + map.columns[c]);
      out += usable(value, map.log)
                 ? fmt::format(
                       "<rect class=\"f heat\" {} fill-opacity=\"{:.3f}\"><title>{}: {}"
                       "</title></rect>\n",
                       place, 0.06 + 0.94 * shade(value, range, map.log), what, number_text(value))
                 : fmt::format("<rect class=\"blank\" {}><title>{}: none</title></rect>\n", place,
                               what);
    }
  }
  for (size_t c = 0; c < map.columns.size(); ++c)
    out += group_name(kLeft + cell * (double(c) + 0.5), bottom, map.columns[c], names.slanted);
  return out + "</svg>\n";
}

}  // namespace pumice::command
