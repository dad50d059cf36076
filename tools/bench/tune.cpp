// A table of axes and a loop. An axis keeps what the axes before it have chosen.
#include "tools/bench/tune.h"

#include <algorithm>
#include <cmath>

#include "tests/rows/matrix_rows.h"

namespace pumice::bench {
namespace {

/// A choice other than the default must be faster by this, and its interval must say so too.
constexpr double kWorthIt = 1.02;

struct MatrixOf {
  QuantType type;
  uint32_t columns;
  graph::Activation gate = graph::Activation::None;
};

struct Axis {
  const char* name;
  std::vector<uint32_t> values;  ///< the default among them
  uint32_t usual;                ///< the default
  void (*set)(Tuning& tuning, uint32_t value);
  std::vector<MatrixOf> matrices;
};

std::vector<Axis> axes_of(const Policy& policy) {
  const MatrixOf q4{QuantType::Q4_K, 1}, q6{QuantType::Q6_K, 1};
  std::vector<Axis> axes;
  axes.push_back(
      {"activations",
       {uint32_t(ActivationType::F32), uint32_t(ActivationType::Q8)},
       uint32_t(policy.q8 ? ActivationType::Q8 : ActivationType::F32),
       [](Tuning& tuning, uint32_t value) { tuning.activations = ActivationType(value); },
       {q4, q6}});
  axes.push_back({"tiles",
                  policy.lane ? std::vector<uint32_t>{1, 2, 4} : std::vector<uint32_t>{1, 2},
                  policy.lane ? (policy.q8 ? 4u : 2u) : 1u,
                  [](Tuning& tuning, uint32_t value) { tuning.tiles = value; },
                  {q4, q6, {QuantType::Q4_K, 1, graph::Activation::Silu}}});
  axes.push_back({"columns",
                  {1, 2, 4, 8},
                  policy.columns,
                  [](Tuning& tuning, uint32_t value) { tuning.columns = value; },
                  {{QuantType::Q4_K, 8}, {QuantType::Q6_K, 8}}});
  if (policy.tiled)
    axes.push_back({"tiled_from",
                    {8, 16, 32, 64},
                    policy.tiled_from,
                    [](Tuning& tuning, uint32_t value) { tuning.tiled_from = value; },
                    {{QuantType::Q4_K, 8}, {QuantType::Q4_K, 16}, {QuantType::Q4_K, 32}}});
  return axes;
}

std::string value_text(const Axis& axis, uint32_t value) {
  if (std::string_view(axis.name) != "activations") return fmt::format("{}", value);
  return ActivationType(value) == ActivationType::Q8 ? "q8" : "f32";
}

test::Case case_of(const MatrixOf& matrix, uint32_t size) {
  const bool gate = matrix.gate != graph::Activation::None;
  test::Epilogue epilogue{gate ? "gate" : "", matrix.columns, {size}, false, false, matrix.gate};
  if (gate) epilogue.rows.push_back(size);
  const test::MatrixTier tier{
      {.name = "auto", .activations = ActivationType::Auto, .deterministic = false}, "", ""};
  test::Case item = test::matrix_case(
      {matrix.type, size, epilogue}, tier,
      test::matrix_weights(matrix.type, std::span(&size, 1), std::span(&epilogue, 1)));
  item.name = fmt::format("matrix {}x{}x{} {}{}", size, matrix.columns, size,
                          info(matrix.type).name, gate ? ", gate" : "");
  item.kernels = "mat";            // matvec_*, matmul_*: preparing activations is shared by several
  item.tolerance = test::kInt8Op;  // whichever precision a choice leads to
  return item;
}

class Tuner {
 public:
  Tuner(vk::Device& device, Stopwatch& stopwatch, const TuneEffort& effort, const TuneWatch& watch)
      : device_(device), stopwatch_(stopwatch), effort_(effort), watch_(watch) {}

  Result<void> add_axis(const Axis& axis) {
    std::vector<test::Case> cases;
    for (const MatrixOf& matrix : axis.matrices) cases.push_back(case_of(matrix, effort_.size));
    // The default first and last: what the machine does meanwhile must not look like a choice.
    PUMICE_TRY_ASSIGN(Samples usual, measure(axis, axis.usual, cases));
    std::vector<Samples> all;
    for (const uint32_t value : axis.values) {
      if (value == axis.usual) {
        all.emplace_back();
        continue;
      }
      PUMICE_TRY_ASSIGN(Samples samples, measure(axis, value, cases));
      all.push_back(std::move(samples));
    }
    PUMICE_TRY_ASSIGN(const Samples again, measure(axis, axis.usual, cases));
    for (size_t i = 0; i < cases.size(); ++i)
      usual[i].insert(usual[i].end(), again[i].begin(), again[i].end());
    choose(axis, cases, usual, all);
    return {};
  }

  [[nodiscard]] TuneResult take() { return std::move(result_); }

 private:
  using Samples = std::vector<std::vector<double>>;  ///< by case: seconds

  Result<Samples> measure(const Axis& axis, uint32_t value, std::vector<test::Case>& cases) {
    Samples samples;
    for (test::Case& item : cases) {
      const std::string what =
          fmt::format("{} {}: {}", axis.name, value_text(axis, value), item.name);
      if (watch_ && !watch_(what)) return fail(ErrorCode::Cancelled, "interrupted");
      item.options.tuning = result_.tuning;
      if (value != axis.usual) axis.set(item.options.tuning, value);
      PUMICE_TRY_ASSIGN(KernelTimes times, time_case(device_, stopwatch_, item, effort_.kernel));
      samples.push_back(std::move(times.seconds));
    }
    return samples;
  }

  void choose(const Axis& axis, const std::vector<test::Case>& cases, const Samples& usual,
              const std::vector<Samples>& all) {
    const size_t first = result_.choices.size();
    size_t best = SIZE_MAX;
    for (size_t v = 0; v < axis.values.size(); ++v) {
      TuneChoice choice{axis.name, value_text(axis, axis.values[v])};
      choice.by_default = axis.values[v] == axis.usual;
      const Samples& samples = choice.by_default ? usual : all[v];
      for (size_t i = 0; i < cases.size(); ++i) {
        result_.times.push_back(
            {fmt::format("{} {}: {}", axis.name, choice.value, cases[i].name), samples[i]});
        if (choice.by_default) continue;
        const Ratio speed = ratio_of(samples[i], usual[i]);
        const double part = 1.0 / double(cases.size());
        choice.speed *= std::pow(speed.value, part);
        choice.low *= std::pow(speed.low, part);
        choice.high *= std::pow(speed.high, part);
      }
      const bool faster = choice.speed > kWorthIt && choice.low > 1;
      if (faster && (best == SIZE_MAX || choice.speed > result_.choices[best].speed))
        best = first + v;
      result_.choices.push_back(std::move(choice));
    }
    for (size_t v = 0; v < axis.values.size(); ++v) {
      TuneChoice& choice = result_.choices[first + v];
      choice.chosen = best == SIZE_MAX ? choice.by_default : best == first + v;
      if (choice.chosen && !choice.by_default) axis.set(result_.tuning, axis.values[v]);
    }
  }

  vk::Device& device_;
  Stopwatch& stopwatch_;
  const TuneEffort& effort_;
  const TuneWatch& watch_;
  TuneResult result_;
};

}  // namespace

Result<TuneResult> tune(vk::Device& device, Stopwatch& stopwatch, const TuneEffort& effort,
                        const TuneWatch& watch) {
  Tuner tuner(device, stopwatch, effort, watch);
  for (const Axis& axis : axes_of(choose_policy(device.capabilities(), {})))
    PUMICE_TRY(tuner.add_axis(axis));
  return tuner.take();
}

}  // namespace pumice::bench
