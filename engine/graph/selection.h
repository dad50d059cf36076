// The selection of the columns that have an output, as a part of a graph that can move or go.
#pragma once

#include "engine/graph/graph.h"

namespace pumice::graph {

/// Takes the selection away: what read the selected columns reads those it was made from, all of
/// them. False, and nothing changed, where there is none or views or the logits hang on it.
bool remove_selection(Graph& graph);

}  // namespace pumice::graph
