// Owns the plan of a quantised file and the pipeline that writes it: read, decode, check, encode on
// workers; write in order on the calling thread.
#include "engine/quant/quantise.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/base/platform_file.h"
#include "engine/quant/block_grid.h"
#include "engine/quant/encode.h"
#include "engine/quant/feedback_store.h"
#include "engine/quant/ordered_work.h"
#include "loader/codec.h"
#include "loader/gguf_writer.h"

namespace pumice::quant {
namespace {

/// Weights per slice: 1 MiB as f32. A multiple of every block.
constexpr uint64_t kSliceWeights = uint64_t(1) << 18;

/// Whole rows of one matrix, or a piece of a row that is longer than a slice.
struct Slice {
  uint32_t tensor = 0;
  uint64_t first = 0;  ///< weight in the tensor
  uint64_t count = 0;
};

uint64_t bytes_as(QuantType type, uint64_t weights) {
  return weights / info(type).block_weights * info(type).block_bytes;
}

void cut(const TensorInfo& tensor, uint32_t index, std::vector<Slice>& slices) {
  const uint64_t width = tensor.shape[0];
  const uint64_t matrix = width * tensor.shape[1];  // experts have importances of their own
  const uint64_t step = width > kSliceWeights ? kSliceWeights : kSliceWeights / width * width;
  const uint64_t unit = width > kSliceWeights ? width : matrix;
  for (uint64_t begin = 0; begin < tensor.n_weights; begin += unit)
    for (uint64_t at = 0; at < unit; at += step)
      slices.push_back({index, begin + at, std::min(step, unit - at)});
}

/// E[x^2] of one tensor's inputs, computed by the first worker that needs it.
struct TensorImportance {
  const ActivationStatistics* statistics = nullptr;
  std::once_flag once;
  std::vector<std::vector<float>> matrices;
};

class Pipeline {
 public:
  Pipeline(const GgufFile& model, const QuantisePlan& plan, const QuantiseRequest& request,
           const QuantiseOutput& output)
      : model_(model),
        plan_(plan),
        request_(request),
        output_(output),
        importance_(plan.tensors.size()) {
    for (uint32_t i = 0; i < plan.tensors.size(); ++i) cut(*plan.tensors[i].tensor, i, slices_);
    threads_ = output.threads ? output.threads : std::max(std::thread::hardware_concurrency(), 1u);
    threads_ = uint32_t(std::clamp<size_t>(slices_.size(), 1, threads_));
    scratch_.resize(threads_);
    encoded_.resize(2 * size_t(threads_) + 2);
    if (request.error_feedback)
      feedback_ = std::make_unique<FeedbackStore>(request.feedback, size_t(threads_) + 2);
  }

  Result<void> use_importance(const ImportanceMatrix& matrix);
  Result<void> run(GgufWriter& writer);

 private:
  struct Scratch {
    std::vector<std::byte> blocks;  ///< as the model's file holds them
    std::vector<float> weights;
  };

  Result<void> work(Scratch& scratch, const Slice& slice, std::vector<std::byte>& out);
  std::span<const float> importance_of(const Slice& slice);
  const TensorFactors* factors_of(const TensorInfo& tensor) const;
  Result<void> encode(const Slice& slice, std::span<const float> weights, std::span<std::byte> out);
  Result<void> take(GgufWriter& writer, const Slice& slice, std::vector<std::byte>& encoded);

  const GgufFile& model_;
  const QuantisePlan& plan_;
  const QuantiseRequest& request_;
  const QuantiseOutput& output_;
  std::vector<Slice> slices_;
  std::vector<TensorImportance> importance_;  ///< per tensor
  std::unique_ptr<FeedbackStore> feedback_;   ///< null without error feedback
  uint32_t threads_ = 1;
  std::vector<Scratch> scratch_;                 ///< per worker
  std::vector<std::vector<std::byte>> encoded_;  ///< per slot
  uint64_t bytes_read_ = 0;
};

Result<void> Pipeline::use_importance(const ImportanceMatrix& matrix) {
  for (size_t i = 0; i < plan_.tensors.size(); ++i) {
    const TensorInfo& tensor = *plan_.tensors[i].tensor;
    const auto found = matrix.tensors.find(std::string(tensor.name));
    if (found == matrix.tensors.end()) continue;
    const ActivationStatistics& statistics = found->second;
    const uint64_t experts = tensor.shape[2] * tensor.shape[3];
    if (statistics.width != tensor.shape[0] ||
        (statistics.matrices != 1 && statistics.matrices != experts))
      return fail(ErrorCode::BadArgument,
                  "the importance matrix has {} x {} numbers for tensor {} of shape {}",
                  statistics.matrices, statistics.width, tensor.name,
                  shape_text(std::span(tensor.shape).first(tensor.n_dims)));
    importance_[i].statistics = &statistics;
  }
  return {};
}

/// The numbers for the columns of a slice; empty where nothing is known.
std::span<const float> Pipeline::importance_of(const Slice& slice) {
  TensorImportance& known = importance_[slice.tensor];
  if (!known.statistics) return {};
  std::call_once(known.once, [&] {
    for (uint64_t i = 0; i < known.statistics->matrices; ++i)
      known.matrices.push_back(mean_squares(*known.statistics, i));
  });
  const TensorInfo& tensor = *plan_.tensors[slice.tensor].tensor;
  const uint64_t row = slice.first / tensor.shape[0];
  const uint64_t matrix = known.matrices.size() == 1 ? 0 : row / tensor.shape[1];
  const uint64_t columns = std::min(slice.count, tensor.shape[0]);
  return std::span(known.matrices[matrix]).subspan(size_t(slice.first % tensor.shape[0]), columns);
}

bool is_finite(float x) {
  return (std::bit_cast<uint32_t>(x) & 0x7F800000u) != 0x7F800000u;
}

Result<void> check_weights(const TensorInfo& tensor, uint64_t first,
                           std::span<const float> weights) {
  uint32_t bad = 0;
  for (const float x : weights) bad |= uint32_t(!is_finite(x));
  if (!bad) return {};
  const auto at = std::ranges::find_if_not(weights, is_finite);
  const uint64_t weight = first + uint64_t(at - weights.begin());
  return fail(ErrorCode::NonFinite,
              "tensor {}: the weight in row {}, column {} is {}, expected a finite number: the "
              "model is damaged",
              tensor.name, weight / tensor.shape[0], weight % tensor.shape[0], *at);
}

const TensorFactors* Pipeline::factors_of(const TensorInfo& tensor) const {
  if (!request_.folding) return nullptr;
  const auto found = request_.folding->find(std::string(tensor.name));
  return found == request_.folding->end() ? nullptr : &found->second;
}

/// Encodes whole rows of one matrix with what is known of its inputs.
Result<void> Pipeline::encode(const Slice& slice, std::span<const float> weights,
                              std::span<std::byte> out) {
  const PlannedTensor& planned = plan_.tensors[slice.tensor];
  const TensorInfo& tensor = *planned.tensor;
  const uint64_t width = tensor.shape[0];
  const ActivationStatistics* statistics = importance_[slice.tensor].statistics;
  const bool feeds = feedback_ && statistics && statistics->gram && has_grid(planned.type) &&
                     slice.count % width == 0;
  if (!feeds) {
    encode_rows(planned.type, weights, std::min(slice.count, width), importance_of(slice), out);
    return {};
  }
  const uint64_t expert = slice.first / width / tensor.shape[1];
  const uint64_t matrix = statistics->matrices == 1 ? 0 : expert;
  auto feedback = feedback_->get(*statistics, matrix, planned.type);
  if (!feedback) return fail_in(fmt::format("tensor {}", tensor.name), std::move(feedback.error()));
  (*feedback)->encode_rows(weights, out);
  return {};
}

Result<void> Pipeline::work(Scratch& scratch, const Slice& slice, std::vector<std::byte>& out) {
  const PlannedTensor& planned = plan_.tensors[slice.tensor];
  const TensorInfo& tensor = *planned.tensor;
  scratch.blocks.resize(size_t(bytes_as(tensor.type, slice.count)));
  scratch.weights.resize(size_t(slice.count));
  PUMICE_TRY(model_.read(tensor, bytes_as(tensor.type, slice.first), scratch.blocks));
  decode_row(tensor.type, scratch.blocks.data(), slice.count, scratch.weights.data());
  PUMICE_TRY(check_weights(tensor, slice.first, scratch.weights));
  const TensorFactors* factors = factors_of(tensor);
  if (planned.type == tensor.type && !factors) {
    out.assign(scratch.blocks.begin(), scratch.blocks.end());
    return {};
  }
  if (factors) fold_weights(*factors, tensor.shape[0], slice.first, scratch.weights);
  out.resize(size_t(bytes_as(planned.type, slice.count)));
  return encode(slice, scratch.weights, out);
}

Result<void> Pipeline::take(GgufWriter& writer, const Slice& slice,
                            std::vector<std::byte>& encoded) {
  PUMICE_TRY(writer.write(encoded));
  const TensorInfo& tensor = *plan_.tensors[slice.tensor].tensor;
  bytes_read_ += bytes_as(tensor.type, slice.count);
  if (slice.first + slice.count == tensor.n_weights) importance_[slice.tensor].matrices.clear();
  const QuantiseProgress progress = {slice.tensor, plan_.tensors.size(), bytes_read_,
                                     model_.tensor_bytes()};
  if (!output_.watch || output_.watch(progress)) return {};
  return fail(ErrorCode::Cancelled, "interrupted; nothing was written");
}

Result<void> Pipeline::run(GgufWriter& writer) {
  OrderedWork job;
  job.items = slices_.size();
  job.threads = threads_;
  job.slots = encoded_.size();
  job.work = [&](uint32_t worker, size_t item, size_t slot) {
    return work(scratch_[worker], slices_[item], encoded_[slot]);
  };
  job.take = [&](size_t item, size_t slot) { return take(writer, slices_[item], encoded_[slot]); };
  return run_in_order(job);
}

Result<void> check_output(const QuantiseOutput& output) {
  PUMICE_TRY_ASSIGN(const std::filesystem::path target, final_target(output.path));
  for (const std::string& input : output.inputs)
    if (same_file(input, target) || same_file(input, part_path(target)))
      return fail(ErrorCode::BadArgument, "{}: is read from; choose another output", input);
  return {};
}

Result<void> check_encoders(const QuantisePlan& plan) {
  for (const PlannedTensor& planned : plan.tensors)
    if (planned.type != planned.tensor->type && !can_encode(planned.type))
      return fail(ErrorCode::Unsupported, "tensor {}: this build cannot write type {}",
                  planned.tensor->name, info(planned.type).name);
  return {};
}

MetadataDraft metadata_of(const GgufFile& model, const QuantisePlan& plan,
                          const QuantiseRequest& request) {
  constexpr uint32_t kQuantisationVersion = 2;  // of the block layouts
  MetadataDraft draft(model.metadata());
  draft.set_u32("general.quantization_version", kQuantisationVersion);
  draft.set_u32("general.file_type", plan.file_type);
  if (!request.importance) return draft;
  draft.set_string("quantize.imatrix.file", request.importance_name);
  if (!request.importance->datasets.empty())
    draft.set_string("quantize.imatrix.dataset", request.importance->datasets.front());
  draft.set_u32("quantize.imatrix.entries_count", uint32_t(request.importance->tensors.size()));
  draft.set_u32("quantize.imatrix.chunks_count", request.importance->chunk_count);
  return draft;
}

/// The type of most weights.
QuantType main_type(const QuantisePlan& plan) {
  std::map<QuantType, uint64_t> weights;
  for (const PlannedTensor& planned : plan.tensors)
    weights[planned.type] += planned.tensor->n_weights;
  const auto most =
      std::ranges::max_element(weights, {}, [](const auto& entry) { return entry.second; });
  return most == weights.end() ? QuantType::F32 : most->first;
}

}  // namespace

Result<QuantisePlan> plan_quantise(const GgufFile& model, const QuantiseRequest& request) {
  TypeRequest types = request.types;
  types.with_importance = request.importance != nullptr;
  PUMICE_TRY_ASSIGN(const MixFacts facts, mix_facts(model.metadata(), model.tensors()));
  PUMICE_TRY_ASSIGN(const std::vector<TypeChoice> choices,
                    choose_types(facts, model.tensors(), types));
  QuantisePlan plan;
  for (size_t i = 0; i < choices.size(); ++i) {
    const TensorInfo& tensor = model.tensors()[i];
    const bool again = choices[i].type != tensor.type && info(tensor.type).block_weights > 1;
    if (again && !request.allow_requantize)
      return fail(ErrorCode::BadArgument,
                  "tensor {} is quantised already, as {}: start from an F32, F16 or BF16 file, or "
                  "pass --allow-requantize and lose more",
                  tensor.name, info(tensor.type).name);
    plan.tensors.push_back(
        {&tensor, choices[i].type, choices[i].by, bytes_as(choices[i].type, tensor.n_weights)});
    plan.weights += tensor.n_weights;
    plan.bytes += plan.tensors.back().bytes;
  }
  plan.file_type = types.mix ? types.mix->file_type : file_type_of(main_type(plan));
  return plan;
}

Result<void> quantise(const GgufFile& model, const QuantisePlan& plan,
                      const QuantiseRequest& request, const QuantiseOutput& output) {
  PUMICE_TRY(check_output(output));
  PUMICE_TRY(check_encoders(plan));
  Pipeline pipeline(model, plan, request, output);
  if (request.importance) PUMICE_TRY(pipeline.use_importance(*request.importance));
  std::vector<GgufTensorPlan> tensors;
  for (const PlannedTensor& planned : plan.tensors) {
    const auto shape = std::span(planned.tensor->shape).first(planned.tensor->n_dims);
    tensors.push_back({std::string(planned.tensor->name), planned.type,
                       std::vector<uint64_t>(shape.begin(), shape.end())});
  }
  PUMICE_TRY_ASSIGN(const std::unique_ptr<GgufWriter> writer,
                    GgufWriter::create(output.path, metadata_of(model, plan, request), tensors));
  PUMICE_TRY(pipeline.run(*writer));
  return writer->finish();
}

}  // namespace pumice::quant
