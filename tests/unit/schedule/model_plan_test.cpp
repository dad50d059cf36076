// Where a plan puts things: bindings, parts, alignment, the sum of it all.
#include "engine/schedule/model_plan.h"

#include <map>

#include "tests/unit/schedule/plan_fixture.h"

namespace pumice {
namespace {

using test::plan_of;

struct NamedSlice {
  std::string what;
  BufferSlice slice;
};

std::vector<NamedSlice> slices_of(const ModelPlan& plan) {
  std::vector<NamedSlice> all;
  for (const DeviceMatrix& matrix : plan.matrices)
    for (const MatrixPart& part : matrix.parts)
      all.push_back({plan.graph.weights[matrix.weights.front()].tensor, part.slice});
  for (const DeviceVector& vector : plan.vectors) all.push_back({"vector", vector.slice});
  for (const CachePlan& cache : plan.caches) all.push_back({"cache", cache.slice});
  for (const BufferSlice& rope : plan.ropes) all.push_back({"rope", rope});
  for (const BufferSlice& slice :
       {plan.scratch, plan.prepared[0].units, plan.prepared[0].scales, plan.prepared[1].units,
        plan.prepared[1].scales, plan.partials, plan.step, plan.result, plan.logits_host,
        plan.logit_bias, plan.empty})
    if (slice.buffer != kNoBuffer) all.push_back({"work", slice});
  return all;
}

void expect_sound(const ModelPlan& plan) {
  std::map<BufferId, std::map<uint64_t, uint64_t>> taken;  // begin -> end, by buffer
  for (const auto& [what, slice] : slices_of(plan)) {
    ASSERT_LT(slice.buffer, plan.buffers.size()) << what;
    EXPECT_GT(slice.bytes, 0u) << what;
    EXPECT_LE(slice.offset + slice.bytes, plan.buffers[slice.buffer].bytes) << what;
    EXPECT_EQ(slice.offset % plan.policy.alignment, 0u) << what;
    auto& ranges = taken[slice.buffer];
    const auto [at, fresh] = ranges.emplace(slice.offset, slice.offset + slice.bytes);
    ASSERT_TRUE(fresh) << what << ": two slices at " << slice.offset;
    if (at != ranges.begin()) {
      EXPECT_LE(std::prev(at)->second, slice.offset) << what;
    }
    if (std::next(at) != ranges.end()) {
      EXPECT_LE(at->second, std::next(at)->first) << what;
    }
  }
  EXPECT_EQ(taken.size(), plan.buffers.size()) << "every buffer is there for something";
  uint64_t sum = 0;
  for (const BufferPlan& buffer : plan.buffers) {
    sum += buffer.bytes;
    EXPECT_LE(buffer.bytes, plan.policy.arena_bytes) << buffer.name;
    EXPECT_EQ(buffer.fully_written, buffer.name == "weights") << buffer.name;
  }
  EXPECT_NEAR(double(plan.memory.total()), double(sum), 0.02 * double(sum));
}

void expect_parts(const ModelPlan& plan) {
  for (const DeviceMatrix& matrix : plan.matrices) {
    SCOPED_TRACE(plan.graph.weights[matrix.weights.front()].tensor);
    uint32_t next = 0;
    uint64_t bytes = 0;
    for (const MatrixPart& part : matrix.parts) {
      EXPECT_EQ(part.first_tile, next);
      if (matrix.interleaved) {
        EXPECT_EQ(part.tiles % 2, 0u) << "gate and up stay together";
      }
      EXPECT_EQ(part.slice.bytes % part.tiles, 0u);
      EXPECT_LE(part.slice.bytes, plan.policy.matrix_binding_bytes);
      next += part.tiles;
      bytes += part.slice.bytes;
    }
    EXPECT_EQ(next, matrix.tiles * matrix.experts);
    EXPECT_EQ(bytes, matrix.bytes);
  }
}

/// Every row of every weight is in exactly one tile.
void expect_rows(const ModelPlan& plan) {
  for (const DeviceMatrix& matrix : plan.matrices) {
    std::map<graph::WeightId, uint32_t> rows;
    for (uint32_t tile = 0; tile < matrix.tiles * matrix.experts; ++tile) {
      const TileSource source = tile_source(plan, matrix, tile);
      const graph::Weight& weight = plan.graph.weights[source.weight];
      ASSERT_LE(source.first_row + source.rows, weight.rows);
      ASSERT_EQ(source.expert, tile / matrix.tiles);
      rows[source.weight] += source.rows;
    }
    for (const graph::WeightId id : matrix.weights)
      EXPECT_EQ(rows[id], plan.graph.weights[id].rows * matrix.experts)
          << plan.graph.weights[id].tensor;
  }
}

TEST(ModelPlan, EveryModelOnEveryDevice) {
  for (const Capabilities& caps : test::devices())
    for (const test::SyntheticModel& model : test::models())
      for (const RunOptions& options :
           {RunOptions{}, RunOptions{.max_outputs = 8, .cache = CacheType::F32},
            RunOptions{.max_sequences = 3, .activations = ActivationType::Q8},
            RunOptions{.cache = {CacheType::Q8_0, CacheType::Q4_0, true}}}) {
        SCOPED_TRACE(caps.device_name);
        const auto plan = plan_of(model, caps, options);
        ASSERT_TRUE(plan) << plan.error().text;
        expect_sound(*plan);
        expect_parts(*plan);
        expect_rows(*plan);
        if (HasFailure()) return;
      }
}

TEST(ModelPlan, SmallBindingsSplitMatricesByRows) {
  Capabilities caps = test::baseline();
  caps.max_storage_range = 192 << 10;
  const auto plan =
      plan_of(test::sized_model("llama", {.kv_heads = 1, .vocab = 2000, .type = QuantType::F16}),
              caps, {.context = 256, .max_chunk = 8});
  ASSERT_TRUE(plan) << plan.error().text;
  expect_sound(*plan);
  expect_parts(*plan);
  expect_rows(*plan);
  size_t split = 0;
  for (const DeviceMatrix& matrix : plan->matrices) split += matrix.parts.size() > 1 ? 1 : 0;
  EXPECT_GE(split, 4u) << "embedding, output, gate and up, down";
}

TEST(ModelPlan, SmallArenasMakeMoreBuffers) {
  Capabilities caps = test::amd();
  caps.max_allocation = 1 << 20;
  const auto plan = plan_of(test::sized_model("llama", {.vocab = 2000, .type = QuantType::F32}),
                            caps, {.max_chunk = 8});
  ASSERT_TRUE(plan) << plan.error().text;
  expect_sound(*plan);
  size_t arenas = 0;
  for (const BufferPlan& buffer : plan->buffers) arenas += buffer.name == "weights" ? 1 : 0;
  EXPECT_GE(arenas, 4u);
}

TEST(ModelPlan, SharedWeightsAreHeldOnce) {
  test::SyntheticModel tied = test::sized_model("llama", {.vocab = 512, .type = QuantType::Q4_0});
  const auto both = plan_of(tied, test::amd());
  const auto one = plan_of(tied.drop("output.weight"), test::amd());
  ASSERT_TRUE(both && one);
  EXPECT_EQ(both->memory.weights - one->memory.weights, 512u / 8 * (256 / 32) * 144);
}

TEST(ModelPlan, CacheFollowsContextAndType) {
  const test::SyntheticModel model = test::sized_model("llama", {.context = 4096});
  const auto f16 = plan_of(model, test::amd(), {.context = 1024});
  const auto f32 = plan_of(model, test::amd(), {.context = 1024, .cache = CacheType::F32});
  const auto two = plan_of(model, test::amd(), {.context = 1024, .max_sequences = 2});
  ASSERT_TRUE(f16 && f32 && two);
  // 2 layers, 2 KV heads of 64, K and V; one page beyond the pool takes surplus columns.
  EXPECT_EQ(f16->memory.cache, uint64_t{2} * 2 * 64 * 2 * 2 * (1024 + 256));
  EXPECT_EQ(f32->memory.cache, 2 * f16->memory.cache);
  EXPECT_EQ(two->pages, 2 * f16->pages);
  const auto q8_0 = plan_of(model, test::amd(), {.context = 1024, .cache = CacheType::Q8_0});
  const auto q4_0 = plan_of(model, test::amd(), {.context = 1024, .cache = CacheType::Q4_0});
  const auto mixed = plan_of(model, test::amd(),
                             {.context = 1024, .cache = {CacheType::Q8_0, CacheType::F16, true}});
  ASSERT_TRUE(q8_0 && q4_0 && mixed);
  // Blocks of 32: 34 and 18 bytes for what takes 64 in f16.
  EXPECT_EQ(q8_0->memory.cache * 64, f16->memory.cache * 34);
  EXPECT_EQ(q4_0->memory.cache * 64, f16->memory.cache * 18);
  EXPECT_EQ(mixed->memory.cache * 2, q8_0->memory.cache + f16->memory.cache);
}

TEST(ModelPlan, AContextThatNoBindingHoldsIsRefusedWithOneThatFits) {
  const test::SyntheticModel model =
      test::sized_model("llama", {.heads = 8, .kv_heads = 8, .head = 128, .context = 1u << 20});
  for (const Capabilities& caps : {test::lavapipe(), test::baseline()}) {
    RunOptions options{.context = 1u << 20};
    const auto refused = plan_of(model, caps, options);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::OutOfMemory);
    const std::string& text = refused.error().text;
    const size_t at = text.find("of ", text.find("(-c)"));
    ASSERT_NE(at, std::string::npos) << text;
    options.context = uint32_t(std::stoul(text.substr(at + 3)));
    EXPECT_GT(options.context, 16384u) << text;
    const auto fits = plan_of(model, caps, options);
    EXPECT_TRUE(fits) << fits.error().text;
  }
}

struct RefusalRow {
  const char* what;
  test::SyntheticModel model;
  Capabilities caps;
  RunOptions options;
  ErrorCode code;
  const char* words;
};

TEST(ModelPlan, RefusesInWords) {
  Capabilities tiny = test::baseline();
  tiny.max_storage_range = 4096;
  const test::ModelSize moe{.type = QuantType::Q8_0, .experts = 16};
  Capabilities small = test::baseline();
  small.max_storage_range = 1 << 20;
  const RefusalRow rows[] = {
      {"a row of tiles is larger than a binding",
       test::sized_model("llama", {}),
       tiny,
       {},
       ErrorCode::Unsupported,
       "do not fit a binding of 4096 bytes"},
      {"experts cannot be split",
       test::sized_model("llama", moe),
       small,
       {.max_chunk = 8},
       ErrorCode::Unsupported,
       "do not fit a binding"},
      {"no chunk",
       test::sized_model("llama", {}),
       test::amd(),
       {.max_chunk = 0},
       ErrorCode::BadArgument,
       "at least 1"},
      {"a huge context",
       test::sized_model("llama", {}),
       test::amd(),
       {.context = 1u << 21},
       ErrorCode::BadArgument,
       "context of 2097152"},
      {"heads that no block of 32 fills",
       test::sized_model("llama", {.head = 48}),
       test::amd(),
       {.cache = {CacheType::F16, CacheType::Q4_0}},
       ErrorCode::Unsupported,
       "v heads of this model have 48 elements; use f16 for them (--kv-v f16)"},
  };
  for (const RefusalRow& row : rows) {
    const auto plan = plan_of(row.model, row.caps, row.options);
    ASSERT_FALSE(plan) << row.what;
    EXPECT_EQ(plan.error().code, row.code) << row.what << ": " << plan.error().text;
    EXPECT_NE(plan.error().text.find(row.words), std::string::npos) << plan.error().text;
  }
}

}  // namespace
}  // namespace pumice
