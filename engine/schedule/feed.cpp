// Who can feed whom, from the graph and the formats that kernels read.
#include "engine/schedule/feed.h"

#include <algorithm>
#include <optional>

#include "engine/graph/visit.h"

namespace pumice {
namespace {

using graph::kNone;
using graph::ValueId;

/// Whether all readers of a prepared value follow from nodes[first] on, and none but the last
/// leaves something else in the work areas.
bool is_read_at_once(const graph::Graph& graph, ValueId id, size_t first,
                     const XFormatOf& format_of) {
  const auto reads = [&](const graph::Node& node) {
    const std::vector<ValueId> read = graph::inputs(node);
    return std::find(read.begin(), read.end(), id) != read.end();
  };
  size_t end = first;
  while (end < graph.nodes.size() && reads(graph.nodes[end])) ++end;
  if (size_t(std::count_if(graph.nodes.begin(), graph.nodes.end(), reads)) != end - first)
    return false;
  for (size_t i = first; i + 1 < end; ++i)
    if (feed_of(graph, i, std::get<graph::MatMul>(graph.nodes[i].op).out, format_of)) return false;
  return true;
}

}  // namespace

XFormat common_format(const graph::Graph& graph, ValueId id, const XFormatOf& format_of) {
  std::optional<XFormat> common;
  for (const graph::Node& node : graph.nodes) {
    const std::vector<ValueId> read = graph::inputs(node);
    if (std::none_of(read.begin(), read.end(),
                     [&](ValueId v) { return graph::storage_of(graph, v) == id; }))
      continue;
    const auto* op = std::get_if<graph::MatMul>(&node.op);
    if (op == nullptr || op->x != id || op->residual == id) return XFormat::F32;
    const XFormat format = format_of(*op);
    if (common && *common != format) return XFormat::F32;
    common = format;
  }
  return common.value_or(XFormat::F32);
}

Feed feed_of(const graph::Graph& graph, size_t writer, ValueId out, const XFormatOf& format_of) {
  const graph::Value& value = graph.values[out];
  if (value.base != kNone || value.width % 32 != 0) return {};
  Feed feed{FeedKind::Rows, out, nullptr};
  size_t reader = writer + 1;
  if (reader < graph.nodes.size()) feed.norm = std::get_if<graph::RmsNorm>(&graph.nodes[reader].op);
  if (feed.norm != nullptr) {
    if (feed.norm->x != out || feed.norm->group != value.width) return {};
    feed = {FeedKind::Norm, feed.norm->out, feed.norm};
    ++reader;
  }
  if (common_format(graph, feed.value, format_of) != XFormat::Pairs) return {};
  return is_read_at_once(graph, feed.value, reader, format_of) ? feed : Feed{};
}

}  // namespace pumice
