// From a graph to dispatches: what the parts of the lowering share.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/visit.h"
#include "engine/schedule/feed.h"
#include "engine/schedule/hazards.h"
#include "engine/schedule/lower.h"
#include "engine/schedule/qkv_store.h"
#include "shaders/shared/push.h"

namespace pumice {

/// Lowers one graph for one shape; lower() is what others call. Its work lies in three files:
/// lower.cpp (the walk, what is element by element, the end of a step), lower_matrix.cpp (matrix
/// products and what prepares their input), lower_attention.cpp (rotation, cache, attention).
class Lowering {
 public:
  Lowering(const ModelPlan& plan, const graph::Graph& graph, const StepShape& shape)
      : plan_(plan),
        graph_(graph),
        shape_(shape),
        format_of_([this](const graph::MatMul& op) { return kernel_for(op).x_format; }) {}

  Result<std::vector<Dispatch>> run();

 private:
  using ValueId = graph::ValueId;
  using WeightId = graph::WeightId;
  static constexpr uint32_t kNone = graph::kNone;

  /// What hazards are told apart by: buffers, and what no graph value lies in.
  enum Space : uint32_t {
    kScratch,
    kPrepared,
    kPreparedOther,
    kPartials,
    kStep,
    kResult,
    kHostLogits,
    kExpertLists,
    kFirstCache
  };

  // ---- values

  [[nodiscard]] bool is_per_output(const graph::Node& node) const {
    const std::vector<ValueId> written = graph::outputs(node);
    return !written.empty() && graph_.values[written.front()].per_output;
  }
  [[nodiscard]] ValueId base_of(ValueId id) const { return graph::storage_of(graph_, id); }
  [[nodiscard]] uint32_t row_of(ValueId id) const { return graph::first_row(graph_, id); }
  [[nodiscard]] uint32_t stride_of(ValueId id) const {
    return plan_.placement.values[base_of(id)].stride;
  }
  [[nodiscard]] uint32_t width_of(ValueId id) const { return graph_.values[id].width; }
  [[nodiscard]] uint32_t columns_of(ValueId id) const {
    return graph_.values[id].per_output ? shape_.outputs : shape_.tokens;
  }
  /// The storage of a value (of its base for a view), all columns.
  [[nodiscard]] BufferSlice slice(ValueId id) const {
    const graph::ValuePlace& place = plan_.placement.values[base_of(id)];
    return {plan_.scratch.buffer, place.offset, place.size};
  }
  [[nodiscard]] Access access(ValueId id, bool write) const {
    const BufferSlice where = slice(id);
    return {kScratch,    where.offset, where.offset + where.bytes,
            base_of(id), row_of(id),   row_of(id) + width_of(id),
            write};
  }
  static Access whole(uint32_t space, bool write) {
    return {space, 0, UINT64_MAX, UINT32_MAX, 0, UINT32_MAX, write};
  }

  [[nodiscard]] BufferSlice vector_slice(WeightId id) const {
    return id == kNone ? plan_.empty : plan_.find_vector({id})->slice;
  }

  // ---- emission

  struct Call {
    std::string kernel;
    std::vector<uint32_t> constants;
    std::vector<BufferSlice> bindings;
    std::vector<uint32_t> push;
    std::array<uint32_t, 3> groups{1, 1, 1};
    std::vector<Access> accesses;
    uint64_t weight_bytes = 0;
  };

  template <class Push>
  static std::vector<uint32_t> push_words(const Push& push) {
    static_assert(sizeof(Push) % 4 == 0);
    std::vector<uint32_t> words(sizeof(Push) / 4);
    std::memcpy(words.data(), &push, sizeof(Push));
    return words;
  }

  void emit(Call call, const char* part = "");
  [[nodiscard]] std::string texel(const char* kernel) const;

  // ---- activations in the form that matrix kernels read (lower_matrix.cpp)

  /// The value that lies in a work area, if any.
  struct Prepared {
    ValueId value = kNone;
    XFormat format = XFormat::F32;
    uint32_t area = 0;
    const graph::RmsNorm* norm = nullptr;  ///< whose division by the RMS is left to the reader
  };
  static Access area_access(uint32_t area, bool write) { return whole(kPrepared + area, write); }
  [[nodiscard]] uint32_t other_area() const { return plan_.policy.lane ? 1 - prepared_.area : 0; }

  [[nodiscard]] XFormat format_for_readers(ValueId id) const {
    return common_format(graph_, id, format_of_);
  }
  [[nodiscard]] Feed feed_from_here(ValueId out) const {
    return plan_.policy.lane ? feed_of(graph_, node_, out, format_of_) : Feed{};
  }
  void take(const Feed& feed, uint32_t area) {
    if (feed) prepared_ = {feed.value, XFormat::Pairs, area, feed.norm};
  }

  [[nodiscard]] shared::PreparePush prepare_push(ValueId x) const;
  /// Brings x into the work area in the form a kernel reads, unless it is there already.
  void prepare(ValueId x, XFormat format);
  Result<void> lower_op(const graph::RmsNorm& op);

  // ---- matrix products (lower_matrix.cpp)

  Result<void> lower_op(const graph::MatMul& op);
  [[nodiscard]] MatrixKernel kernel_for(const graph::MatMul& op) const;
  [[nodiscard]] Call matrix_call(const graph::MatMul& op, const MatrixPart& part,
                                 const shared::MatPush& push, const MatrixKernel& kernel,
                                 const Feed& feed) const;
  /// What an int8 lane kernel has beyond the others; returns the groups of tiles of a workgroup.
  uint32_t add_feed(Call& call, const Feed& feed, const MatrixKernel& kernel, bool gate,
                    bool x_norm) const;
  [[nodiscard]] std::optional<QkvStore> store_from_here() const;
  /// Turns the call of a matrix that makes rows of q, k and v into one that stores them as such.
  void store_qkv(Call& call, shared::MatPush push, const QkvStore& store) const;
  /// What a kernel binds for its feed. Without one it binds what it writes anyway: the bindings are
  /// declared as written, and barriers are judged by what is declared.
  [[nodiscard]] PreparedArea feed_area(const Feed& feed, const BufferSlice& out) const;

  // ---- rotation, cache, attention (lower_attention.cpp)

  [[nodiscard]] std::vector<uint32_t> rope_constants(const graph::RopeStore& op,
                                                     const graph::CacheLayer& layer) const;
  [[nodiscard]] shared::RopePush rope_push(const graph::RopeStore& op) const;
  Result<void> lower_op(const graph::RopeStore& op);
  Result<void> lower_op(const graph::Attention& op);

  // ---- everything else (lower.cpp)

  Result<void> lower_op(const graph::Embed& op);
  Result<void> columns(uint32_t op, ValueId a, ValueId b, ValueId out, float scale = 1.0f,
                       uint32_t at = 0);
  Result<void> lower_op(const graph::Glu& op);
  Result<void> lower_op(const graph::Add& op);
  Result<void> lower_op(const graph::Softcap& op);
  Result<void> lower_op(const graph::SelectOutputs& op);
  Result<void> lower_op(const graph::Route& op);
  Result<void> lower_op(const graph::Combine& op);
  /// Each writes sums of its own, which nothing else of a step touches.
  Result<void> lower_op(const graph::Observe& op);
  void finish();

  const ModelPlan& plan_;
  const graph::Graph& graph_;
  StepShape shape_;
  XFormatOf format_of_;
  std::vector<Dispatch> list_;
  HazardTracker hazards_;
  std::string label_;
  size_t node_ = 0;  ///< being lowered
  Prepared prepared_;
};

}  // namespace pumice
