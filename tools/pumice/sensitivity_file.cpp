#include "sensitivity_file.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/platform.h"
#include "engine/quant/mix.h"
#include "output.h"
#include "read_text.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;
using quant::Sensitivity;
using quant::TensorSensitivity;

constexpr uint32_t kVersion = 1;

tl::unexpected<Error> bad(const std::string& path, const std::string& what) {
  return fail(ErrorCode::BadFile, "{}: {}; measure again into another file", path, what);
}

/// A member of an object, or null.
const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

const Json* array_of(const Json& object, const char* name, size_t size) {
  const Json* array = member(object, name);
  return array && array->is_array() && array->size() == size ? array : nullptr;
}

uint64_t count_of(const Json& object, const char* name) {
  const Json* value = member(object, name);
  return value && value->is_number_unsigned() ? value->get<uint64_t>() : 0;
}

/// False unless every number is finite and not negative, and null where the type does not fit.
bool read_tensor(const Json& json, const TensorInfo& tensor, Sensitivity& into) {
  const size_t n = into.candidates.size();
  const Json* kld = array_of(json, "kld", n);
  const Json* error = array_of(json, "weight_error", n);
  const Json* measured = array_of(json, "measured", n);
  if (!kld || !error || !measured) return false;
  TensorSensitivity row{std::string(tensor.name), tensor.n_weights, {}, {}, {}, {}};
  bool any = false;
  for (size_t i = 0; i < n; ++i) {
    const bool allowed = !(*kld)[i].is_null();
    if (allowed && !((*kld)[i].is_number() && (*error)[i].is_number())) return false;
    if (!(*measured)[i].is_boolean()) return false;
    row.kld.push_back(allowed ? (*kld)[i].get<double>() : 0.0);
    row.weight_error.push_back(allowed ? (*error)[i].get<double>() : 0.0);
    row.measured.push_back((*measured)[i].get<bool>());
    row.bytes.push_back(allowed ? quant::bytes_as(into.candidates[i], tensor) : 0);
    const bool sane = std::isfinite(row.kld.back()) && row.kld.back() >= 0 &&
                      std::isfinite(row.weight_error.back()) && row.weight_error.back() >= 0;
    if (!sane || (allowed && row.bytes.back() == 0)) return false;
    any = any || allowed;
  }
  into.tensors.push_back(std::move(row));
  return any;
}

Result<void> read_candidates(const std::string& path, const Json& json, Sensitivity& into) {
  const Json* names = member(json, "candidates");
  if (!names || !names->is_array() || names->empty()) return bad(path, "it lists no candidates");
  for (const Json& name : *names) {
    const QuantTypeInfo* type =
        name.is_string() ? quant::find_type(name.get_ref<const std::string&>()) : nullptr;
    if (!type) return bad(path, fmt::format("candidate {} is no type", into.candidates.size()));
    into.candidates.push_back(type->type);
  }
  return {};
}

}  // namespace

Json sensitivity_json(const Sensitivity& sensitivity, const std::string& model) {
  Json json = {{"pumice_sensitivity", kVersion},
               {"model", model},
               {"positions", sensitivity.positions},
               {"text", sensitivity.text},
               {"error_feedback", sensitivity.error_feedback},
               {"seconds", sensitivity.seconds}};
  Json& candidates = json["candidates"] = Json::array();
  for (const QuantType type : sensitivity.candidates) candidates.push_back(info(type).name);
  Json& tensors = json["tensors"] = Json::array();
  for (const TensorSensitivity& row : sensitivity.tensors) {
    Json kld = Json::array(), error = Json::array(), measured = Json::array();
    for (size_t i = 0; i < row.bytes.size(); ++i) {
      kld.push_back(row.allows(i) ? Json(row.kld[i]) : Json());
      error.push_back(row.allows(i) ? Json(row.weight_error[i]) : Json());
      measured.push_back(row.measured[i] != 0);
    }
    tensors.push_back({{"name", row.name},
                       {"weights", row.weights},
                       {"kld", std::move(kld)},
                       {"measured", std::move(measured)},
                       {"weight_error", std::move(error)}});
  }
  return json;
}

Result<void> write_sensitivity(const Sensitivity& sensitivity, const std::string& model,
                               const std::string& path) {
  const std::string text =
      sensitivity_json(sensitivity, model).dump(1, ' ', false, Json::error_handler_t::replace) +
      "\n";
  return write_file_whole(path, std::as_bytes(std::span(text)));
}

Result<Sensitivity> read_sensitivity(const std::string& path, const GgufFile& model) {
  PUMICE_TRY_ASSIGN(const std::string text, read_text(path));
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || count_of(json, "pumice_sensitivity") != kVersion)
    return bad(path, "it holds no sensitivities that this version wrote");
  Sensitivity result;
  result.positions = count_of(json, "positions");
  result.text = count_of(json, "text");
  const Json* feedback = member(json, "error_feedback");
  result.error_feedback = feedback && feedback->is_boolean() && feedback->get<bool>();
  PUMICE_TRY(read_candidates(path, json, result));
  const Json* rows = member(json, "tensors");
  if (!rows || !rows->is_array() || rows->empty()) return bad(path, "it lists no tensors");
  std::set<std::string> seen;
  for (const Json& row : *rows) {
    const Json* name = member(row, "name");
    if (!name || !name->is_string()) return bad(path, "a tensor has no name");
    const auto& words = name->get_ref<const std::string&>();
    const TensorInfo* tensor = model.find_tensor(words);
    if (!tensor || tensor->n_weights != count_of(row, "weights") || !seen.insert(words).second ||
        !quant::is_quantisable(*tensor))
      return bad(path, fmt::format("tensor {} is not {}'s", printable(words, 80), model.name()));
    if (!read_tensor(row, *tensor, result))
      return bad(path, fmt::format("the numbers of tensor {} make no sense", printable(words, 80)));
  }
  for (const TensorInfo& tensor : model.tensors()) {
    result.weights += tensor.n_weights;
    if (!seen.contains(std::string(tensor.name))) result.kept_bytes += tensor.n_bytes;
  }
  return result;
}

}  // namespace pumice::command
