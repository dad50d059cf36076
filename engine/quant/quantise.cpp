// Owns the plan of a quantised file and the pipeline that writes it: read, decode, check, encode on
// workers; write in order on the calling thread.
#include "engine/quant/quantise.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>

#include "engine/base/platform_file.h"
#include "engine/quant/encode.h"
#include "engine/quant/feedback_store.h"
#include "engine/quant/ordered_work.h"
#include "engine/quant/scale_search.h"
#include "engine/quant/tensor_weights.h"
#include "loader/gguf_writer.h"

namespace pumice::quant {
namespace {

/// Weights per slice: 1 MiB as f32. A multiple of every block.
constexpr uint64_t kSliceWeights = uint64_t(1) << 18;

struct TensorSlice : Slice {
  uint32_t tensor = 0;  ///< of the plan
};

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
    for (uint32_t i = 0; i < plan.tensors.size(); ++i)
      for (const Slice& slice : cut_slices(*plan.tensors[i].tensor, kSliceWeights))
        slices_.push_back({slice, i});
    threads_ = worker_count(output.threads, slices_.size());
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

  Result<void> work(Scratch& scratch, const TensorSlice& slice, std::vector<std::byte>& out);
  std::span<const float> importance_of(const TensorSlice& slice);
  const TensorFactors* factors_of(const TensorInfo& tensor) const;
  Result<void> encode(const TensorSlice& slice, std::span<const float> weights,
                      std::span<std::byte> out);
  Result<void> take(GgufWriter& writer, const TensorSlice& slice, std::vector<std::byte>& encoded);

  const GgufFile& model_;
  const QuantisePlan& plan_;
  const QuantiseRequest& request_;
  const QuantiseOutput& output_;
  std::vector<TensorSlice> slices_;
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
    PUMICE_TRY_ASSIGN(importance_[i].statistics, statistics_of(matrix, tensor));
  }
  return {};
}

/// The numbers for the columns of a slice; empty where nothing is known.
std::span<const float> Pipeline::importance_of(const TensorSlice& slice) {
  TensorImportance& known = importance_[slice.tensor];
  if (!known.statistics) return {};
  std::call_once(known.once, [&] { known.matrices = all_mean_squares(*known.statistics); });
  const uint64_t width = plan_.tensors[slice.tensor].tensor->shape[0];
  const std::vector<float>& squares =
      known.matrices[known.matrices.size() == 1 ? 0 : size_t(slice.matrix)];
  return std::span(squares).subspan(size_t(slice.column), std::min(slice.count, width));
}

const TensorFactors* Pipeline::factors_of(const TensorInfo& tensor) const {
  if (!request_.folding) return nullptr;
  const auto found = request_.folding->find(std::string(tensor.name));
  return found == request_.folding->end() ? nullptr : &found->second;
}

/// Encodes whole rows of one matrix with what is known of its inputs.
Result<void> Pipeline::encode(const TensorSlice& slice, std::span<const float> weights,
                              std::span<std::byte> out) {
  const PlannedTensor& planned = plan_.tensors[slice.tensor];
  const TensorInfo& tensor = *planned.tensor;
  const uint64_t width = tensor.shape[0];
  const ActivationStatistics* statistics = importance_[slice.tensor].statistics;
  const bool feeds = feedback_ && can_feed(statistics, planned.type) && slice.count % width == 0;
  if (!feeds) {
    const uint64_t columns = std::min(slice.count, width);
    if (output_.search)
      output_.search->encode_rows(planned.type, weights, columns, importance_of(slice), out);
    else
      encode_rows(planned.type, weights, columns, importance_of(slice), out);
    return {};
  }
  const uint64_t matrix = statistics->matrices == 1 ? 0 : slice.matrix;
  auto feedback = feedback_->get(*statistics, matrix, planned.type);
  if (!feedback) return fail_in(fmt::format("tensor {}", tensor.name), std::move(feedback.error()));
  (*feedback)->encode_rows(weights, out);
  return {};
}

Result<void> Pipeline::work(Scratch& scratch, const TensorSlice& slice,
                            std::vector<std::byte>& out) {
  const PlannedTensor& planned = plan_.tensors[slice.tensor];
  const TensorInfo& tensor = *planned.tensor;
  scratch.weights.resize(size_t(slice.count));
  PUMICE_TRY(read_slice(model_, tensor, slice, scratch.blocks, scratch.weights));
  const TensorFactors* factors = factors_of(tensor);
  if (planned.type == tensor.type && !factors) {
    out.assign(scratch.blocks.begin(), scratch.blocks.end());
    return {};
  }
  if (factors) fold_weights(*factors, tensor.shape[0], slice.first, scratch.weights);
  out.resize(size_t(bytes_as(planned.type, slice.count)));
  return encode(slice, scratch.weights, out);
}

Result<void> Pipeline::take(GgufWriter& writer, const TensorSlice& slice,
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
