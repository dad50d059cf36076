// From a model file to a quantised one: what every tensor becomes, how large that is, and the
// writing of it, slice by slice, on all cores, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/error_feedback.h"
#include "engine/quant/folding.h"
#include "engine/quant/importance.h"
#include "engine/quant/mix.h"
#include "loader/gguf.h"

namespace pumice::quant {

class ScaleSearch;

struct QuantiseRequest {
  TypeRequest types;
  bool allow_requantize = false;  ///< tensors that are quantised already may be quantised again

  /// Checked against the model (check_importance) by the caller; null = none.
  const ImportanceMatrix* importance = nullptr;
  std::string importance_name;  ///< what quantize.imatrix.file says

  /// Carry rounding errors along the Gram matrices of `importance`; matrices without one are
  /// encoded without.
  bool error_feedback = false;
  ErrorFeedbackOptions feedback;
  /// Factors that go into the weights first; null = none. `importance` already follows them.
  const Folding* folding = nullptr;
};

struct PlannedTensor {
  const TensorInfo* tensor = nullptr;  ///< of the model
  QuantType type = QuantType::F32;     ///< what it becomes
  ChosenBy by = ChosenBy::Kept;
  uint64_t bytes = 0;  ///< as that
};

struct QuantisePlan {
  std::vector<PlannedTensor> tensors;  ///< in the order of the model's file
  uint64_t weights = 0;
  uint64_t bytes = 0;      ///< of all tensors, without padding and metadata
  uint32_t file_type = 0;  ///< what general.file_type will say

  [[nodiscard]] double bits_per_weight() const {
    return weights ? 8.0 * double(bytes) / double(weights) : 0.0;
  }
};

/// Reads no weights. The model outlives the plan. Errors: those of choose_types, and a tensor that
/// would be quantised again without leave.
[[nodiscard]] Result<QuantisePlan> plan_quantise(const GgufFile& model,
                                                 const QuantiseRequest& request);

struct QuantiseProgress {
  size_t tensor = 0, tensors = 0;              ///< the one being written, from 0; of how many
  uint64_t bytes_read = 0, bytes_to_read = 0;  ///< of the model's tensors
};
/// Called often, on the calling thread; false stops the work.
using QuantiseWatch = std::function<bool(const QuantiseProgress&)>;

struct QuantiseOutput {
  std::string path;
  std::vector<std::string> inputs;  ///< files that must not be written over
  uint32_t threads = 0;             ///< 0 = all cores
  QuantiseWatch watch;              ///< may be empty
  ScaleSearch* search = nullptr;    ///< null = on the cores
};

/// Writes the planned file: the model's keys with those of the quantisation, no split. The same
/// bytes for every number of threads. Errors leave no file: an output that is one of the inputs, no
/// room, a type that cannot be encoded, a weight that is no finite number, Cancelled.
[[nodiscard]] Result<void> quantise(const GgufFile& model, const QuantisePlan& plan,
                                    const QuantiseRequest& request, const QuantiseOutput& output);

}  // namespace pumice::quant
