// The tables of tiers and epilogues.
#include "tests/rows/matrix_rows.h"

#include "engine/schedule/weight_layout.h"
#include "tests/rows/blocks.h"

namespace pumice::test {
namespace {

using graph::Activation;
constexpr CapabilityMask kNoTexel{.texel = true};
constexpr CapabilityMask kNoTexelNoDot{.dot8 = true, .texel = true};

const MatrixTier kTiers[] = {
    // clang-format off
    {{.name = "lane f32"}, "matvec_lane.", ".f32"},
    {{.name = "lane q8", .activations = ActivationType::Q8}, "matvec_lane.", ".q8"},
    {{.name = "wide f32", .without = kNoTexel}, "matvec_wide.", ".f32"},
    {{.name = "wide q8", .without = kNoTexelNoDot, .activations = ActivationType::Q8}, "matvec_wide.", ".q8"},
    {{.name = "wide dot8", .without = kNoTexel, .activations = ActivationType::Q8}, "matvec_wide.", ".dot8"},
    {{.name = "tile f32", .without = kNoTexel, .deterministic = false}, "matmul_tile.", ".f32"},
    {{.name = "tile f16", .without = kNoTexel, .activations = ActivationType::Auto, .deterministic = false}, "matmul_tile.", ".f16"},
    // clang-format on
};

const Epilogue kEpilogues[] = {
    {"bias, residual, 1 column", 1, {52}, true, true},
    {"gate with biases, 3 columns", 3, {48, 48}, true, false, Activation::Silu},
    {"two matrices, 8 columns", 8, {48, 52}},
    {"residual, 37 columns", 37, {100}, false, true},
    {"GELU gate, 37 columns", 37, {72, 72}, false, false, Activation::GeluTanh},
};

std::string weight_name(const Epilogue& epilogue, size_t part, uint32_t columns) {
  return fmt::format("w.{}.{}.{}", epilogue.name, part, columns);
}
std::string bias_name(const Epilogue& epilogue, size_t part) {
  return fmt::format("b.{}.{}", epilogue.name, part);
}

enum : graph::ValueId { kX, kOut, kResidual };

graph::Graph graph_of(const MatrixRow& row) {
  const Epilogue& epilogue = row.epilogue;
  graph::Graph graph;
  graph::MatMul op{.x = kX, .out = kOut, .gate = epilogue.gate};
  uint32_t out_rows = 0;
  for (size_t part = 0; part < epilogue.rows.size(); ++part) {
    const uint32_t rows = epilogue.rows[part];
    op.weights.push_back(graph::WeightId(graph.weights.size()));
    graph.weights.push_back(
        {weight_name(epilogue, part, row.columns), row.type, row.columns, rows});
    if (epilogue.bias) {
      op.biases.push_back(graph::WeightId(graph.weights.size()));
      graph.weights.push_back({bias_name(epilogue, part), QuantType::F32, rows});
    }
    out_rows += rows;
  }
  if (epilogue.gate != Activation::None) out_rows = epilogue.rows.front();
  if (epilogue.residual) op.residual = kResidual;
  graph.values = {{.name = "x", .width = row.columns, .per_output = true},
                  {.name = "out", .width = out_rows, .per_output = true},
                  {.name = "residual", .width = out_rows, .per_output = true}};
  graph.nodes = {{op, "row"}};
  graph.logits = kOut;
  graph.n_vocab = out_rows;
  return graph;
}

}  // namespace

std::span<const MatrixTier> matrix_tiers() {
  return kTiers;
}

std::span<const Epilogue> epilogues() {
  return kEpilogues;
}

bool is_runnable(const MatrixTier& tier, const Capabilities& of_device) {
  RunOptions options;
  options.activations = tier.tier.activations;
  options.deterministic = tier.tier.deterministic;
  const Policy policy = choose_policy(capabilities(tier.tier, of_device), options);
  if (std::string_view(tier.kernel) == "matvec_lane.") return policy.lane;
  if (std::string_view(tier.suffix) == ".f16") return policy.fp16;
  return std::string_view(tier.suffix) != ".dot8" || policy.dot8;
}

bool is_tile(const MatrixTier& tier) {
  return std::string_view(tier.kernel) == "matmul_tile.";
}

bool is_int8(const MatrixTier& tier) {
  return tier.tier.activations == ActivationType::Q8;
}

Tolerance tolerance_of(const MatrixTier& tier) {
  if (is_int8(tier)) return kInt8Op;
  return tier.tier.activations == ActivationType::Auto ? kHalfOp : kExactOp;
}

std::vector<uint32_t> row_lengths(const WeightLayout& layout) {
  const uint32_t block = info(layout.type).block_weights;
  if (block == 1) return {40, 384};
  return {block, block >= 128 ? 5 * block : 384};
}

std::shared_ptr<const GgufFile> matrix_weights(QuantType type, std::span<const uint32_t> lengths,
                                               std::span<const Epilogue> all) {
  GgufWriter file;
  file.set("general.architecture", std::string("rows"));
  for (const Epilogue& epilogue : all)
    for (size_t part = 0; part < epilogue.rows.size(); ++part) {
      const uint32_t rows = epilogue.rows[part];
      for (const uint32_t length : lengths)
        add_random(file, weight_name(epilogue, part, length), type, {length, rows});
      if (epilogue.bias) add_random(file, bias_name(epilogue, part), QuantType::F32, {rows});
    }
  return open_in_memory(file);
}

Case matrix_case(const MatrixRow& row, const MatrixTier& tier,
                 std::shared_ptr<const GgufFile> file) {
  const Epilogue& epilogue = row.epilogue;
  Case out;
  out.name = fmt::format("{}, {}, {} wide, {}", info(row.type).name, tier.tier.name, row.columns,
                         epilogue.name);
  out.type = info(row.type).name;
  out.kernels = tier.kernel;
  out.tier = tier.tier;
  out.file = std::move(file);
  out.graph = graph_of(row);
  out.options.max_chunk = 8;
  out.options.max_outputs = epilogue.columns;
  out.shape = {1, epilogue.columns, Ending::Logits, false};
  out.inputs = {{kX, random_matrix(row.columns, epilogue.columns, 1.5f, row.columns)}};
  const uint32_t out_rows = out.graph.values[kOut].width;
  if (epilogue.residual)
    out.inputs.emplace_back(kResidual,
                            random_matrix(out_rows, epilogue.columns, 0.5f, row.columns + 1));
  out.out = kOut;
  out.columns = epilogue.columns;
  out.tolerance = tolerance_of(tier);
  double weights = 0;
  for (const uint32_t rows : epilogue.rows) weights += double(rows) * row.columns;
  out.weight_bytes = weights / info(row.type).block_weights * info(row.type).block_bytes;
  const double values = double(row.columns) + double(out_rows) * (epilogue.residual ? 2 : 1);
  out.bytes = out.weight_bytes + 4 * values * epilogue.columns;
  out.operations = 2 * weights * epilogue.columns;
  return out;
}

}  // namespace pumice::test
