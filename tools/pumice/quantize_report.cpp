#include "quantize_report.h"

#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/base/platform.h"
#include "output.h"

namespace pumice::command {
namespace {

using quant::ChosenBy;
using quant::PlannedTensor;
using quant::QuantisePlan;
using Json = nlohmann::ordered_json;

constexpr std::array kReasons = {"", "fallback", "asked", "kept"};  // by ChosenBy

const char* reason_of(const PlannedTensor& planned) {
  return kReasons[size_t(planned.by)];
}

std::span<const uint64_t> shape_of(const TensorInfo& tensor) {
  return std::span(tensor.shape).first(tensor.n_dims);
}

std::map<QuantType, uint64_t> tensors_per_type(const QuantisePlan& plan) {
  std::map<QuantType, uint64_t> counts;
  for (const PlannedTensor& planned : plan.tensors) ++counts[planned.type];
  return counts;
}

std::string duration_text(double seconds) {
  const auto whole = uint64_t(seconds);
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

std::string plan_text(const GgufFile& model, const QuantisePlan& plan) {
  std::string text =
      fmt::format("{:<44} {:<24} {:<7} {:<7} {:>14}\n", "tensor", "shape", "from", "to", "bytes");
  for (const PlannedTensor& planned : plan.tensors) {
    text += fmt::format("{:<44} {:<24} {:<7} {:<7} {:>14} {}", printable(planned.tensor->name),
                        shape_text(shape_of(*planned.tensor)), info(planned.tensor->type).name,
                        info(planned.type).name, planned.bytes, reason_of(planned));
    while (text.back() == ' ') text.pop_back();
    text += '\n';
  }
  for (const auto& [type, count] : tensors_per_type(plan))
    text += fmt::format("{:<7} {} tensors\n", info(type).name, count);
  text += fmt::format("before {:.2f} MiB\n", double(model.tensor_bytes()) / 0x1p20);
  text +=
      fmt::format("size {:.2f} MiB ({} bytes), {} weights, {:.3f} bits per weight\n",
                  double(plan.bytes) / 0x1p20, plan.bytes, plan.weights, plan.bits_per_weight());
  return text;
}

Json plan_json(const GgufFile& model, const QuantisePlan& plan) {
  Json json = {{"file", model.name()},
               {"file_type", plan.file_type},
               {"weights", plan.weights},
               {"bytes_before", model.tensor_bytes()},
               {"bytes", plan.bytes},
               {"MiB", double(plan.bytes) / 0x1p20},
               {"bits_per_weight", plan.bits_per_weight()}};
  Json& counts = json["types"] = Json::object();
  for (const auto& [type, count] : tensors_per_type(plan))
    counts[std::string(info(type).name)] = count;
  Json& tensors = json["tensors"] = Json::array();
  for (const PlannedTensor& planned : plan.tensors) {
    const auto shape = shape_of(*planned.tensor);
    tensors.push_back({{"name", planned.tensor->name},
                       {"shape", std::vector<uint64_t>(shape.begin(), shape.end())},
                       {"from", info(planned.tensor->type).name},
                       {"to", info(planned.type).name},
                       {"bytes", planned.bytes},
                       {"because", reason_of(planned)}});
  }
  return json;
}

std::string summary_text(const QuantisePlan& plan, double seconds) {
  std::string text = fmt::format("{}, {:.3f} bits per weight, {:.1f} s", bytes_text(plan.bytes),
                                 plan.bits_per_weight(), seconds);
  const char* separator = "; ";
  for (const auto& [type, count] : tensors_per_type(plan)) {
    text += fmt::format("{}{} {}", separator, info(type).name, count);
    separator = ", ";
  }
  return text;
}

QuantiseBar::QuantiseBar() : start_(std::chrono::steady_clock::now()), next_(start_) {}

QuantiseBar::~QuantiseBar() {
  if (visible_) std::fprintf(stderr, "\r%78s\r", "");
}

double QuantiseBar::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void QuantiseBar::show(const quant::QuantiseProgress& progress) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_ || !is_terminal(Stream::Error)) return;
  next_ = now + std::chrono::milliseconds(200);
  const double done = double(progress.bytes_read), all = double(progress.bytes_to_read);
  const double rate = done / std::max(seconds(), 1e-3);  // bytes a second
  const int width = 24, filled = int(width * done / all);
  std::string line =
      fmt::format("[{:#<{}}{:.<{}}] {:3.0f} %  tensor {}/{}  {:.0f} MB/s  ETA {}", "", filled, "",
                  width - filled, 100.0 * done / all, progress.tensor + 1, progress.tensors,
                  rate / 1e6, duration_text((all - done) / std::max(rate, 1.0)));
  std::fprintf(stderr, "\r%-78s", line.c_str());
  visible_ = true;
}

}  // namespace pumice::command
