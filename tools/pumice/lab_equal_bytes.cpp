// Fixed mixes against an allocation by measured sensitivity, at the same bytes.
#include "engine/quant/allocate.h"
#include "engine/quant/quantise.h"
#include "lab.h"
#include "output.h"
#include "plot.h"

namespace pumice::command {
namespace {

/// A fixed mix and what the same bytes buy otherwise.
struct EqualBytes {
  std::string mix;
  uint64_t bytes = 0, automatic_bytes = 0;
  double bits_per_weight = 0;
  const quant::Comparison* fixed = nullptr;
  std::optional<quant::Comparison> automatic, feedback;
  double predicted = 0;
  std::string absent;  ///< why there is no automatic allocation
};

Result<quant::QuantisePlan> plan_of(const LabBench& bench, const std::string& mix) {
  quant::QuantiseRequest request;
  PUMICE_TRY_ASSIGN(request.types, mix_request(bench, mix));
  request.types.with_importance = true;
  request.allow_requantize = true;
  return quant::plan_quantise(*bench.file, request);
}

Result<quant::Comparison> run_allocation(LabBench& bench, const quant::Allocation& allocation,
                                         Weighing weighing) {
  const auto& tensors = bench.sensitivity->tensors;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo* tensor = bench.file->find_tensor(tensors[i].name);
    if (!tensor) continue;
    PUMICE_TRY_ASSIGN(const std::vector<float> values,
                      bench.rounded(*tensor, allocation.types[i], weighing));
    PUMICE_TRY(bench.put(*tensor, values));
  }
  PUMICE_TRY_ASSIGN(quant::Comparison comparison, bench.compare());
  PUMICE_TRY(bench.restore_all());
  PUMICE_TRY(bench.progress->step());
  return comparison;
}

Result<EqualBytes> measure(LabBench& bench, const std::string& mix) {
  EqualBytes row;
  row.mix = mix;
  PUMICE_TRY_ASSIGN(const quant::QuantisePlan plan, plan_of(bench, mix));
  row.bytes = plan.bytes;
  row.bits_per_weight = plan.bits_per_weight();
  PUMICE_TRY_ASSIGN(row.fixed, bench.run_mix(mix));
  PUMICE_TRY(bench.progress->step());
  if (!bench.sensitivity) {
    row.absent = "sensitivities were not measured";
    return row;
  }
  const auto allocation = quant::allocate(*bench.sensitivity, plan.bytes);
  if (!allocation) {
    row.absent = allocation.error().text;
    return row;
  }
  row.automatic_bytes = allocation->bytes;
  row.predicted = allocation->predicted_kld;
  PUMICE_TRY_ASSIGN(row.automatic, run_allocation(bench, *allocation, Weighing::Activation));
  PUMICE_TRY_ASSIGN(row.feedback, run_allocation(bench, *allocation, Weighing::Feedback));
  return row;
}

Verdict verdict_of(const EqualBytes& row) {
  Verdict verdict;
  verdict.claim = "Fixed rules choose precisions as well as measuring does";
  if (!row.automatic) {
    verdict.words = row.absent;
    return verdict;
  }
  const quant::Estimate won = kld_difference(*row.fixed, *row.automatic);
  verdict.standing = judged(won, Standing::Fails);
  const double fixed = mean_kld(*row.fixed).value;
  verdict.words = fmt::format(
      "At the bytes of {}, the automatic allocation has {} times its divergence, with error "
      "feedback "
      "{} times (fixed less automatic: {} nats).",
      row.mix, number_text(mean_kld(*row.automatic).value / fixed),
      number_text(mean_kld(*row.feedback).value / fixed), with_error(won));
  return verdict;
}

nlohmann::ordered_json numbers_of(const EqualBytes& row) {
  nlohmann::ordered_json numbers = {{"mix", row.mix},
                                    {"bytes", row.bytes},
                                    {"bits_per_weight", row.bits_per_weight},
                                    {"kld", to_json(mean_kld(*row.fixed))}};
  if (!row.automatic) {
    numbers["automatic_absent"] = row.absent;
    return numbers;
  }
  numbers["automatic_bytes"] = row.automatic_bytes;
  numbers["automatic"] = to_json(mean_kld(*row.automatic));
  numbers["automatic_feedback"] = to_json(mean_kld(*row.feedback));
  numbers["automatic_predicted"] = row.predicted;
  return numbers;
}

}  // namespace

Result<LabSection> equal_bytes_section(LabBench& bench) {
  LabSection section;
  section.method =
      "Each mix as its public rules have it, and beside it the allocation that the measured "
      "sensitivities give for exactly as many bytes. All scales are weighed by activation "
      "statistics "
      "of the calibration text; KLD on the test text, which shares no token with it.";
  std::vector<std::string> mixes = {"uniform " + upper_name(bench.four_bit()), "seed-mix",
                                    "Q4_K_M"};
  if (bench.options.quick) mixes = {"Q4_K_M"};
  bench.progress->expect(3 * mixes.size());
  PlotSeries bars[3];
  bars[0].name = "the mix", bars[1].name = "automatic", bars[2].name = "automatic + feedback";
  LabTable table{
      "", {"mix", "size", "bits per weight", "KLD", "automatic", "+ feedback", "predicted"}, {}};
  for (const std::string& mix : mixes) {
    PUMICE_TRY_ASSIGN(const EqualBytes row, measure(bench, mix));
    const std::optional<quant::Comparison> none;
    std::vector<std::string> cells = {mix, bytes_text(row.bytes), number_text(row.bits_per_weight)};
    size_t s = 0;
    for (const quant::Comparison* run : {row.fixed, row.automatic ? &*row.automatic : nullptr,
                                         row.feedback ? &*row.feedback : nullptr}) {
      const quant::Estimate mean = run ? mean_kld(*run) : quant::Estimate{NAN, NAN};
      bars[s].y.push_back(mean.value);
      bars[s++].error.push_back(mean.error);
      cells.push_back(run ? with_error(mean) : "-");
    }
    cells.push_back(row.automatic ? number_text(row.predicted) : "-");
    table.rows.push_back(std::move(cells));
    section.numbers["mixes"].push_back(numbers_of(row));
    if (mix == mixes.back()) section.verdicts.push_back(verdict_of(row));
  }
  section.figures.push_back({bar_plot("Divergence at equal bytes", mixes,
                                      {"mean KLD, nats per token", false, true}, bars),
                             "Whiskers: one standard error. Lower is better."});
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace pumice::command
