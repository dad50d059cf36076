// What quantisation does to the choice of tokens: flips of the likeliest one, and sampling at
// temperatures.
#include <cmath>

#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

constexpr quant::BootstrapOptions kBootstrap = {400, 1};

const char* const kUsual = "Q4_K_M";

/// Mixes whose choices are looked at.
std::vector<std::string> mixes(const LabBench& bench) {
  if (bench.options.quick) return {kUsual};
  return {kUsual, "Q6_K", "Q8_0"};
}

double middle(const quant::FlipBin& bin) {
  return std::isfinite(bin.high) ? 0.5 * (bin.low + bin.high) : bin.low;
}

std::string bin_name(const quant::FlipBin& bin) {
  return std::isfinite(bin.high) ? fmt::format("{}-{}", number_text(bin.low), number_text(bin.high))
                                 : fmt::format("{}+", number_text(bin.low));
}

nlohmann::ordered_json numbers_of(const std::string& mix, const quant::FlipStatistics& flips) {
  nlohmann::ordered_json numbers = {{"mix", mix},
                                    {"positions", flips.positions},
                                    {"flips", flips.flips},
                                    {"interval_95", {flips.interval.low, flips.interval.high}},
                                    {"noise_logits", flips.noise},
                                    {"predicted", flips.predicted},
                                    {"half_root_kld", flips.predicted_from_kld}};
  for (const quant::FlipBin& bin : flips.by_logit)
    numbers["bins"].push_back({{"from", bin.low},
                               {"to", bin.high},
                               {"positions", bin.positions},
                               {"flips", bin.flips},
                               {"predicted", bin.predicted}});
  return numbers;
}

Verdict flip_verdict(const quant::FlipStatistics& flips) {
  Verdict verdict;
  verdict.claim = "Quantisation hardly changes the most likely token";
  const double rate = flips.positions ? double(flips.flips) / double(flips.positions) : 0.0;
  verdict.standing = flips.interval.high < 0.01  ? Standing::Holds
                     : flips.interval.low > 0.03 ? Standing::Fails
                                                 : Standing::Partly;
  verdict.words = fmt::format(
      "{}: it changes at {} of {} positions (95 %: {} to {}); half the root of the mean KLD says "
      "{}.",
      kUsual, percent_text(rate), flips.positions, percent_text(flips.interval.low),
      percent_text(flips.interval.high), percent_text(flips.predicted_from_kld));
  return verdict;
}

/// Margins as a histogram, once: they are the reference's.
LabFigure margin_figure(const quant::FlipStatistics& flips) {
  std::vector<std::string> groups;
  PlotSeries bars;
  for (const quant::FlipBin& bin : flips.by_logit) {
    groups.push_back(bin_name(bin));
    bars.y.push_back(100.0 * double(bin.positions) /
                     double(std::max<uint64_t>(flips.positions, 1)));
  }
  const PlotSeries series[] = {bars};
  return {
      bar_plot("Margins of the reference", groups, {"positions, %", false, true}, series),
      "Logit of the reference's likeliest token less that of its second. Only small margins can "
      "flip."};
}

Verdict temperature_verdict(const std::vector<quant::TemperatureStatistics>& rows) {
  Verdict verdict;
  verdict.claim = "A low temperature hides quantisation error";
  const quant::TemperatureStatistics &cold = rows.front(), &hot = rows.back();
  const double error = std::hypot(cold.total_variation.error, hot.total_variation.error);
  const double rise = cold.total_variation.value - hot.total_variation.value;
  verdict.standing = judged({rise, error}, Standing::Fails);
  verdict.words = fmt::format(
      "{}: total variation between the two models' distributions is {} at T = {} and {} at T = {}. "
      "What a low temperature removes is the sampling's own noise.",
      kUsual, with_error(cold.total_variation), number_text(cold.temperature),
      with_error(hot.total_variation), number_text(hot.temperature));
  return verdict;
}

Verdict order_verdict(const std::vector<quant::TemperatureStatistics>& rows) {
  Verdict verdict;
  verdict.claim = "Divergence at a temperature follows from the logits' variance (second order)";
  for (const quant::TemperatureStatistics& row : rows) {
    if (row.temperature != 1.0 || !(row.kld.value > 0)) continue;
    const double ratio = row.kld_predicted.value / row.kld.value;
    verdict.standing = ratio > 0.8 && ratio < 1.25 ? Standing::Holds
                       : ratio > 0.5 && ratio < 2  ? Standing::Partly
                                                   : Standing::Fails;
    verdict.words =
        fmt::format("{}, T = 1: predicted {} nats, measured {}: {} times.", kUsual,
                    number_text(row.kld_predicted.value), with_error(row.kld), number_text(ratio));
  }
  return verdict;
}

}  // namespace

Result<LabSection> flip_section(LabBench& bench) {
  LabSection section;
  section.method = fmt::format(
      "Positions of the test text ({}) by the margin between the reference's two likeliest tokens, "
      "and how often the quantised model puts another token first. Dashed: what normal noise of "
      "the "
      "measured size would flip.",
      bench.test.positions());
  const std::vector<std::string> names = mixes(bench);
  bench.progress->expect(names.size());
  std::vector<PlotSeries> curves;
  for (const std::string& mix : names) {
    PUMICE_TRY_ASSIGN(const quant::Comparison* run, bench.run_mix(mix));
    PUMICE_TRY(bench.progress->step());
    const quant::FlipStatistics flips = quant::summarise_flips(*run);
    PlotSeries seen{mix, {}, {}, {}, false, false},
        expected{mix + " predicted", {}, {}, {}, true, false};
    for (const quant::FlipBin& bin : flips.by_logit) {
      if (bin.positions == 0) continue;
      seen.x.push_back(middle(bin)), expected.x.push_back(middle(bin));
      seen.y.push_back(100 * bin.rate()), expected.y.push_back(100 * bin.predicted);
      seen.error.push_back(25 * (bin.interval.high - bin.interval.low));  // a quarter of 95 %
    }
    curves.push_back(std::move(seen));
    curves.push_back(std::move(expected));
    section.numbers["mixes"].push_back(numbers_of(mix, flips));
    if (mix != kUsual) continue;
    section.verdicts.push_back(flip_verdict(flips));
    section.figures.push_back(margin_figure(flips));
  }
  section.figures.push_back(
      {line_plot("Flips by margin", {"margin, logits (last point: and more)", false, true},
                 {"flipped, %", false, true}, curves),
       "Whiskers: a quarter of the 95 % Wilson interval's width, about one standard error."});
  return section;
}

Result<LabSection> temperature_section(LabBench& bench) {
  LabSection section;
  section.method =
      "Both models' distributions at a temperature: total variation (how often the best-coupled "
      "samplers disagree) and KL divergence, against the second-order prediction: variance of the "
      "logit differences over 2 T².";
  const std::vector<std::string> names = mixes(bench);
  bench.progress->expect(names.size());
  std::vector<PlotSeries> variation, divergence;
  for (const std::string& mix : names) {
    PUMICE_TRY_ASSIGN(const quant::Comparison* run, bench.run_mix(mix));
    PUMICE_TRY(bench.progress->step());
    const auto rows = quant::summarise_temperatures(*run, kBootstrap);
    PlotSeries tv{mix, {}, {}, {}, false, false}, kld = tv, expected = tv;
    expected.name += " predicted";
    expected.dashed = true;
    for (const quant::TemperatureStatistics& row : rows) {
      for (PlotSeries* series : {&tv, &kld, &expected}) series->x.push_back(row.temperature);
      tv.y.push_back(row.total_variation.value), tv.error.push_back(row.total_variation.error);
      kld.y.push_back(row.kld.value), kld.error.push_back(row.kld.error);
      expected.y.push_back(row.kld_predicted.value);
      section.numbers["rows"].push_back({{"mix", mix},
                                         {"temperature", row.temperature},
                                         {"total_variation", to_json(row.total_variation)},
                                         {"same_draw", to_json(row.same_draw)},
                                         {"kld", to_json(row.kld)},
                                         {"kld_predicted", to_json(row.kld_predicted)},
                                         {"nucleus_overlap", to_json(row.nucleus_overlap)}});
    }
    variation.push_back(std::move(tv));
    divergence.push_back(std::move(kld));
    divergence.push_back(std::move(expected));
    if (mix == kUsual && !rows.empty())
      section.verdicts = {temperature_verdict(rows), order_verdict(rows)};
  }
  const PlotAxis x{"temperature", true, false};
  section.figures.push_back(
      {line_plot("Total variation by temperature", x, {"total variation", false, true}, variation),
       "0: the same distribution, 1: nothing in common. Whiskers: one standard error."});
  section.figures.push_back(
      {line_plot("Divergence by temperature", x, {"KLD, nats per token", true, false}, divergence),
       "Measured and predicted."});
  return section;
}

}  // namespace pumice::command
