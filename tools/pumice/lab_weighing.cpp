// What should weigh a rounding error: nothing, |w|, the activations, or their correlations.
#include <array>

#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

struct WeighingRow {
  Weighing weighing;
  const char* name;
};

constexpr std::array kWeighings = {
    WeighingRow{Weighing::Plain, "plain"},
    WeighingRow{Weighing::Magnitude, "by |w|"},
    WeighingRow{Weighing::Activation, "by activation"},
    WeighingRow{Weighing::Feedback, "by Hessian"},
};

/// The whole model at one type, weighed in each of the ways.
struct WeighedModel {
  QuantType type;
  std::array<quant::Comparison, kWeighings.size()> runs;

  [[nodiscard]] const quant::Comparison& run(Weighing weighing) const {
    return runs[size_t(weighing)];
  }
  [[nodiscard]] double recovered(Weighing weighing) const {
    const double plain = mean_kld(run(Weighing::Plain)).value;
    return plain > 0 ? 1 - mean_kld(run(weighing)).value / plain : 0.0;
  }
};

Result<WeighedModel> measure(LabBench& bench, QuantType type) {
  WeighedModel model{type, {}};
  for (size_t i = 0; i < kWeighings.size(); ++i) {
    PUMICE_TRY(bench.put_all(type, kWeighings[i].weighing));
    PUMICE_TRY_ASSIGN(model.runs[i], bench.compare());
    PUMICE_TRY(bench.progress->step());
  }
  PUMICE_TRY(bench.restore_all());
  return model;
}

Verdict magnitude_verdict(const WeighedModel& model) {
  const quant::Estimate behind =
      kld_difference(model.run(Weighing::Magnitude), model.run(Weighing::Activation));
  Verdict verdict;
  verdict.claim = "Large weights matter most, so |w| tells what to protect";
  verdict.standing = judged(behind, Standing::Fails);
  verdict.words = fmt::format(
      "{}: weighing by |w| recovers {} of the plain divergence, by activation {}, by Hessian {}. "
      "|w| "
      "less activation: {} nats.",
      upper_name(model.type), percent_text(model.recovered(Weighing::Magnitude)),
      percent_text(model.recovered(Weighing::Activation)),
      percent_text(model.recovered(Weighing::Feedback)), with_error(behind));
  return verdict;
}

Verdict calibration_verdict(const WeighedModel& model) {
  const bool feedback = model.recovered(Weighing::Feedback) > model.recovered(Weighing::Activation);
  const Weighing best = feedback ? Weighing::Feedback : Weighing::Activation;
  const quant::Estimate won = kld_difference(model.run(Weighing::Plain), model.run(best));
  Verdict verdict;
  verdict.claim = "Weight-only quantisation needs no calibration";
  verdict.standing = judged(won, Standing::Fails);
  verdict.words = fmt::format(
      "{}: calibration {} takes {} off the divergence on text it has not seen ({} nats).",
      upper_name(model.type), feedback ? "with error feedback" : "by activation",
      percent_text(model.recovered(best)), with_error(won));
  return verdict;
}

}  // namespace

Result<LabSection> weighing_section(LabBench& bench) {
  LabSection section;
  section.method = fmt::format(
      "All matrices become one type; the squared errors that scales are fitted to are weighed by "
      "nothing, by |w|, by E[x²] of the input channel, or rounding errors are carried on along the "
      "inputs' correlations (GPTQ, which is the Hessian of a layer's output). KLD on the test "
      "text.{}",
      bench.has_gram ? ""
                     : " The correlation matrices of this model do not fit this machine's memory"
                       ", so the Hessian's bars are those by activation.");
  const std::vector<QuantType> types =
      bench.options.quick ? std::vector{bench.four_bit()} : bench.ladder();
  bench.progress->expect(types.size() * kWeighings.size());
  std::array<PlotSeries, kWeighings.size()> kld, recovered;
  std::vector<std::string> groups;
  for (size_t i = 0; i < kWeighings.size(); ++i)
    kld[i].name = recovered[i].name = kWeighings[i].name;
  for (const QuantType type : types) {
    PUMICE_TRY_ASSIGN(const WeighedModel model, measure(bench, type));
    groups.push_back(upper_name(type));
    nlohmann::ordered_json row = {{"type", upper_name(type)},
                                  {"share_of_weights", bench.fitting_share(type)}};
    for (size_t i = 0; i < kWeighings.size(); ++i) {
      const quant::Estimate mean = mean_kld(model.runs[i]);
      kld[i].y.push_back(mean.value);
      kld[i].error.push_back(mean.error);
      recovered[i].y.push_back(100 * model.recovered(kWeighings[i].weighing));
      row[kWeighings[i].name] = to_json(mean);
    }
    section.numbers["types"].push_back(std::move(row));
    if (type != bench.four_bit()) continue;
    section.verdicts = {magnitude_verdict(model), calibration_verdict(model)};
  }
  section.figures.push_back(
      {bar_plot("Divergence by weighing", groups, {"mean KLD, nats per token", true, false}, kld),
       "Whiskers: one standard error (block bootstrap)."});
  section.figures.push_back(
      {bar_plot("Divergence recovered against plain", groups, {"KLD recovered, %", false, true},
                std::span(recovered).subspan(1)),
       "The same as a share of the plain divergence. Below zero: it made things worse."});
  return section;
}

}  // namespace pumice::command
