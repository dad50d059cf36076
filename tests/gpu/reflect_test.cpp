// What the reflector learns from real modules, and that it survives broken ones.
#include <algorithm>
#include <random>

#include "engine/vk/spirv_reflect.h"
#include "tests/gpu/test_kernels.h"

namespace pumice::vk {
namespace {

ShaderInfo reflect(const char* kernel) {
  const auto info = reflect_shader(find_test_kernel(kernel)->spirv);
  EXPECT_TRUE(info) << info.error().text;
  return info ? *info : ShaderInfo{};
}

TEST(ReflectTest, BindingsByNumberAndKind) {
  const ShaderInfo info = reflect("shapes");
  EXPECT_EQ(info.entry_point, "main");
  ASSERT_EQ(info.bindings.size(), 3u);
  EXPECT_EQ(info.bindings[0].binding, 2u);
  EXPECT_EQ(info.bindings[0].kind, BindingKind::StorageBuffer);
  EXPECT_TRUE(info.bindings[0].writable);
  EXPECT_EQ(info.bindings[1].binding, 4u);
  EXPECT_FALSE(info.bindings[1].writable);
  EXPECT_EQ(info.bindings[2].binding, 9u);
  EXPECT_EQ(info.bindings[2].kind, BindingKind::TexelUint);
}

TEST(ReflectTest, TexelTypes) {
  const ShaderInfo info = reflect("texel");
  ASSERT_EQ(info.bindings.size(), 4u);
  EXPECT_EQ(info.bindings[0].kind, BindingKind::TexelUint);
  EXPECT_EQ(info.bindings[1].kind, BindingKind::TexelFloat);
  EXPECT_EQ(info.bindings[2].kind, BindingKind::TexelInt);
  EXPECT_FALSE(info.bindings[2].image);
  EXPECT_EQ(info.bindings[3].kind, BindingKind::StorageBuffer);
}

TEST(ReflectTest, StorageTexelTypes) {
  const ShaderInfo info = reflect("image");
  ASSERT_EQ(info.bindings.size(), 4u);
  EXPECT_EQ(info.bindings[0].kind, BindingKind::TexelUint);
  EXPECT_EQ(info.bindings[1].kind, BindingKind::TexelFloat);
  EXPECT_EQ(info.bindings[2].kind, BindingKind::TexelInt);
  for (const ShaderBinding& binding : info.bindings) {
    EXPECT_TRUE(binding.image) << binding.binding;
    EXPECT_EQ(binding.writable, binding.binding == 3) << binding.binding;
  }
}

/// std430: first at 0, inner at 16 (vec3, float, uint[3] = 28, padded to 32), m at 48 (3 columns of
/// 16), last at 96.
TEST(ReflectTest, PushConstantSize) {
  EXPECT_EQ(reflect("shapes").push_bytes, 100u);
  EXPECT_EQ(reflect("fill").push_bytes, 8u);
  EXPECT_EQ(reflect("nothing").push_bytes, 0u);
}

TEST(ReflectTest, LocalSizeAndConstants) {
  const ShaderInfo info = reflect("shapes");
  using Size = std::array<uint32_t, 3>;
  EXPECT_EQ(info.local_size, (Size{8, 1, 2}));
  EXPECT_EQ(info.local_size_id, (Size{ShaderInfo::kFixed, 3, ShaderInfo::kFixed}));
  const std::vector<uint32_t> constants{0, 0, 0, 32};
  EXPECT_EQ(info.local_size_with(constants), (Size{8, 32, 2}));
  EXPECT_EQ(info.local_size_with({}), (Size{8, 1, 2}));
  ASSERT_EQ(info.constants.size(), 3u);
  EXPECT_EQ(info.constants[0].id, 1u);
  EXPECT_EQ(info.constants[0].default_value, 5u);
  EXPECT_EQ(info.constants[1].id, 3u);
  EXPECT_EQ(info.constants[2].id, 7u);
  EXPECT_EQ(info.constants[2].default_value, 1u);
  EXPECT_EQ(reflect("add").local_size, (Size{64, 1, 1}));
}

TEST(ReflectTest, Capabilities) {
  const auto has = [](const ShaderInfo& info, uint32_t number) {
    return std::count(info.capabilities.begin(), info.capabilities.end(), number) == 1;
  };
  EXPECT_TRUE(has(reflect("half"), 9));
  EXPECT_FALSE(has(reflect("add"), 9));
  EXPECT_TRUE(has(reflect("add"), 1));
}

TEST(ReflectTest, EveryTruncationIsAnError) {
  const auto spirv = find_test_kernel("shapes")->spirv;
  size_t whole = 0;
  for (size_t words = 0; words <= spirv.size(); ++words) {
    const auto info = reflect_shader(spirv.first(words));
    if (info) {
      ++whole;
      EXPECT_EQ(info->bindings.size(), 3u) << words;
    } else {
      EXPECT_NE(info.error().text, "");
    }
  }
  // Only cuts behind the start of the first function leave the declarations whole.
  EXPECT_GT(whole, 0u);
  EXPECT_LT(whole, spirv.size() / 2);
}

TEST(ReflectTest, BitFlipsNeverCrash) {
  const auto spirv = find_test_kernel("shapes")->spirv;
  std::mt19937 random(1);
  size_t refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<uint32_t> broken(spirv.begin(), spirv.end());
    for (int flips = 0; flips < 3; ++flips)
      broken[random() % broken.size()] ^= uint32_t(1) << (random() % 32);
    refused += reflect_shader(broken) ? 0 : 1;
  }
  EXPECT_GT(refused, 100u);
}

TEST(ReflectTest, IdBoundIsHeldAgainstTheSize) {
  const auto spirv = find_test_kernel("add")->spirv;
  std::vector<uint32_t> broken(spirv.begin(), spirv.end());
  broken[3] = 0xFFFFFFFFu;
  const auto refused = reflect_shader(broken);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("more ids than words"), std::string::npos);
}

}  // namespace
}  // namespace pumice::vk
