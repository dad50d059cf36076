// What the policy picks on invented devices, and what masks change.
#include "engine/schedule/policy.h"

#include <gtest/gtest.h>

#include "engine/schedule/dispatch.h"
#include "tests/unit/schedule/devices.h"

namespace pumice {
namespace {

using test::devices;

struct PolicyRow {
  const char* what;
  Capabilities caps;
  RunOptions options;
  bool lane, q8, dot8, tiled, fp16, split;
};

TEST(Policy, OnKnownDevices) {
  const RunOptions plain, f32{.activations = ActivationType::F32},
      q8{.activations = ActivationType::Q8}, same{.deterministic = true};
  const PolicyRow rows[] = {
      // what, device, options, lane, q8, dot8, tiled, fp16, split
      {"AMD", test::amd(), plain, false, true, true, true, true, true},
      {"AMD, f32", test::amd(), f32, false, false, true, true, false, true},
      {"AMD, int8 everywhere", test::amd(), q8, false, true, true, false, false, true},
      {"AMD, deterministic", test::amd(), same, false, true, true, false, false, true},
      {"NVIDIA", test::nvidia(), plain, false, true, true, true, true, true},
      {"Intel", test::intel(), plain, false, true, true, true, true, true},
      {"baseline", test::baseline(), plain, false, false, false, true, false, true},
      {"baseline, int8", test::baseline(), q8, false, true, false, false, false, true},
      {"lavapipe", test::lavapipe(), plain, true, true, false, false, false, false},
      {"lavapipe, f32", test::lavapipe(), f32, true, false, false, false, false, false},
      {"SwiftShader", test::swiftshader(), plain, false, true, true, true, false, false},
  };
  for (const PolicyRow& row : rows) {
    SCOPED_TRACE(row.what);
    const Policy policy = choose_policy(row.caps, row.options);
    EXPECT_EQ(policy.lane, row.lane);
    EXPECT_EQ(policy.texel, row.lane);
    EXPECT_EQ(policy.q8, row.q8);
    EXPECT_EQ(policy.dot8, row.dot8);
    EXPECT_EQ(policy.tiled, row.tiled);
    EXPECT_EQ(policy.fp16, row.fp16);
    EXPECT_EQ(policy.split_attention, row.split);
  }
}

TEST(Policy, PromptsShareWhatAttentionReads) {
  const Policy lane = choose_policy(test::lavapipe(), {}), amd = choose_policy(test::amd(), {});
  EXPECT_EQ(attention_queries(lane, {512, 1, 64, 16}), 8u);
  EXPECT_EQ(attention_queries(lane, {512, 0, 128, 16}), 4u) << "as registers allow";
  EXPECT_EQ(attention_queries(lane, {512, 1, 256, 16}), 1u);
  EXPECT_EQ(attention_queries(lane, {1, 1, 64, 16}), 1u) << "decode";
  EXPECT_EQ(attention_queries(lane, {8, 8, 64, 16}), 1u) << "a sequence each";
  EXPECT_EQ(attention_queries(lane, {512, 1, 64, 512}), 2u) << "lavapipe's limit of loops";
  EXPECT_EQ(attention_queries(amd, {512, 1, 64, 16}), 1u) << "another kernel";
}

TEST(Policy, MasksTakeTiersAway) {
  const auto with = [](const Capabilities& caps, const CapabilityMask& mask) {
    return choose_policy(masked(caps, mask), {});
  };
  EXPECT_FALSE(with(test::amd(), {.fp16 = true}).fp16);
  EXPECT_TRUE(with(test::amd(), {.fp16 = true}).tiled);
  EXPECT_FALSE(with(test::amd(), {.dot8 = true}).dot8);
  EXPECT_FALSE(with(test::amd(), {.dot8 = true}).q8) << "int8 pays only with the instruction";
  EXPECT_FALSE(with(test::lavapipe(), {.subgroup = true}).lane);
  EXPECT_FALSE(with(test::lavapipe(), {.texel = true}).lane);
  EXPECT_FALSE(with(test::lavapipe(), {.texel = true}).texel);
  const Policy least = with(test::lavapipe(), {true, true, true, true, true});
  EXPECT_FALSE(least.lane || least.texel || least.q8 || least.dot8 || least.fp16);
}

TEST(Policy, LimitsAndAlignment) {
  for (const Capabilities& caps : devices()) {
    SCOPED_TRACE(caps.device_name);
    const Policy policy = choose_policy(caps, {});
    EXPECT_EQ(policy.alignment % caps.storage_alignment, 0u);
    EXPECT_EQ(policy.alignment % caps.texel_alignment, 0u);
    EXPECT_LE(policy.arena_bytes, caps.max_allocation);
    EXPECT_LE(policy.matrix_binding_bytes, policy.arena_bytes);
    if (!policy.lane) {
      EXPECT_LE(policy.matrix_binding_bytes, caps.max_storage_range);
    }
    if (policy.lane) {
      EXPECT_LE(policy.matrix_binding_bytes, caps.max_texel_elements * kUnitBytes);
    }
  }
}

TEST(Policy, CacheTypeIsWhatWasAsked) {
  EXPECT_EQ(choose_policy(test::amd(), {}).cache, CacheFormat(CacheType::F16));
  const CacheFormat mixed{CacheType::Q8_0, CacheType::Q4_0, true};
  EXPECT_EQ(choose_policy(test::amd(), {.cache = mixed}).cache, mixed);
}

/// Whatever the policy picks is in this build, in the form that prepare can make.
TEST(Policy, EveryChoiceIsAModuleOfThisBuild) {
  for (const Capabilities& caps : devices())
    for (const ActivationType act : {ActivationType::Auto, ActivationType::F32, ActivationType::Q8})
      for (const WeightLayout& layout : weight_layouts())
        for (const uint32_t columns : {1u, 2u, 3u, 4u, 5u, 8u, 16u, 512u})
          for (const bool gate : {false, true})
            for (const bool experts : {false, true}) {
              const Policy policy = choose_policy(caps, {.activations = act});
              const MatrixKernel kernel =
                  choose_matrix_kernel(policy, {layout.type, 64, 8, columns, gate, experts});
              ASSERT_NE(find_kernel(kernel.module), nullptr) << kernel.module;
              EXPECT_EQ(kernel.module.find("matvec_lane") == 0, policy.lane) << kernel.module;
              if (kernel.tiled) continue;
              EXPECT_TRUE(kernel.tiles == 4 || kernel.tiles == 2 || (kernel.tiles == 1 && !gate))
                  << kernel.module;
              EXPECT_LE(kernel.cols, experts ? 1u : 8u);
              if (act == ActivationType::F32) {
                EXPECT_EQ(kernel.x_format, XFormat::F32);
              }
            }
}

/// Lane kernels need eight lanes that each fetch a row: GPUs never get them.
TEST(Policy, GpusNeverGetLaneKernels) {
  for (Capabilities caps : devices()) {
    caps.is_cpu = false;
    caps.subgroup_size = 8;
    EXPECT_FALSE(choose_policy(caps, {}).lane) << caps.device_name;
  }
}

TEST(Policy, IsDescribedInWords) {
  EXPECT_EQ(describe(choose_policy(test::baseline(), {.cache = CacheType::F32})),
            "workgroup kernels with tiles for prompts, f32 activations, f32 cache");
  EXPECT_EQ(describe(choose_policy(test::lavapipe(), {})),
            "row-per-lane kernels, int8 activations, f16 cache");
  EXPECT_EQ(describe(CacheFormat(CacheType::Q8_0)), "q8_0");
  EXPECT_EQ(describe(CacheFormat(CacheType::Q4_0, CacheType::F16, true)),
            "rotated q4_0 K and f16 V");
}

}  // namespace
}  // namespace pumice
