// Greedy best fit: large values first, each into the smallest gap that is free over its lifetime.
#include "engine/graph/placement.h"

#include <algorithm>
#include <numeric>

#include "engine/base/checked.h"
#include "engine/graph/visit.h"

namespace pumice::graph {
namespace {

struct Request {
  ValueId value;
  uint64_t size;
  Lifetime life;
};

struct Placed {
  uint64_t begin, end;
  Lifetime life;
};

bool meet(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

/// The start of the smallest gap of at least `size` bytes among `busy` (sorted by begin), or the
/// end of the last busy range.
uint64_t best_fit(const std::vector<Placed>& busy, uint64_t size) {
  uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
  for (const Placed& range : busy) {
    if (range.begin > end && range.begin - end >= size && range.begin - end < best_gap) {
      best = end;
      best_gap = range.begin - end;
    }
    end = std::max(end, range.end);
  }
  return best_gap == UINT64_MAX ? end : best;
}

Result<std::vector<Request>> requests(const Graph& graph, uint32_t n_tokens, uint32_t n_outputs,
                                      Placement& placement) {
  const std::vector<Lifetime> lives = lifetimes(graph);
  std::vector<Request> list;
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    const Value& value = graph.values[id];
    ValuePlace& place = placement.values[id];
    place.stride = column_stride(graph.values[storage_of(graph, id)].width);
    if (value.base != kNone || lives[id].first > lives[id].last) continue;
    const uint64_t columns = value.per_output ? n_outputs : n_tokens;
    const auto floats = checked_mul(place.stride, columns);
    const auto bytes = floats ? checked_mul(*floats, sizeof(float)) : floats;
    const auto size = bytes ? checked_align_up(*bytes, kPlacementAlignment) : bytes;
    if (!size || *size > UINT64_MAX / 2 / graph.values.size())
      return fail(ErrorCode::OutOfMemory, "value {}: {} rows times {} columns is too large",
                  value.name, value.width, columns);
    place.size = *size;
    place.shared = value.width % kColumnAlignment == 0;
    Lifetime life = lives[id];
    if (!place.shared) life = {0, UINT32_MAX};
    if (id == storage_of(graph, graph.logits)) life.last = UINT32_MAX;
    list.push_back({id, *size, life});
  }
  return list;
}

}  // namespace

std::vector<Lifetime> lifetimes(const Graph& graph) {
  std::vector<Lifetime> lives(graph.values.size());
  for (uint32_t node = 0; node < graph.nodes.size(); ++node) {
    const auto touch = [&](ValueId id) {
      Lifetime& life = lives[storage_of(graph, id)];
      life.first = std::min(life.first, node);
      life.last = std::max(life.last, node);
    };
    visit_values(graph.nodes[node].op, touch, touch);
  }
  // A step of one column selects nothing and goes on with what it would have selected from.
  for (const Node& node : graph.nodes)
    if (const auto* select = std::get_if<SelectOutputs>(&node.op)) {
      Lifetime& life = lives[storage_of(graph, select->x)];
      life.last = std::max(life.last, lives[storage_of(graph, select->out)].last);
    }
  return lives;
}

Result<Placement> place_values(const Graph& graph, uint32_t n_tokens, uint32_t n_outputs) {
  Placement placement;
  placement.values.resize(graph.values.size());
  PUMICE_TRY_ASSIGN(std::vector<Request> list, requests(graph, n_tokens, n_outputs, placement));
  std::stable_sort(list.begin(), list.end(),
                   [](const Request& a, const Request& b) { return a.size > b.size; });

  std::vector<Placed> placed;  // sorted by begin
  for (const Request& request : list) {
    std::vector<Placed> busy;
    std::copy_if(placed.begin(), placed.end(), std::back_inserter(busy),
                 [&](const Placed& other) { return meet(other.life, request.life); });
    const uint64_t begin = best_fit(busy, request.size);
    const Placed range{begin, begin + request.size, request.life};
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), range,
                         [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
        range);
    placement.values[request.value].offset = begin;
    placement.total = std::max(placement.total, range.end);
  }
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    const Value& value = graph.values[id];
    if (value.base == kNone) continue;
    placement.values[id].offset =
        placement.values[value.base].offset + uint64_t(value.offset) * sizeof(float);
    placement.values[id].shared = placement.values[value.base].shared;
  }
  return placement;
}

}  // namespace pumice::graph
