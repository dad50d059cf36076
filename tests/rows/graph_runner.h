// A graph of one or a few ops on a device: inputs are written into scratch, the scheduler's own
// lists run, outputs are read back.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/schedule/lower.h"
#include "engine/session/weight_upload.h"
#include "tests/reference/reference.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {

/// Decides which kernels a graph gets.
struct Tier {
  const char* name;
  CapabilityMask without;
  bool gpu = false;                ///< pretend that the device is no CPU: attention is split
  uint64_t max_storage_range = 0;  ///< lowered to this when set
  ActivationType activations = ActivationType::F32;
  CacheFormat cache = CacheType::F32;
  bool deterministic = true;  ///< false: tiled kernels are eligible
};

[[nodiscard]] Capabilities capabilities(const Tier& tier, const Capabilities& of_device);

/// A file in memory; null when its bytes are no file.
[[nodiscard]] std::shared_ptr<const GgufFile> open_in_memory(const GgufWriter& file);

class GraphRunner {
 public:
  /// The file holds the graph's weights and outlives nothing. `options` gets the tier's choices.
  [[nodiscard]] static Result<std::unique_ptr<GraphRunner>> create(vk::Device& device,
                                                                   const GgufFile& file,
                                                                   graph::Graph graph,
                                                                   const Tier& tier,
                                                                   RunOptions options = {});
  ~GraphRunner();
  GraphRunner(const GraphRunner&) = delete;
  GraphRunner& operator=(const GraphRunner&) = delete;

  [[nodiscard]] const ModelPlan& plan() const { return plan_; }
  [[nodiscard]] const PlannedBuffers& buffers() const { return buffers_; }
  /// Columns of a value; padding rows are left alone. Also where the host does not see the memory.
  /// A failure is what the next run() returns.
  void set_value(graph::ValueId id, const reference::Matrix& value);
  /// Without rows or columns when it cannot be read.
  [[nodiscard]] reference::Matrix value(graph::ValueId id, uint32_t columns);
  /// Ids, positions and sequences of the columns; the others go to the scrap sequence.
  void set_tokens(std::span<const reference::TokenAt> tokens);
  /// Submits the list of a shape and waits.
  [[nodiscard]] Result<void> run(const StepShape& shape);
  /// The list of a shape, on the device's buffers.
  [[nodiscard]] Result<std::vector<Dispatch>> dispatches(const StepShape& shape) const;
  /// Kernel names of a shape's list, in order.
  [[nodiscard]] Result<std::vector<std::string>> kernels(const StepShape& shape) const;

  [[nodiscard]] std::span<uint32_t> words(BufferSlice slice);
  [[nodiscard]] std::span<float> floats(BufferSlice slice);

 private:
  GraphRunner(vk::Device& device, ModelPlan plan) : device_(device), plan_(std::move(plan)) {}
  [[nodiscard]] Result<void> allocate();

  vk::Device& device_;
  ModelPlan plan_;
  PlannedBuffers buffers_;
  std::vector<std::pair<StepShape, vk::CommandId>> commands_;
  Result<void> written_;  ///< by set_value
};

/// Logits of tokens [first_output, n) of sequence 0, `chunk` tokens a step.
[[nodiscard]] Result<std::vector<float>> logits_in_steps(GraphRunner& runner,
                                                         std::span<const uint32_t> ids,
                                                         uint32_t first_output, uint32_t chunk);

/// Random columns in [-size, size), every 37th element four times as large.
[[nodiscard]] reference::Matrix random_matrix(uint32_t rows, uint32_t columns, float size,
                                              uint32_t seed);

/// Bounds of a comparison: NMSE, and the largest error against the largest expected magnitude.
struct Tolerance {
  double nmse, largest;
};
inline constexpr Tolerance kExactOp{1e-9, 1e-4};
inline constexpr Tolerance kHalfOp{1e-6, 5e-3};
inline constexpr Tolerance kInt8Op{2e-4, 5e-2};
inline constexpr Tolerance kInt8Chain{2e-3, 2e-1};  ///< of three, down to 2-bit weights

/// Empty, or which bound is broken and by how much, or what is not a number.
[[nodiscard]] std::string broken_bound(const reference::Matrix& actual,
                                       const reference::Matrix& expected,
                                       const Tolerance& tolerance);

}  // namespace pumice::test
