// What a lane kernel leaves for the matrix behind it, so that no dispatch is spent on preparing it.
#pragma once

#include <functional>

#include "engine/graph/graph.h"
#include "engine/schedule/policy.h"
#include "shaders/shared/push.h"

namespace pumice {

/// Values are FEEDS of kernel/matvec_lane.glsl.
enum class FeedKind : uint32_t {
  Nothing = PUMICE_FEED_NOTHING,
  Rows = PUMICE_FEED_ROWS,  ///< the value itself, in int8, and no f32
  Norm = PUMICE_FEED_NORM,  ///< f32, and times the weights of the norm behind it in int8
};

struct Feed {
  FeedKind kind = FeedKind::Nothing;
  graph::ValueId value = graph::kNone;   ///< that lies prepared then
  const graph::RmsNorm* norm = nullptr;  ///< whose division by the RMS is left to the reader

  explicit operator bool() const { return kind != FeedKind::Nothing; }
};

using XFormatOf = std::function<XFormat(const graph::MatMul&)>;

/// The form in which every reader of a value wants it, or F32 where they differ or there is none.
[[nodiscard]] XFormat common_format(const graph::Graph& graph, graph::ValueId id,
                                    const XFormatOf& format_of);

/// What the kernel of nodes[writer], which writes `out`, does for the matrices behind it: nothing,
/// unless all that read the result follow at once.
[[nodiscard]] Feed feed_of(const graph::Graph& graph, size_t writer, graph::ValueId out,
                           const XFormatOf& format_of);

}  // namespace pumice
