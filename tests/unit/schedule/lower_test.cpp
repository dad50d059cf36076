// Dispatch lists of every model, step shape and device: each binding within its buffer and the
// device's limits, and a barrier between any two dispatches that need one. What a dispatch reads
// and writes is learnt from its shader here, not from the accesses that lowering declares.
#include "engine/schedule/lower.h"

#include <cstring>

#include "engine/vk/dispatch_check.h"
#include "shaders/shared/push.h"
#include "tests/unit/schedule/plan_fixture.h"

namespace pumice {
namespace {

using test::plan_of;

const vk::ShaderInfo& shader_of(const std::string& kernel) {
  static std::map<std::string, vk::ShaderInfo> known;
  const auto found = known.find(kernel);
  if (found != known.end()) return found->second;
  const KernelModule* module = find_kernel(kernel);
  EXPECT_NE(module, nullptr) << kernel;
  auto info = module ? vk::reflect_shader(module->spirv) : vk::ShaderInfo{};
  EXPECT_TRUE(info) << kernel << ": " << info.error().text;
  return known[kernel] = *info;
}

/// Rows of y that a matrix kernel writes: two may fill one value side by side.
struct Rows {
  uint32_t begin, end;
};
std::optional<Rows> rows_written(const Dispatch& dispatch) {
  if (!dispatch.kernel.starts_with("mat")) return {};
  shared::MatPush push;
  std::memcpy(&push, dispatch.push.data(), sizeof(push));
  return Rows{push.y_at, push.y_at + push.rows};
}

bool overlap(const BufferSlice& a, const BufferSlice& b) {
  return a.buffer == b.buffer && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

/// Why two dispatches must not run at the same time; empty when they may.
std::string hazard(const ModelPlan& plan, const Dispatch& a, const Dispatch& b) {
  const auto rows_a = rows_written(a), rows_b = rows_written(b);
  const vk::ShaderInfo &shader_a = shader_of(a.kernel), &shader_b = shader_of(b.kernel);
  for (const vk::ShaderBinding& in_a : shader_a.bindings)
    for (const vk::ShaderBinding& in_b : shader_b.bindings) {
      const BufferSlice &x = a.bindings[in_a.binding], &y = b.bindings[in_b.binding];
      if (!(in_a.writable || in_b.writable) || !overlap(x, y)) continue;
      if (x.buffer == plan.empty.buffer && x.offset == plan.empty.offset) continue;  // unused
      const bool side_by_side = in_a.writable && in_b.writable && rows_a && rows_b &&
                                x.offset == y.offset &&
                                (rows_a->end <= rows_b->begin || rows_b->end <= rows_a->begin);
      if (!side_by_side)
        return fmt::format("{} ({}) binding {} and {} ({}) binding {}", a.label, a.kernel,
                           in_a.binding, b.label, b.kernel, in_b.binding);
    }
  return {};
}

/// Pairs of dispatches that no barrier keeps apart and that need one.
std::vector<std::string> missing_barriers(const ModelPlan& plan,
                                          const std::vector<Dispatch>& list) {
  std::vector<std::string> missing;
  for (size_t later = 1; later < list.size(); ++later) {
    for (size_t earlier = later; earlier-- > 0 && !list[earlier + 1].barrier;)
      if (std::string why = hazard(plan, list[earlier], list[later]); !why.empty())
        missing.push_back(std::move(why));
  }
  return missing;
}

void expect_in_range(const ModelPlan& plan, const Capabilities& caps,
                     const std::vector<Dispatch>& list) {
  const auto bytes_of = [&](BufferId id) -> std::optional<uint64_t> {
    if (id >= plan.buffers.size()) return {};
    return plan.buffers[id].bytes;
  };
  for (const Dispatch& dispatch : list) {
    const vk::ShaderInfo& shader = shader_of(dispatch.kernel);
    ASSERT_GE(dispatch.bindings.size(), shader.bindings.size()) << dispatch.kernel;
    const auto checked = vk::check_dispatch(dispatch, shader, caps, bytes_of);
    EXPECT_TRUE(checked) << dispatch.label << ": " << checked.error().text;
    EXPECT_EQ(dispatch.push.size() * 4, shader.push_bytes) << dispatch.kernel;
    EXPECT_FALSE(dispatch.label.empty()) << dispatch.kernel;
    for (const BufferSlice& slice : dispatch.bindings) EXPECT_EQ(slice.offset % 256, 0u);
  }
}

const std::vector<StepShape>& shapes() {
  static const std::vector<StepShape> all = {
      {1, 1, Ending::Sample, false}, {1, 1, Ending::Sample, true},   {2, 2, Ending::Sample, false},
      {4, 3, Ending::Sample, false}, {8, 1, Ending::Sample, false},  {8, 8, Ending::Logits, false},
      {8, 0, Ending::None, false},   {64, 1, Ending::Sample, false}, {512, 0, Ending::None, false}};
  return all;
}

TEST(Lower, EveryModelShapeAndDevice) {
  size_t lists = 0;
  for (const Capabilities& caps : test::devices())
    for (const test::SyntheticModel& model : test::models())
      for (const ActivationType activations : {ActivationType::Auto, ActivationType::F32}) {
        const auto plan = plan_of(
            model, caps, {.max_outputs = 8, .max_sequences = 4, .activations = activations});
        ASSERT_TRUE(plan) << plan.error().text;
        for (const StepShape& shape : shapes()) {
          SCOPED_TRACE(testing::Message() << caps.device_name << ", " << shape.tokens << " tokens");
          const auto list = lower(*plan, shape);
          ASSERT_TRUE(list) << list.error().text;
          ++lists;
          expect_in_range(*plan, caps, *list);
          EXPECT_EQ(missing_barriers(*plan, *list), std::vector<std::string>{});
          if (HasFailure()) return;
        }
      }
  EXPECT_EQ(lists, test::devices().size() * test::models().size() * 2 * shapes().size());
}

TEST(Lower, TappedModels) {
  for (const Capabilities& caps : test::devices())
    for (const test::SyntheticModel& model : test::models()) {
      RunOptions options{.max_outputs = 8, .activations = ActivationType::Q8};
      options.taps = {.statistics = graph::Statistics::Gram, .output = true};
      const auto plan = plan_of(model, caps, options);
      ASSERT_TRUE(plan) << plan.error().text;
      EXPECT_FALSE(plan->policy.q8);
      EXPECT_EQ(plan->policy.cache, CacheFormat(CacheType::F32));
      size_t grams = 0;
      for (const StepShape& shape : shapes()) {
        if (shape.outputs > 1 && shape.ending == Ending::Sample) continue;
        const auto list = lower(*plan, shape);
        ASSERT_TRUE(list) << list.error().text;
        expect_in_range(*plan, caps, *list);
        EXPECT_EQ(missing_barriers(*plan, *list), std::vector<std::string>{});
        grams += size_t(std::count_if(list->begin(), list->end(), [](const Dispatch& dispatch) {
          return dispatch.kernel.starts_with("observe_gram");
        }));
      }
      EXPECT_GE(grams, 6 * plan->graph.taps.size()) << caps.device_name;
    }
}

TEST(Lower, SmallBindingsOfGramMatrices) {
  Capabilities caps = test::baseline();
  caps.max_storage_range = 512 << 10;  // 32 blocks
  RunOptions options{.context = 256, .max_chunk = 8};
  options.taps = {.statistics = graph::Statistics::Gram};
  const auto plan = plan_of(test::sized_model("llama", {}), caps, options);
  ASSERT_TRUE(plan) << plan.error().text;
  const TapPlan& down = plan->taps[3];  // 512 wide: 36 blocks
  ASSERT_EQ(down.gram.size(), 2u);
  EXPECT_EQ(down.gram.back().first_tile, 32u);
  EXPECT_EQ(down.gram.back().tiles, 4u);
  const auto list = lower(*plan, {1, 1, Ending::Sample, false});
  ASSERT_TRUE(list) << list.error().text;
  expect_in_range(*plan, caps, *list);
}

TEST(Lower, SmallBindings) {
  Capabilities caps = test::baseline();
  caps.max_storage_range = 512 << 10;
  const auto plan = plan_of(test::sized_model("llama", {.vocab = 2000, .type = QuantType::F16}),
                            caps, {.context = 256, .max_chunk = 8});
  ASSERT_TRUE(plan) << plan.error().text;
  const auto list = lower(*plan, {1, 1, Ending::Sample, false});
  ASSERT_TRUE(list) << list.error().text;
  expect_in_range(*plan, caps, *list);
  EXPECT_EQ(missing_barriers(*plan, *list), std::vector<std::string>{});
}

size_t dispatches_of(const std::vector<Dispatch>& list, const std::string& scope) {
  return size_t(std::count_if(list.begin(), list.end(), [&](const Dispatch& dispatch) {
    return dispatch.label.find(scope) != std::string::npos;
  }));
}

/// Norm, qkv, rope and store, attention, output, norm, gate and up, down: eight. GPUs merge the
/// parts of a long attention; int8 activations are made where a value is not quantised by its norm.
/// Lane kernels rotate and store what they make, and leave what the next one reads: what prepares
/// it is left for the model's first norm. One column's output is that column, so none is selected.
TEST(Lower, ADenseLlamaLayerIsFewDispatches) {
  for (const Capabilities& caps : test::devices())
    for (const ActivationType activations : {ActivationType::F32, ActivationType::Q8}) {
      const auto plan = plan_of(test::sized_model("llama", {.type = QuantType::Q4_K}), caps,
                                {.activations = activations});
      ASSERT_TRUE(plan) << plan.error().text;
      const auto list = lower(*plan, {1, 1, Ending::Sample, false});
      ASSERT_TRUE(list) << list.error().text;
      const size_t merge = plan->policy.split_attention ? 1 : 0;
      const bool q8 = activations == ActivationType::Q8, feeds = q8 && plan->policy.lane;
      const size_t quantise = q8 && !feeds ? 2 : 0;
      EXPECT_EQ(dispatches_of(*list, "blk.0"), (feeds ? 6 : 8) + merge + quantise)
          << caps.device_name;
      EXPECT_EQ(dispatches_of(*list, "blk.1"), (feeds ? 5 : 8) + merge + quantise)
          << caps.device_name;
    }
}

/// The check of the barriers sees: without any one of them it finds what they keep apart.
TEST(Lower, EveryBarrierIsNeeded) {
  for (const Capabilities& caps : {test::amd(), test::lavapipe()})
    for (const test::SyntheticModel& model : test::models()) {
      const auto plan = plan_of(model, caps);
      ASSERT_TRUE(plan) << plan.error().text;
      auto list = lower(*plan, {1, 1, Ending::Sample, false});
      ASSERT_TRUE(list) << list.error().text;
      size_t barriers = 0;
      for (size_t i = 1; i < list->size(); ++i) {
        if (!(*list)[i].barrier) continue;
        ++barriers;
        (*list)[i].barrier = false;
        EXPECT_FALSE(missing_barriers(*plan, *list).empty())
            << caps.device_name << ", before " << (*list)[i].label;
        (*list)[i].barrier = true;
      }
      EXPECT_GT(barriers, 10u);
    }
}

TEST(Lower, SideBySideRowsNeedNoBarrier) {
  const auto plan =
      plan_of(test::models().back(), test::amd(), {.activations = ActivationType::F32});
  ASSERT_TRUE(plan) << plan.error().text;
  const auto list = lower(*plan, {1, 1, Ending::Sample, false});
  ASSERT_TRUE(list) << list.error().text;
  const auto v = std::find_if(list->begin(), list->end(), [](const Dispatch& dispatch) {
    return dispatch.kernel == "matvec_wide.q6_k.f32";
  });
  ASSERT_NE(v, list->end());
  EXPECT_FALSE(v->barrier);
}

TEST(Lower, IsPure) {
  const auto plan = plan_of(test::models().front(), test::amd());
  ASSERT_TRUE(plan);
  const auto a = lower(*plan, {8, 1, Ending::Sample, false});
  const auto b = lower(*plan, {8, 1, Ending::Sample, false});
  ASSERT_TRUE(a && b);
  ASSERT_EQ(a->size(), b->size());
  for (size_t i = 0; i < a->size(); ++i) {
    EXPECT_EQ((*a)[i].kernel, (*b)[i].kernel);
    EXPECT_EQ((*a)[i].constants, (*b)[i].constants);
    EXPECT_EQ((*a)[i].push, (*b)[i].push);
    EXPECT_EQ((*a)[i].barrier, (*b)[i].barrier);
  }
}

TEST(Lower, WeightBytesAreThoseOfTheMatrices) {
  const auto plan = plan_of(test::models().front(), test::amd());
  ASSERT_TRUE(plan);
  const auto list = lower(*plan, {1, 1, Ending::Sample, false});
  ASSERT_TRUE(list);
  uint64_t read = 0, held = 0;
  for (const Dispatch& dispatch : *list)
    if (dispatch.kernel.starts_with("mat")) read += dispatch.weight_bytes;
  for (const DeviceMatrix& matrix : plan->matrices) held += matrix.bytes;
  const graph::WeightId embedding = std::get<graph::Embed>(plan->graph.nodes.front().op).weight;
  EXPECT_EQ(read, held - plan->find_matrix({embedding}, false)->bytes);
}

TEST(Lower, RefusesShapesThatThePlanLacks) {
  const auto plan = plan_of(test::models().front(), test::amd(), {.max_chunk = 16});
  ASSERT_TRUE(plan);
  EXPECT_FALSE(lower(*plan, {32, 1, Ending::Sample, false}));
  EXPECT_FALSE(lower(*plan, {3, 1, Ending::Sample, false}));
  EXPECT_FALSE(lower(*plan, {0, 1, Ending::Sample, false}));
  EXPECT_FALSE(lower(*plan, {8, 2, Ending::Logits, false}));
}

}  // namespace
}  // namespace pumice
