// The page and the JSON of `pumice lab`: the head, the verdicts together, then section by section.
#include "html.h"
#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

struct StandingWords {
  const char* style;
  const char* words;
};

StandingWords words_of(Standing standing) {
  switch (standing) {
    case Standing::Holds:
      return {"holds", "Holds here"};
    case Standing::Partly:
      return {"partly", "Partly"};
    case Standing::Fails:
      return {"fails", "Does not hold here"};
    case Standing::Unclear:
      break;
  }
  return {"unclear", "Not decided"};
}

std::string head_of(const LabHead& head) {
  std::string out = "<dl>\n";
  for (const auto& [name, value] : head.facts)
    out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_markup(name), escape_markup(value));
  return out + "</dl>\n";
}

std::string verdicts_of(const LabSection& section, bool with_link) {
  std::string out;
  for (const Verdict& verdict : section.verdicts) {
    const StandingWords standing = words_of(verdict.standing);
    out += fmt::format("<li class=\"{}\"><b>{}</b><em>{}.</em> {}", standing.style,
                       escape_markup(verdict.claim), standing.words, escape_markup(verdict.words));
    if (with_link)
      out += fmt::format(" <a href=\"#{}\">{}</a>", section.id, escape_markup(section.title));
    out += "</li>\n";
  }
  return out;
}

std::string section_of(const LabSection& section) {
  std::string out =
      fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n", section.id, escape_markup(section.title));
  if (!section.method.empty()) out += html_paragraph(section.method, "soft");
  if (!section.absent.empty()) out += html_paragraph("Not measured: " + section.absent);
  if (!section.verdicts.empty())
    out += "<ul class=\"claims\">\n" + verdicts_of(section, false) + "</ul>\n";
  if (!section.figures.empty()) out += "<div class=\"figures\">\n";
  for (const LabFigure& figure : section.figures)
    out += fmt::format("<figure>\n{}<figcaption>{}</figcaption>\n</figure>\n", figure.svg,
                       escape_markup(figure.caption));
  if (!section.figures.empty()) out += "</div>\n";
  for (const LabTable& table : section.tables) {
    if (!table.caption.empty()) out += html_paragraph(table.caption, "soft");
    out += html_table(table.head, table.rows);
  }
  return out + "</section>\n";
}

}  // namespace

std::string lab_page(const LabHead& head, const std::vector<LabSection>& sections) {
  std::string body =
      "<header>\n<h1>What quantising costs this model</h1>\n" + head_of(head) +
      "</header>\n<section id=\"claims\">\n<h2>Claims and verdicts</h2>\n" +
      html_paragraph(
          "Each claim is common; each verdict is computed from this model's numbers on "
          "this text, nothing else. KLD is the mean Kullback-Leibler divergence from the "
          "untouched model to the changed one, in nats per token; ± is one standard "
          "error by block bootstrap.",
          "soft") +
      "<ul class=\"claims\">\n";
  for (const LabSection& section : sections) body += verdicts_of(section, true);
  body += "</ul>\n</section>\n";
  for (const LabSection& section : sections) body += section_of(section);
  return html_page("What quantising costs this model", body);
}

nlohmann::ordered_json lab_json(const LabHead& head, const std::vector<LabSection>& sections) {
  nlohmann::ordered_json json;
  for (const auto& [name, value] : head.facts) json["head"][name] = value;
  for (const LabSection& section : sections) {
    nlohmann::ordered_json& one = json["sections"][section.id];
    one["title"] = section.title;
    if (!section.absent.empty()) one["absent"] = section.absent;
    one["numbers"] = section.numbers;
    for (const Verdict& verdict : section.verdicts)
      one["verdicts"].push_back({{"claim", verdict.claim},
                                 {"verdict", words_of(verdict.standing).style},
                                 {"words", verdict.words}});
  }
  return json;
}

}  // namespace pumice::command
