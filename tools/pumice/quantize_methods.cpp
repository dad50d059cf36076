#include "quantize_methods.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <sstream>

#include "engine/base/platform.h"
#include "output.h"

namespace pumice::command {
namespace {

bool any_gram(const quant::ImportanceMatrix& matrix) {
  return std::ranges::any_of(matrix.tensors,
                             [](const auto& entry) { return entry.second.gram != nullptr; });
}

constexpr std::array<std::string_view, 4> kMethods = {"rtn", "imatrix", "gptq", "awq"};

void split_methods(const std::string& words, std::vector<std::string>& methods) {
  std::istringstream in(words);
  for (std::string word; std::getline(in, word, ',');) methods.push_back(word);
}

/// What CLI11 says of words that are no methods; empty if all are.
std::string unknown_method(const std::string& words) {
  std::vector<std::string> methods;
  split_methods(words, methods);
  for (const std::string& method : methods)
    if (std::ranges::find(kMethods, method) == kMethods.end())
      return fmt::format("\"{}\" is none of {}", method, fmt::join(kMethods, ", "));
  return methods.empty() ? "no method is named" : "";
}

/// Percent on stderr where that is a terminal; false after Ctrl-C.
bool show_search(double done) {
  if (is_terminal(Stream::Error))
    std::fprintf(stderr, "\rsearching factors %3.0f %%%s", 100 * done,
                 done >= 1 ? "\r                      \r" : "");
  return interrupts() == 0;
}

/// The factors that --smooth and --method awq ask for, one after the other; `importance` follows.
Result<quant::Folding> find_folding(const MethodFlags& flags, const GgufFile& model,
                                    const quant::QuantisePlan& plan,
                                    quant::ImportanceMatrix& importance) {
  quant::Folding folding;
  if (!flags.smoothing.empty()) {
    PUMICE_TRY_ASSIGN(folding, quant::smooth(model, importance, flags.smoothing_strength));
    quant::fold_statistics(folding, importance);
  }
  if (!flags.has("awq")) return folding;
  std::map<std::string_view, QuantType> types;
  for (const quant::PlannedTensor& planned : plan.tensors)
    types.emplace(planned.tensor->name, planned.type);
  const auto type_of = [&](std::string_view name) { return types.at(name); };
  PUMICE_TRY_ASSIGN(const quant::Folding found,
                    quant::search_awq(model, importance, folding, type_of, show_search));
  show_search(1);
  quant::fold_statistics(found, importance);
  quant::merge_folding(folding, found);
  return folding;
}

}  // namespace

bool MethodFlags::has(std::string_view method) const {
  return std::ranges::find(methods, method) != methods.end();
}

void add_method_flags(CLI::App& app, MethodFlags& flags) {
  app.add_option("--method", flags.words,
                 "rtn: nearest; imatrix: errors weighed by --imatrix (the default with one); gptq: "
                 "errors carried along its Gram matrices; awq: channels scaled first. awq,gptq do "
                 "both")
      ->expected(1)  // one word, so that a TYPE may follow
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->each([&flags](const std::string& words) { split_methods(words, flags.methods); })
      ->check([](const std::string& words) { return unknown_method(words); });
  app.add_option("--smooth", flags.smoothing,
                 "sq: move outliers of activations into the weights first (SmoothQuant)")
      ->check(CLI::IsMember({"sq"}));
  app.add_option("--smooth-strength", flags.smoothing_strength, "How far, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--sweeps", flags.sweeps,
                 "gptq: passes of coordinate descent behind the feedback, at most; 0: none, ten "
                 "times as fast")
      ->check(CLI::Range(0u, 1000u))
      ->capture_default_str();
  app.add_option("--damping", flags.damping,
                 "gptq: share of the mean energy added to every channel")
      ->check(CLI::Range(1e-6, 10.0));
}

Outcome check_methods(const MethodFlags& flags, const std::string& importance_path) {
  const bool rtn = flags.has("rtn");
  if (rtn && (flags.methods.size() > 1 || !flags.smoothing.empty()))
    return usage("--method rtn stands alone: it rounds the weights as they are");
  if (rtn && !importance_path.empty())
    return usage("--method rtn does not read --imatrix; leave one of them out");
  const bool needs = !flags.smoothing.empty() || (!flags.methods.empty() && !rtn);
  if (needs && importance_path.empty())
    return usage("{} needs --imatrix FILE; gather one: pumice imatrix -m MODEL -f TEXT -o FILE{}",
                 flags.smoothing.empty() ? "--method " + flags.methods.front() : "--smooth sq",
                 flags.has("gptq") ? " --gram" : "");
  return {};
}

Outcome check_gram(const MethodFlags& flags, const quant::ImportanceMatrix& importance,
                   const std::string& path) {
  if (!flags.has("gptq") || any_gram(importance)) return {};
  return tl::unexpected<Failure>(Failure(
      kFailed, fmt::format("{} has no Gram matrices, which --method gptq needs; gather them with "
                           "pumice imatrix --gram",
                           path)));
}

quant::ErrorFeedbackOptions feedback_of(const MethodFlags& flags) {
  quant::ErrorFeedbackOptions options;
  options.damping = flags.damping;
  options.sweeps = flags.sweeps;
  return options;
}

Outcome apply_methods(const MethodFlags& flags, const GgufFile& model,
                      const quant::QuantisePlan& plan, quant::ImportanceMatrix& importance,
                      quant::Folding& folding, quant::QuantiseRequest& request) {
  request.error_feedback = flags.has("gptq");
  request.feedback = feedback_of(flags);
  if (flags.smoothing.empty() && !flags.has("awq")) return {};
  count_interrupts();
  PUMICE_TRY_ASSIGN(folding, find_folding(flags, model, plan, importance));
  request.folding = &folding;
  return {};
}

}  // namespace pumice::command
