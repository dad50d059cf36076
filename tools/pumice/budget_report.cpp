#include "budget_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "output.h"

namespace pumice::command {
namespace {

using quant::Allocation;
using quant::Sensitivity;
using Json = nlohmann::ordered_json;

constexpr size_t kFrontRows = 14;   // of the table
constexpr size_t kFrontDots = 200;  // of the plot and the JSON

double bits_of(const Sensitivity& sensitivity, uint64_t bytes) {
  return 8.0 * double(bytes) / double(std::max<uint64_t>(sensitivity.weights, 1));
}

double kld_of(const Sensitivity& sensitivity, size_t tensor, QuantType type) {
  const auto found = std::ranges::find(sensitivity.candidates, type);
  return sensitivity.tensors[tensor].kld[size_t(found - sensitivity.candidates.begin())];
}

std::string front_text(const BudgetChoice& choice) {
  const Sensitivity& sensitivity = choice.sensitivity;
  std::vector<Allocation> front = quant::thinned(quant::pareto_front(sensitivity), kFrontRows);
  std::erase_if(front,
                [&](const Allocation& point) { return point.types == choice.allocation.types; });
  front.push_back(choice.allocation);
  std::ranges::stable_sort(front, {}, &Allocation::bytes);
  std::string text = fmt::format("\nPareto front\n{:>12} {:>8} {:>12}\n", "MiB", "bpw", "KLD");
  for (const Allocation& point : front) {
    const bool chosen = point.types == choice.allocation.types;
    text += fmt::format("{:>12.3f} {:>8.3f} {:>12.3e}{}\n", double(point.bytes) / 0x1p20,
                        bits_of(sensitivity, point.bytes), point.predicted_kld,
                        chosen ? "  <- chosen" : "");
  }
  return text;
}

struct Dot {
  double bits = 0, kld = 0;
};

std::vector<Dot> dots_of(const BudgetChoice& choice) {
  std::vector<Dot> dots;
  for (const Allocation& point :
       quant::thinned(quant::pareto_front(choice.sensitivity), kFrontDots))
    if (point.predicted_kld > 0)
      dots.push_back({bits_of(choice.sensitivity, point.bytes), point.predicted_kld});
  return dots;
}

/// Where values lie in the picture: bits from left to right, log KLD from bottom to top.
class Axes {
 public:
  static constexpr double kWidth = 640, kHeight = 400, kLeft = 70, kBottom = 350, kTop = 40;
  explicit Axes(const std::vector<Dot>& dots) {
    for (const Dot& dot : dots) {
      least_ = std::min(least_, std::floor(std::log10(dot.kld)));
      most_ = std::max(most_, std::ceil(std::log10(dot.kld)));
      last_ = std::max(last_, std::ceil(dot.bits));
      first_ = std::min(first_, std::floor(dot.bits));
    }
    if (!(most_ > least_)) least_ = most_ - 1;
    if (!(last_ > first_)) last_ = first_ + 1;
  }
  [[nodiscard]] double x(double bits) const {
    return kLeft + (kWidth - kLeft - 20) * (bits - first_) / (last_ - first_);
  }
  [[nodiscard]] double y(double log_kld) const {
    return kBottom - (kBottom - kTop) * (log_kld - least_) / (most_ - least_);
  }
  [[nodiscard]] std::string grid() const {
    std::string svg;
    for (double bits = first_; bits <= last_; bits += std::max(1.0, std::floor(last_ - first_) / 8))
      svg += fmt::format(
          "<path class=\"g\" d=\"M{0:.1f} {1}V{2}\"/><text x=\"{0:.1f}\" y=\"{3}\" "
          "text-anchor=\"middle\">{4:g}</text>\n",
          x(bits), kTop, kBottom, kBottom + 18, bits);
    for (double log = least_; log <= most_; ++log)
      svg += fmt::format(
          "<path class=\"g\" d=\"M{0} {1:.1f}H{2}\"/><text x=\"{3}\" y=\"{4:.1f}\" "
          "text-anchor=\"end\">1e{5:g}</text>\n",
          kLeft, y(log), kWidth - 20, kLeft - 6, y(log) + 4, log);
    return svg;
  }

 private:
  double first_ = 64, last_ = 0, least_ = 300, most_ = -300;
};

constexpr const char* kStyle =
    "<style>text{font:12px sans-serif;fill:#222}.g{stroke:#ddd;fill:none}"
    ".f{stroke:#2266bb;fill:none;stroke-width:2}.c{fill:#cc4422}.b{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.g{stroke:#444}.f{stroke:#77aaee}"
    ".c{fill:#ff8866}.b{fill:#181818}}</style>\n";

}  // namespace

std::string budget_text(const BudgetChoice& choice) {
  const Sensitivity& sensitivity = choice.sensitivity;
  const Allocation& chosen = choice.allocation;
  std::string text =
      fmt::format("{:<40} {:<7} {:>14} {:>11} {:>7}\n", "tensor", "type", "bytes", "KLD", "share");
  for (size_t t = 0; t < sensitivity.tensors.size(); ++t) {
    const double kld = kld_of(sensitivity, t, chosen.types[t]);
    const double share = chosen.predicted_kld > 0 ? 100.0 * kld / chosen.predicted_kld : 0.0;
    text +=
        fmt::format("{:<40} {:<7} {:>14} {:>11.3e} {:>5.1f} %\n",
                    printable(sensitivity.tensors[t].name), info(chosen.types[t]).name,
                    quant::bytes_as(chosen.types[t], sensitivity.tensors[t].weights), kld, share);
  }
  text += front_text(choice);
  text += fmt::format(
      "\nbudget {} bytes, used {} ({:.3f} bits per weight), {} left; KLD predicted {:.4e}",
      choice.budget, chosen.bytes, bits_of(sensitivity, chosen.bytes), choice.budget - chosen.bytes,
      chosen.predicted_kld);
  if (choice.measured) text += fmt::format(", measured {:.4e}", *choice.measured);
  return text + (chosen.exact ? "\n" : "; near the best, not proven\n");
}

Json budget_json(const BudgetChoice& choice) {
  const Sensitivity& sensitivity = choice.sensitivity;
  const Allocation& chosen = choice.allocation;
  Json json = {{"budget", choice.budget},
               {"bytes", chosen.bytes},
               {"bits_per_weight", bits_of(sensitivity, chosen.bytes)},
               {"kld_predicted", chosen.predicted_kld},
               {"kld_measured", choice.measured ? Json(*choice.measured) : Json()},
               {"exact", chosen.exact}};
  Json& tensors = json["tensors"] = Json::array();
  for (size_t t = 0; t < sensitivity.tensors.size(); ++t)
    tensors.push_back({{"name", sensitivity.tensors[t].name},
                       {"type", info(chosen.types[t]).name},
                       {"bytes", quant::bytes_as(chosen.types[t], sensitivity.tensors[t].weights)},
                       {"kld", kld_of(sensitivity, t, chosen.types[t])}});
  Json& front = json["pareto"] = Json::array();
  for (const Allocation& point : quant::thinned(quant::pareto_front(sensitivity), kFrontDots))
    front.push_back({{"bytes", point.bytes},
                     {"bits_per_weight", bits_of(sensitivity, point.bytes)},
                     {"kld_predicted", point.predicted_kld}});
  return json;
}

std::string pareto_svg(const BudgetChoice& choice) {
  std::vector<Dot> dots = dots_of(choice);
  const Dot chosen{bits_of(choice.sensitivity, choice.allocation.bytes),
                   choice.allocation.predicted_kld};
  if (dots.empty()) dots.push_back({chosen.bits, 1e-9});
  const Axes axes(dots);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\">\n{2}<rect class=\"b\" "
      "width=\"{0}\" height=\"{1}\"/>\n<text x=\"{3}\" y=\"24\">KL divergence (nats, predicted) "
      "against bits per weight</text>\n",
      Axes::kWidth, Axes::kHeight, kStyle, Axes::kLeft);
  svg += axes.grid();
  svg += "<path class=\"f\" d=\"";
  for (size_t i = 0; i < dots.size(); ++i)
    svg += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", axes.x(dots[i].bits),
                       axes.y(std::log10(dots[i].kld)));
  svg += "\"/>\n";
  if (chosen.kld > 0)
    svg += fmt::format(
        "<circle class=\"c\" cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"5\"/><text x=\"{2:.1f}\" "
        "y=\"{3:.1f}\">{4:.3f} bpw, {5:.3g}</text>\n",
        axes.x(chosen.bits), axes.y(std::log10(chosen.kld)), axes.x(chosen.bits) + 8,
        axes.y(std::log10(chosen.kld)) - 8, chosen.bits, chosen.kld);
  return svg + "</svg>\n";
}

}  // namespace pumice::command
