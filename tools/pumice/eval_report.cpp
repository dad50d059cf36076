// What evaluations print for people.
#include <cmath>

#include "eval.h"
#include "output.h"

namespace pumice::command {
namespace {

using quant::Estimate;

std::string plus_minus(const Estimate& e, int digits = 4, double scale = 1.0) {
  return fmt::format("{:.{}f} +- {:.{}f}", e.value * scale, digits, e.error * scale, digits);
}

/// Divergences span decades: significant digits, not decimals.
std::string small(double value) {
  return fmt::format("{:.4g}", value);
}

std::string small(const Estimate& e) {
  return fmt::format("{:.4g} +- {:.2g}", e.value, e.error);
}

std::string seconds_line(const EvalTask& task, const EvalRun& run) {
  const quant::Comparison& c = run.comparison;
  const double tokens = double(task.text.chunks) * (task.text.context - 1);
  std::string line = fmt::format("time        model {:.1f} s, {:.0f} tokens/s", c.model_seconds,
                                 c.model_seconds > 0 ? tokens / c.model_seconds : 0.0);
  const double reference = c.reference_seconds + task.reference.seconds;
  if (c.has_reference) line += fmt::format("; reference {:.1f} s", reference);
  return line + fmt::format("; scoring {:.1f} s\n", c.score_seconds);
}

std::string head(const EvalTask& task, const std::vector<EvalRun>& runs) {
  const quant::EvaluationText& text = task.text;
  std::string out =
      fmt::format("model       {} ({}, {})\n", printable(task.file->name()),
                  printable(runs.front().device), bytes_text(task.file->file_bytes()));
  if (!task.reference.name.empty())
    out += fmt::format("reference   {}\n", printable(task.reference.name));
  out += fmt::format(
      "text        {}: {} tokens; {} chunk{} of {}, {} scored: {} in all\n", printable(text.name),
      text.text_tokens, text.chunks, text.chunks == 1 ? "" : "s", text.context,
      task.flags.replies ? std::string("positions of replies")
                         : fmt::format("positions {} to {}", text.first_scored, text.context - 2),
      runs.front().statistics.positions);
  if (runs.size() == 1) {
    out += fmt::format("run         {}\n", runs.front().policy);
    out += seconds_line(task, runs.front());
  }
  out += fmt::format("errors      standard errors, bootstrap over {} blocks ({} replicates)\n\n",
                     runs.front().statistics.blocks, task.flags.replicates);
  return out;
}

struct Line {
  const char* what;
  std::string value;
};

std::string lines(const std::vector<Line>& rows) {
  std::string out;
  for (const Line& row : rows) out += fmt::format("{:<44} {}\n", row.what, row.value);
  return out;
}

std::string divergence_lines(const quant::DivergenceQuantiles& kld, const char* name) {
  return fmt::format("{:<26} {:>20} {:>10} {:>10} {:>10} {:>10} {:>10}\n", name, small(kld.mean),
                     small(kld.median.value), small(kld.q90.value), small(kld.q99.value),
                     small(kld.q999.value), small(kld.max));
}

std::string summary(const quant::DivergenceStatistics& s, bool has_reference) {
  std::vector<Line> rows = {
      {"perplexity", plus_minus(s.perplexity)},
      {"mean negative log likelihood, nats a token", plus_minus(s.nll, 5)},
  };
  if (!has_reference) return lines(rows);
  rows.push_back({"perplexity of the reference", plus_minus(s.perplexity_reference)});
  rows.push_back({"perplexity / reference's", plus_minus(s.perplexity_ratio, 6)});
  rows.push_back({"log of that, nats", plus_minus(s.log_perplexity_ratio, 6)});
  rows.push_back({"same most likely token, %", plus_minus(s.same_top, 3, 100)});
  rows.push_back({"RMS change of p(next token), %", plus_minus(s.rms_probability_change, 3, 100)});
  rows.push_back({"mean change of p(next token), %", plus_minus(s.probability_change, 3, 100)});
  std::string out = lines(rows);
  out += fmt::format("\n{:<26} {:>20} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "KL divergence, nats",
                     "mean", "median", "90 %", "99 %", "99.9 %", "max");
  out += divergence_lines(s.kld, "KL(reference || model)");
  out += divergence_lines(s.kld_reverse, "KL(model || reference)");
  return out;
}

std::string grid_table(const std::vector<EvalRun>& runs) {
  std::string out = fmt::format(
      "{:<6} {:<6} {:>10} {:>22} {:>10} {:>10} {:>10} {:>10} {:>18} {:>8}\n", "act", "kv",
      "perplexity", "mean KLD, nats", "median", "99 %", "99.9 %", "max", "same top, %", "RMS, %");
  for (const EvalRun& run : runs) {
    const quant::DivergenceStatistics& s = run.statistics;
    out += fmt::format("{:<6} {:<6} {:>10.4f} {:>22} {:>10} {:>10} {:>10} {:>10} {:>18} {:>8.3f}\n",
                       run.options.act, run.options.kv, s.perplexity.value, small(s.kld.mean),
                       small(s.kld.median.value), small(s.kld.q99.value), small(s.kld.q999.value),
                       small(s.kld.max), plus_minus(s.same_top, 3, 100),
                       100 * s.rms_probability_change.value);
  }
  return out + "KLD = KL(reference || model); RMS = of the change of p(next token)\n";
}

std::string perplexity_table(const std::vector<EvalRun>& runs) {
  std::string out =
      fmt::format("{:<6} {:<6} {:>24} {:>24}\n", "act", "kv", "perplexity", "nats a token");
  for (const EvalRun& run : runs)
    out += fmt::format("{:<6} {:<6} {:>24} {:>24}\n", run.options.act, run.options.kv,
                       plus_minus(run.statistics.perplexity), plus_minus(run.statistics.nll, 5));
  return out;
}

std::string temperature_table(const EvalTask& task, const EvalRun& run) {
  if (run.comparison.temperatures.empty()) return {};
  std::string out = fmt::format("\n{:>5} {:>18} {:>18} {:>20} {:>20} {:>18} {:>10}\n", "T",
                                "total variation, %", "same draw, %", "KL_T, nats",
                                "Var/(2T^2), nats", "nucleus overlap, %", "mass, %");
  for (const auto& row :
       quant::summarise_temperatures(run.comparison, {task.flags.replicates, task.flags.seed}))
    out += fmt::format("{:>5.2f} {:>18} {:>18} {:>20} {:>20} {:>18} {:>10.2f}\n", row.temperature,
                       plus_minus(row.total_variation, 2, 100), plus_minus(row.same_draw, 2, 100),
                       small(row.kld), small(row.kld_predicted),
                       plus_minus(row.nucleus_overlap, 2, 100), 100 * row.nucleus_mass.value);
  return out +
         fmt::format(
             "total variation: share of draws on which the best coupling disagrees; same draw: one "
             "random number for both,\ninverse cumulative distribution by token id; nuclei at "
             "top-p {}: tokens in both / in either, reference's mass in the model's\n",
             task.flags.top_p);
}

std::string bin_table(const std::vector<quant::FlipBin>& bins, const char* unit) {
  std::string out = fmt::format("\n{:<24} {:>10} {:>8} {:>9} {:>18} {:>12}\n", unit, "positions",
                                "flips", "rate, %", "95 % interval, %", "predicted, %");
  for (const quant::FlipBin& bin : bins) {
    const std::string range = std::isinf(bin.high) ? fmt::format("{:g} and more", bin.low)
                                                   : fmt::format("{:g} to {:g}", bin.low, bin.high);
    if (bin.positions == 0) {
      out += fmt::format("{:<24} {:>10}\n", range, 0);
      continue;
    }
    out += fmt::format(
        "{:<24} {:>10} {:>8} {:>9.3f} {:>18} {:>12.3f}\n", range, bin.positions, bin.flips,
        100 * bin.rate(),
        fmt::format("{:.2f} to {:.2f}", 100 * bin.interval.low, 100 * bin.interval.high),
        100 * bin.predicted);
  }
  return out;
}

std::string flip_tables(const EvalRun& run) {
  const quant::FlipStatistics flips = quant::summarise_flips(run.comparison);
  const double n = double(std::max<uint64_t>(flips.positions, 1));
  std::string out = lines({
      {"most likely token changed",
       fmt::format("{} of {}: {:.3f} % ({:.2f} to {:.2f})", flips.flips, flips.positions,
                   100 * double(flips.flips) / n, 100 * flips.interval.low,
                   100 * flips.interval.high)},
      {"noise of the margin (RMS), logits", small(flips.noise)},
      {"predicted: normal noise against each margin",
       fmt::format("{:.3f} %", 100 * flips.predicted)},
      {"predicted: 0.5 sqrt(mean KLD)", fmt::format("{:.3f} %", 100 * flips.predicted_from_kld)},
  });
  out += bin_table(flips.by_probability, "margin, probability");
  return out + bin_table(flips.by_logit, "margin, logits");
}

std::string curve_table(const EvalTask& task, const EvalRun& run) {
  const bool both = run.comparison.has_reference;
  std::string out = fmt::format("{:<16} {:>10} {:>20}", "positions", "scored", "nats a token");
  out += both ? fmt::format(" {:>20} {:>22}\n", "of the reference", "KLD, nats") : "\n";
  for (const quant::CurveBucket& bucket :
       quant::position_curve(run.comparison, {task.flags.replicates, task.flags.seed})) {
    out += fmt::format("{:<16} {:>10} {:>20}", fmt::format("{} to {}", bucket.first, bucket.last),
                       bucket.positions, plus_minus(bucket.nll));
    out +=
        both ? fmt::format(" {:>20} {:>22}\n", plus_minus(bucket.nll_reference), small(bucket.kld))
             : "\n";
  }
  return out;
}

}  // namespace

std::string evaluation_tables(const EvalTask& task, const std::vector<EvalRun>& runs) {
  std::string out = head(task, runs);
  if (task.kind == EvalKind::Perplexity)
    return out +
           (runs.size() > 1 ? perplexity_table(runs) : summary(runs.front().statistics, false));
  if (task.kind == EvalKind::Divergence && runs.size() > 1) out += grid_table(runs);
  for (const EvalRun& run : runs) {
    const bool several = runs.size() > 1;
    const bool more = task.kind != EvalKind::Divergence || !run.comparison.temperatures.empty();
    if (several && more)
      out += fmt::format("\n--- act {}, kv {}\n", run.options.act, run.options.kv);
    if (task.kind == EvalKind::Divergence && !several)
      out += summary(run.statistics, run.comparison.has_reference);
    if (task.kind == EvalKind::Flips) out += flip_tables(run);
    if (task.kind == EvalKind::Curve) out += curve_table(task, run);
    out += temperature_table(task, run);
  }
  return out;
}

}  // namespace pumice::command
