// The plots of `pumice lab`: well-formed markup, no number that is none, text escaped.
#include "tools/pumice/plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace pumice::test {
namespace {

using command::PlotAxis;
using command::PlotSeries;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Why markup is not well formed; empty when it is. Enough of XML for what plots write: elements,
/// quoted attributes, the five entities.
std::string fault(const std::string& markup) {
  std::vector<std::string> open;
  for (size_t at = 0; at < markup.size();) {
    if (markup[at] == '&') {
      const size_t end = markup.find(';', at);
      const std::string name = end > at + 6 ? "?" : markup.substr(at, end - at + 1);
      if (name != "&amp;" && name != "&lt;" && name != "&gt;" && name != "&quot;")
        return "entity at " + markup.substr(at, 20);
      at = end + 1;
      continue;
    }
    if (markup[at] != '<') {
      if (markup[at] == '>' || markup[at] == '"') return "bare " + markup.substr(at, 20);
      ++at;
      continue;
    }
    bool quoted = false;
    size_t end = at + 1;
    for (; end < markup.size() && (quoted || markup[end] != '>'); ++end) {
      if (markup[end] == '"') quoted = !quoted;
      if (quoted && markup[end] == '<') return "< in an attribute";
    }
    if (end == markup.size()) return "a tag without end";
    const std::string tag = markup.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.front() == '/') {
      if (open.empty() || "/" + open.back() != tag) return "closes " + tag;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
    at = end + 1;
  }
  return open.empty() ? "" : "left open: " + open.back();
}

void expect_sound(const std::string& svg) {
  EXPECT_EQ(fault(svg), "") << svg;
  EXPECT_TRUE(svg.starts_with("<svg ")) << svg;
  for (const char* word : {"nan", "inf", "=\"-\""})
    EXPECT_EQ(svg.find(word), std::string::npos) << svg;
}

size_t count(const std::string& text, const std::string& word) {
  size_t found = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

TEST(Plot, FaultsAreSeen) {
  EXPECT_NE(fault("<a><b></a></b>"), "");
  EXPECT_NE(fault("<a>x & y</a>"), "");
  EXPECT_NE(fault("<a b=\"<\"></a>"), "");
  EXPECT_NE(fault("<a>"), "");
  EXPECT_EQ(fault("<a b=\"1\"><c/>x &amp; y</a>"), "");
}

TEST(Plot, EscapesText) {
  EXPECT_EQ(command::escape_markup("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
  EXPECT_EQ(command::escape_markup("\u00B1 \u20AC \U0001F600"), "\u00B1 \u20AC \U0001F600");
  EXPECT_EQ(command::escape_markup(std::string("x\x01\xFFy\xC3")), "x\uFFFD\uFFFDy\uFFFD");
  EXPECT_EQ(command::escape_markup("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(command::escape_markup(""), "");
}

TEST(Plot, TicksAreRoundAndInside) {
  EXPECT_EQ(command::nice_ticks(0, 10, false, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(command::nice_ticks(0.01, 10, true), (std::vector<double>{0.01, 0.1, 1, 10}));
  EXPECT_TRUE(command::nice_ticks(1, 1, false).empty());
  EXPECT_TRUE(command::nice_ticks(kNan, 1, false).empty());
  EXPECT_TRUE(command::nice_ticks(-1, 1, true).empty());
  for (const bool log : {false, true}) {
    for (const double low : {1e-300, 1e-9, 0.37, 123.0}) {
      const double high = low * 7.3;
      const auto ticks = command::nice_ticks(low, high, log);
      EXPECT_GE(ticks.size(), 2u) << low << (log ? " log" : "");
      EXPECT_LE(ticks.size(), 16u);
      for (const double tick : ticks) {
        EXPECT_GE(tick, low * (1 - 1e-9));
        EXPECT_LE(tick, high * (1 + 1e-9));
      }
    }
  }
}

TEST(Plot, LinesSkipWhatIsNoNumber) {
  PlotSeries series{"a <b> & \"c\"",      {1, 2, 3, 4, 5}, {1, kNan, kInfinity, -4, 2},
                    {0.1, 1, 1, 1, kNan}, false,           false};
  for (const bool log : {false, true}) {
    const std::string svg = command::line_plot("t & <u>", PlotAxis{"x > 0", log, false},
                                               PlotAxis{"y \"z\"", log, true}, {&series, 1});
    expect_sound(svg);
    EXPECT_EQ(count(svg, "<circle"), log ? 2u : 3u);  // a logarithm leaves out -4
    EXPECT_EQ(count(svg, "<polyline"), 2u);  // the line is broken where numbers are missing
    EXPECT_NE(svg.find("a &lt;b&gt; &amp; &quot;c&quot;"), std::string::npos);
  }
}

TEST(Plot, NothingToDrawIsSaid) {
  const PlotSeries empty, bad{"b", {kNan}, {1}, {}, false, true};
  for (const PlotSeries& series : {empty, bad}) {
    const std::string svg =
        command::line_plot("t", {"x", false, false}, {"y", false, false}, {&series, 1});
    expect_sound(svg);
    EXPECT_NE(svg.find("nothing to draw"), std::string::npos);
  }
  const std::vector<std::string> groups = {"g"};
  const PlotSeries none{"n", {}, {kNan}, {}, false, false};
  EXPECT_NE(command::bar_plot("t", groups, {"y", false, false}, {&none, 1}).find("nothing to draw"),
            std::string::npos);
  EXPECT_NE(command::heat_map("t", {{"r"}, {"c"}, {1, 2}, "l", false}).find("nothing to draw"),
            std::string::npos);  // two numbers for one cell
}

TEST(Plot, OneValueAndExtremes) {
  for (const double value : {0.0, 5.0, -3.0, 1e-300, 1e300}) {
    const PlotSeries one{"v", {value}, {value}, {}, false, false};
    for (const bool zero : {false, true})
      expect_sound(command::line_plot("t", {"x", false, zero}, {"y", false, zero}, {&one, 1}));
    expect_sound(command::line_plot("t", {"x", true, false}, {"y", true, false}, {&one, 1}));
    const std::vector<std::string> groups = {"g"};
    for (const bool log : {false, true})
      expect_sound(command::bar_plot("t", groups, {"y", log, false}, {&one, 1}));
  }
}

TEST(Plot, BarsStandOnZero) {
  const std::vector<std::string> groups = {"first", "a very long second name", "third"};
  const PlotSeries series[] = {{"up", {}, {1, 2, 3}, {0.5, kNan, 0.1}, false, false},
                               {"down", {}, {-1, kNan}, {}, false, false}};
  const std::string svg = command::bar_plot("t", groups, {"y", false, false}, series);
  expect_sound(svg);
  EXPECT_EQ(count(svg, "<title>"), 4u);  // bars that exist
  EXPECT_EQ(count(svg, "class=\"whisker\""), 2u);
  EXPECT_EQ(svg.find("height=\"-"), std::string::npos);
}

TEST(Plot, HeatMapShadesAndBlanks) {
  const command::HeatMap map{{"0", "1"}, {"q", "k<v>"}, {1e-6, 1e-2, kNan, 1e-4}, "KLD", true};
  const std::string svg = command::heat_map("t", map);
  expect_sound(svg);
  EXPECT_EQ(count(svg, "class=\"f heat\""), 3u);
  EXPECT_EQ(count(svg, "class=\"blank\""), 1u);
  EXPECT_NE(svg.find("fill-opacity=\"0.060\""), std::string::npos);
  EXPECT_NE(svg.find("fill-opacity=\"1.000\""), std::string::npos);
  EXPECT_NE(svg.find("fill-opacity=\"0.530\""), std::string::npos);  // half way by logarithm
}

}  // namespace
}  // namespace pumice::test
