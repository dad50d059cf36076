// Each way in which a dispatch can be wrong, with the words that say so. No device needed.
#include "engine/vk/dispatch_check.h"

#include <gtest/gtest.h>

#include <functional>

namespace pumice::vk {
namespace {

constexpr BufferId kBuffer = 3;
constexpr uint64_t kBytes = 1 << 20;

Capabilities device() {
  Capabilities caps;
  caps.device_name = "Test GPU";
  caps.max_storage_range = 1 << 16;
  caps.max_texel_elements = 256;
  caps.storage_alignment = 64;
  caps.texel_alignment = 4;
  caps.max_workgroup_count = {65535, 65535, 16};
  return caps;
}

ShaderInfo shader() {
  ShaderInfo info;
  info.bindings = {{0, BindingKind::TexelUint, false}, {2, BindingKind::StorageBuffer, true}};
  info.push_bytes = 8;
  return info;
}

Dispatch good() {
  Dispatch dispatch;
  dispatch.kernel = "matvec";
  dispatch.label = "layer 3 q";
  dispatch.bindings = {{kBuffer, 16, 4096}, {}, {kBuffer, 128, 65536}};
  dispatch.push = {1, 2, 3};
  dispatch.groups = {65535, 1, 16};
  return dispatch;
}

std::string refusal(const std::function<void(Dispatch&)>& spoil) {
  Dispatch dispatch = good();
  spoil(dispatch);
  const BufferBytes bytes_of = [](BufferId id) -> std::optional<uint64_t> {
    if (id == kBuffer) return kBytes;
    return std::nullopt;
  };
  const auto fine = check_dispatch(dispatch, shader(), device(), bytes_of);
  return fine ? "" : fine.error().text;
}

TEST(DispatchCheckTest, GoodOnePasses) {
  EXPECT_EQ(refusal([](Dispatch&) {}), "");
}

struct Row {
  const char* name;
  void (*spoil)(Dispatch&);
  const char* words;
};

class DispatchRefusal : public testing::TestWithParam<Row> {};

TEST_P(DispatchRefusal, SaysWhatIsWrong) {
  const std::string text = refusal(GetParam().spoil);
  EXPECT_NE(text.find(GetParam().words), std::string::npos) << text;
  EXPECT_NE(text.find("dispatch of matvec (layer 3 q)"), std::string::npos) << text;
}

const Row kRows[] = {
    {"MissingBinding", [](Dispatch& d) { d.bindings.resize(2); }, "has 2 bindings"},
    {"NoBuffer", [](Dispatch& d) { d.bindings[2] = {}; }, "there is no buffer"},
    {"UnknownBuffer", [](Dispatch& d) { d.bindings[0].buffer = 9; }, "there is no buffer 9"},
    {"PastTheEnd", [](Dispatch& d) { d.bindings[0].offset = kBytes - 16; },
     "of a buffer of 1048576 bytes"},
    {"Overflow", [](Dispatch& d) { d.bindings[0].offset = UINT64_MAX - 15; }, "of a buffer of"},
    {"Empty", [](Dispatch& d) { d.bindings[2].bytes = 0; }, "0 bytes at offset 128"},
    {"StorageAlignment", [](Dispatch& d) { d.bindings[2].offset = 32; }, "not a multiple of 64"},
    {"TexelAlignment", [](Dispatch& d) { d.bindings[0].offset = 8; }, "not a multiple of 16"},
    {"StorageRange", [](Dispatch& d) { d.bindings[2].bytes = 65537; }, "Test GPU allows 65536"},
    {"TexelCount", [](Dispatch& d) { d.bindings[0].bytes = 4097; }, "257 texels"},
    {"FewPushWords", [](Dispatch& d) { d.push.resize(1); }, "4 bytes of push constants"},
    {"GroupsX", [](Dispatch& d) { d.groups[0] = 65536; }, "65536 x 1 x 16 work groups"},
    {"GroupsZ", [](Dispatch& d) { d.groups[2] = 17; }, "65535 x 1 x 17 work groups"},
    {"IndirectBuffer", [](Dispatch& d) { d.indirect.buffer = 4; }, "indirect group counts"},
    {"IndirectOffset",
     [](Dispatch& d) {
       d.indirect = {kBuffer, 2, 12};
     },
     "not a multiple of 4"},
    {"IndirectEnd",
     [](Dispatch& d) {
       d.indirect = {kBuffer, kBytes - 8, 12};
     },
     "12 bytes at"},
};

INSTANTIATE_TEST_SUITE_P(Rows, DispatchRefusal, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace pumice::vk
