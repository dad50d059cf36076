// The JSON of an evaluation. Units are in the names or under "units"; an estimate is
// {"value", "error"}.
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/platform.h"
#include "eval.h"
#include "output.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;
using quant::Estimate;

Json json_of(const Estimate& e) {
  return {{"value", e.value}, {"error", e.error}};
}

Json json_of(const quant::Interval& interval) {
  return Json::array({interval.low, interval.high});
}

Json json_of(const quant::DivergenceQuantiles& kld) {
  return {{"mean", json_of(kld.mean)}, {"median", json_of(kld.median)}, {"q90", json_of(kld.q90)},
          {"q99", json_of(kld.q99)},   {"q99.9", json_of(kld.q999)},    {"max", kld.max}};
}

Json json_of(const quant::DivergenceStatistics& s, bool has_reference) {
  Json json = {{"positions", s.positions},
               {"blocks", s.blocks},
               {"nll", json_of(s.nll)},
               {"perplexity", json_of(s.perplexity)}};
  if (!has_reference) return json;
  const Json more = {{"nll_reference", json_of(s.nll_reference)},
                     {"perplexity_reference", json_of(s.perplexity_reference)},
                     {"perplexity_ratio", json_of(s.perplexity_ratio)},
                     {"log_perplexity_ratio", json_of(s.log_perplexity_ratio)},
                     {"kld", json_of(s.kld)},
                     {"kld_reverse", json_of(s.kld_reverse)},
                     {"same_top", json_of(s.same_top)},
                     {"probability_change", json_of(s.probability_change)},
                     {"rms_probability_change", json_of(s.rms_probability_change)}};
  json.update(more);
  return json;
}

Json json_of(const std::vector<quant::FlipBin>& bins) {
  Json list = Json::array();
  for (const quant::FlipBin& bin : bins)
    list.push_back({{"low", bin.low},
                    {"high", std::isinf(bin.high) ? Json() : Json(bin.high)},
                    {"positions", bin.positions},
                    {"flips", bin.flips},
                    {"rate", bin.rate()},
                    {"interval", json_of(bin.interval)},
                    {"predicted", bin.predicted}});
  return list;
}

Json flips_json(const quant::Comparison& comparison) {
  const quant::FlipStatistics flips = quant::summarise_flips(comparison);
  return {{"positions", flips.positions},
          {"flips", flips.flips},
          {"interval", json_of(flips.interval)},
          {"noise_logits", flips.noise},
          {"predicted", flips.predicted},
          {"predicted_from_kld", flips.predicted_from_kld},
          {"by_probability", json_of(flips.by_probability)},
          {"by_logit", json_of(flips.by_logit)}};
}

Json temperatures_json(const quant::Comparison& comparison,
                       const quant::BootstrapOptions& bootstrap) {
  Json list = Json::array();
  for (const auto& row : quant::summarise_temperatures(comparison, bootstrap))
    list.push_back({{"temperature", row.temperature},
                    {"total_variation", json_of(row.total_variation)},
                    {"same_draw_disagreement", json_of(row.same_draw)},
                    {"kld", json_of(row.kld)},
                    {"kld_predicted", json_of(row.kld_predicted)},
                    {"nucleus_overlap", json_of(row.nucleus_overlap)},
                    {"nucleus_mass", json_of(row.nucleus_mass)}});
  return list;
}

Json curve_json(const quant::Comparison& comparison, const quant::BootstrapOptions& bootstrap) {
  Json list = Json::array();
  for (const quant::CurveBucket& bucket : quant::position_curve(comparison, bootstrap)) {
    Json row = {{"first", bucket.first},
                {"last", bucket.last},
                {"positions", bucket.positions},
                {"nll", json_of(bucket.nll)}};
    if (comparison.has_reference) {
      row["nll_reference"] = json_of(bucket.nll_reference);
      row["kld"] = json_of(bucket.kld);
    }
    list.push_back(std::move(row));
  }
  return list;
}

Json run_json(const EvalTask& task, const EvalRun& run) {
  const quant::Comparison& comparison = run.comparison;
  const quant::BootstrapOptions bootstrap = {task.flags.replicates, task.flags.seed};
  const double tokens = double(task.text.chunks) * (task.text.context - 1);
  Json json = {{"act", run.options.act},
               {"kv", run.options.kv},
               {"policy", run.policy},
               {"device", run.device},
               {"statistics", json_of(run.statistics, comparison.has_reference)}};
  if (comparison.has_reference && task.kind != EvalKind::Curve)
    json["flips"] = flips_json(comparison);
  if (!comparison.temperatures.empty())
    json["temperatures"] = temperatures_json(comparison, bootstrap);
  if (task.kind == EvalKind::Curve) json["curve"] = curve_json(comparison, bootstrap);
  json["seconds"] = {{"model", comparison.model_seconds},
                     {"reference", comparison.reference_seconds + task.reference.seconds},
                     {"scoring", comparison.score_seconds}};
  json["tokens_per_second"] =
      comparison.model_seconds > 0 ? tokens / comparison.model_seconds : 0.0;
  return json;
}

Json evaluation_json(const EvalTask& task, const std::vector<EvalRun>& runs) {
  constexpr std::array kNames = {"ppl", "kld", "flips", "curve"};
  const quant::EvaluationText& text = task.text;
  Json json = {{"evaluation", kNames[size_t(task.kind)]},
               {"model", task.file->name()},
               {"model_bytes", task.file->file_bytes()},
               {"reference", task.reference.name.empty() ? Json() : Json(task.reference.name)},
               {"text",
                {{"file", text.name},
                 {"tokens", text.text_tokens},
                 {"context", text.context},
                 {"chunks", text.chunks},
                 {"first_scored", text.first_scored},
                 {"replies_only", task.flags.replies},
                 {"positions", runs.front().statistics.positions}}},
               {"bootstrap", {{"replicates", task.flags.replicates}, {"seed", task.flags.seed}}},
               {"top_p", task.flags.top_p},
               {"units",
                {{"nll", "nats per token"},
                 {"kld", "nats per position, KL(reference || model)"},
                 {"kld_reverse", "nats per position, KL(model || reference)"},
                 {"same_top", "share of positions"},
                 {"probability_change", "of the next token, model - reference"},
                 {"error", "standard error, block bootstrap"}}}};
  json["runs"] = Json::array();
  for (const EvalRun& run : runs) json["runs"].push_back(run_json(task, run));
  return json;
}

}  // namespace

Outcome write_report(const std::string& where, const std::string& text, const Json& json) {
  if (where == "-") return write_json(json);
  if (!where.empty()) {
    const std::string document = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    PUMICE_TRY(write_file_whole(where, std::as_bytes(std::span(document))));
  }
  return write_text(text);
}

Outcome report_evaluation(const EvalTask& task, const std::vector<EvalRun>& runs) {
  return write_report(task.flags.json, evaluation_tables(task, runs), evaluation_json(task, runs));
}

}  // namespace pumice::command
