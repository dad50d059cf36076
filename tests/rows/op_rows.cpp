// Rows with values where ops go wrong: ties, overflows, zeros of both signs.
#include "tests/rows/op_rows.h"

#include <bit>
#include <iterator>

#include "tests/rows/blocks.h"

namespace pumice::test {
namespace {

using reference::Matrix;

std::shared_ptr<const GgufFile> weights_of(const OpRow& row) {
  GgufWriter file;
  file.set("general.architecture", std::string("rows"));
  for (const graph::Weight& weight : row.weights)
    add_random(file, weight.tensor, weight.type, {weight.columns});
  return open_in_memory(file);
}

/// Large and small, beyond where exp overflows.
Matrix wild_matrix(uint32_t rows, uint32_t columns) {
  Matrix out = random_matrix(rows, columns, 6.0f, 9);
  const double extremes[] = {1e4, -1e4, 88.5, -88.5, 200, -200, 0.0, -0.0, 1e-30, 20, -20};
  for (size_t i = 0; i < std::size(extremes); ++i) out.column(0)[i] = extremes[i];
  return out;
}

/// Logits with ties, at the edge of the chosen and inside them, and far apart.
Matrix router_logits(uint32_t n_experts) {
  Matrix logits = random_matrix(n_experts, 4, 3.0f, 5);
  for (double& value : logits.column(1)) value = 0.25;
  for (uint32_t e = 0; e < n_experts; ++e) logits.column(2)[e] = e % 3 == 0 ? 1.0 : -1.0;
  for (uint32_t e = 0; e < n_experts; ++e) logits.column(3)[e] = e == 5 ? 300.0 : -300.0;
  return logits;
}

}  // namespace

OpRow norm_row(uint32_t width, uint32_t group, float size) {
  return {.name = "norm of " + std::to_string(width) + " in runs of " + std::to_string(group),
          .op = graph::RmsNorm{.x = 0, .weight = 0, .out = 1, .eps = 1e-6f, .group = group},
          .inputs = {random_matrix(width, 3, size, width)},
          .out_rows = width,
          .weights = {{"norm", QuantType::F32, group}}};
}

std::vector<OpRow> small_rows() {
  const Matrix a = random_matrix(200, 5, 3.0f, 1), b = random_matrix(200, 5, 3.0f, 2),
               wild = wild_matrix(200, 5);
  std::vector<OpRow> rows{norm_row(64, 64, 1.0f), norm_row(1280, 1280, 50.0f),
                          norm_row(96, 32, 1e-3f), norm_row(4096, 4096, 1.0f)};
  rows.push_back({"add", graph::Add{.a = 0, .b = 1, .out = 2}, {a, b}, 200});
  for (const graph::Activation activation : {graph::Activation::Silu, graph::Activation::GeluTanh})
    rows.push_back({activation == graph::Activation::Silu ? "SiLU" : "GELU",
                    graph::Glu{.gate = 0, .up = 1, .out = 2, .activation = activation},
                    {wild, b},
                    200});
  rows.push_back({"softcap", graph::Softcap{.x = 0, .out = 1, .cap = 30.0f}, {wild}, 200});
  return rows;
}

std::vector<OpRow> expert_rows() {
  std::vector<OpRow> rows;
  for (const bool normalise : {true, false})
    for (const uint32_t n_used : {1u, 2u, 4u})
      rows.push_back({"route " + std::to_string(n_used) + " of 8",
                      graph::Route{.logits = 0,
                                   .out = 1,
                                   .n_experts = 8,
                                   .n_used = n_used,
                                   .normalise = normalise,
                                   .scale = 2.5f},
                      {router_logits(8)},
                      2 * n_used});
  Matrix route(4, 3);
  for (size_t i = 0; i < route.data.size(); ++i) route.data[i] = 0.1 * double(i) + 0.05;
  rows.push_back({"combine",
                  graph::Combine{.x = 0, .route = 1, .residual = 2, .out = 3, .n_used = 2},
                  {random_matrix(2 * 72, 3, 1.0f, 6), route, random_matrix(72, 3, 1.0f, 7)},
                  72});
  return rows;
}

Case op_case(const OpRow& row, const Tier& tier) {
  Case out;
  out.name = row.name + ", " + tier.name;
  out.tier = tier;
  out.file = weights_of(row);
  double values = row.out_rows;
  for (const Matrix& input : row.inputs) {
    out.inputs.emplace_back(graph::ValueId(out.inputs.size()), input);
    out.graph.values.push_back({.name = "in", .width = input.rows});
    values += input.rows;
  }
  out.graph.values.push_back({.name = "out", .width = row.out_rows});
  out.graph.weights = row.weights;
  out.graph.nodes = {{row.op, "row"}};
  out.out = graph::ValueId(row.inputs.size());
  out.columns = row.inputs.front().columns;
  out.options.max_chunk = 8;
  out.shape = {std::bit_ceil(out.columns), 0, Ending::None, false};
  out.tolerance = row.tolerance;
  out.bytes = 4 * values * out.columns;
  return out;
}

}  // namespace pumice::test
