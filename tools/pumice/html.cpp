#include "html.h"

#include <fmt/format.h>

#include "plot.h"

namespace pumice::command {
namespace {

// c0 .. c7: eight hues that stay apart for the common kinds of colour blindness (after Okabe and
// Ito), lighter on dark ground.
constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--ground:#fcfcfa;--ink:#1c1f23;--soft:#5a626c;--rule:#d9dce0;
--card:#ffffff;--good:#00684a;--bad:#a63603;--part:#7a5b00;--heat:#0b5394;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b0578d;--c4:#8a6d00;--c5:#3aa0d8;--c6:#555b66;--c7:#e69f00}
@media (prefers-color-scheme:dark){:root{--ground:#14171b;--ink:#e8eaed;--soft:#a4acb7;
--rule:#353b44;--card:#1b1f25;--good:#5fd3a6;--bad:#ff9d6b;--part:#e6c35c;--heat:#7cc4ff;
--c0:#56b4e9;--c1:#ff8b4d;--c2:#3fcf9f;--c3:#e39ac6;--c4:#d8c04a;--c5:#9bd3f5;--c6:#b4bbc6;--c7:#f5b942}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1040px;padding:16px;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2;margin:.4em 0}h2{font-size:1.2rem;margin:2em 0 .3em;
padding-top:.6em;border-top:1px solid var(--rule)}
p{margin:.5em 0;max-width:46em}.soft{color:var(--soft);font-size:.92rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;font-size:.92rem;margin:.8em 0}
dt{color:var(--soft)}dd{margin:0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),490px));gap:14px}
figure{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px}
figcaption{font-size:.88rem;color:var(--soft);padding-top:4px}
.scroll{overflow-x:auto;margin:.6em 0}table{border-collapse:collapse;font-size:.9rem}
th,td{padding:4px 10px 4px 0;text-align:right;border-bottom:1px solid var(--rule);
vertical-align:top;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600}
.claims{display:grid;gap:10px;padding:0;list-style:none}
.claims li{background:var(--card);border:1px solid var(--rule);border-left-width:5px;
border-radius:6px;padding:8px 12px}.claims b{display:block}
.holds{border-left-color:var(--good)!important}.fails{border-left-color:var(--bad)!important}
.partly{border-left-color:var(--part)!important}
.holds em{color:var(--good)}.fails em{color:var(--bad)}.partly em{color:var(--part)}
em{font-style:normal;font-weight:600}a{color:inherit}
svg{display:block;width:100%;height:auto;font:13px system-ui,sans-serif}
svg text{fill:var(--ink)}.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}
.whisker{stroke:var(--ink);stroke-width:1.3}.f{stroke:none}.s{fill:none;stroke-width:2}
.dashed{stroke-dasharray:5 4}.blank{fill:var(--rule);opacity:.35}.heat{fill:var(--heat)}
)";

std::string colour_rules() {
  std::string rules;
  for (int i = 0; i < 8; ++i)
    rules += fmt::format(".f.c{0}{{fill:var(--c{0})}}.s.c{0}{{stroke:var(--c{0})}}\n", i);
  return rules;
}

}  // namespace

std::string html_page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>{}{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      escape_markup(title), kStyle, colour_rules(), body);
}

std::string html_table(std::span<const std::string> head,
                       std::span<const std::vector<std::string>> rows) {
  std::string out = "<div class=\"scroll\"><table>\n<tr>";
  for (const std::string& cell : head) out += fmt::format("<th>{}</th>", escape_markup(cell));
  out += "</tr>\n";
  for (const std::vector<std::string>& row : rows) {
    out += "<tr>";
    for (const std::string& cell : row) out += fmt::format("<td>{}</td>", escape_markup(cell));
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string html_paragraph(std::string_view text, std::string_view style) {
  return style.empty() ? fmt::format("<p>{}</p>\n", escape_markup(text))
                       : fmt::format("<p class=\"{}\">{}</p>\n", style, escape_markup(text));
}

}  // namespace pumice::command
