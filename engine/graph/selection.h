// The selection of the columns that have an output, as a part of a graph that can move or go.
#pragma once

#include "engine/graph/graph.h"

namespace pumice::graph {

/// Takes the selection away: what read the selected columns reads those it was made from, all of
/// them. Whether there was one.
bool remove_selection(Graph& graph);

}  // namespace pumice::graph
