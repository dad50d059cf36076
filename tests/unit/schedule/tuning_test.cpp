// Device profiles as text, and what they change in the policy.
#include "engine/schedule/tuning.h"

#include <gtest/gtest.h>

#include "engine/schedule/weight_layout.h"
#include "tests/unit/schedule/devices.h"

namespace pumice {
namespace {

constexpr Tuning kTuning{ActivationType::F32, 4, 2, 64};

TEST(Tuning, TextAndBack) {
  const Capabilities caps = test::amd();
  for (const Tuning& tuning : {kTuning, Tuning{}}) {
    const auto parsed = parse_profile(profile_text(caps, tuning), caps);
    ASSERT_TRUE(parsed) << parsed.error().text;
    EXPECT_TRUE(*parsed == tuning);
  }
  EXPECT_EQ(profile_name(caps), "profile-00000000000000000000000000000000.txt");
}

TEST(Tuning, EveryDamageIsFound) {
  const Capabilities caps = test::amd();
  const std::string good = profile_text(caps, kTuning);
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(parse_profile(good.substr(0, length), caps)) << length;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = char(bad[i] ^ 1);
    EXPECT_FALSE(parse_profile(bad, caps)) << i << " of\n" << bad;
  }
  EXPECT_FALSE(parse_profile(good + "x", caps));
}

TEST(Tuning, AnothersProfileIsRefusedInWords) {
  const Capabilities caps = test::amd();
  Capabilities device = caps, driver = caps, update = caps;
  device.device_uuid[3] = 7;
  driver.driver_uuid[0] = 1;
  update.driver_version += 1;
  const std::pair<std::string, const char*> rows[] = {
      {profile_text(device, kTuning), "of another device"},
      {profile_text(driver, kTuning), "of another driver"},
      {profile_text(update, kTuning), "of another driver"},
      {"# pumice device profile, version 2\n", "another version"},
      {"hello", "no device profile"},
  };
  for (const auto& [text, words] : rows) {
    const auto parsed = parse_profile(text, caps);
    ASSERT_FALSE(parsed);
    EXPECT_NE(parsed.error().text.find(words), std::string::npos) << parsed.error().text;
  }
}

TEST(Tuning, ThePolicyFollowsIt) {
  const auto kernel = [](const Capabilities& caps, const Tuning& tuning, uint32_t columns,
                         bool gate = false) {
    return choose_matrix_kernel(choose_policy(caps, {.tuning = tuning}),
                                {QuantType::Q4_K, 64, 8, columns, gate, false});
  };
  EXPECT_EQ(kernel(test::lavapipe(), {}, 1).module, "matvec_lane.q4_k.q8");
  EXPECT_EQ(kernel(test::lavapipe(), kTuning, 1).module, "matvec_lane.q4_k.f32");
  EXPECT_EQ(kernel(test::lavapipe(), kTuning, 1).tiles, 4u);
  EXPECT_EQ(kernel(test::lavapipe(), {.tiles = 1}, 1).tiles, 1u);
  EXPECT_EQ(kernel(test::lavapipe(), {.tiles = 1}, 1, true).tiles, 2u) << "gate and up go together";
  EXPECT_EQ(kernel(test::lavapipe(), kTuning, 8).cols, 2u);
  EXPECT_EQ(kernel(test::lavapipe(), kTuning, 1).cols, 1u);
  EXPECT_TRUE(kernel(test::amd(), {}, 32).tiled);
  EXPECT_FALSE(kernel(test::amd(), kTuning, 32).tiled);
  EXPECT_TRUE(kernel(test::amd(), kTuning, 64).tiled);
  EXPECT_EQ(kernel(test::amd(), kTuning, 1).tiles, 2u) << "more would spill there";
  // What is asked for goes before what was measured.
  const Policy asked =
      choose_policy(test::lavapipe(), {.activations = ActivationType::Q8, .tuning = kTuning});
  EXPECT_TRUE(asked.q8);
  EXPECT_NE(describe(asked).find("tuned"), std::string::npos);
}

}  // namespace
}  // namespace pumice
