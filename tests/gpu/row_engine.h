// Whole models through the engine, and how far their logits lie from a reference.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/session/engine.h"
#include "tests/gpu/test_kernels.h"
#include "tests/reference/reference.h"
#include "tests/unit/model/oracle.h"

namespace pumice::test {

/// A precision and what it may cost.
struct Precision {
  const char* name;
  ActivationType activations;
  CacheFormat cache;
};
inline constexpr Precision kExact{"f32/f32", ActivationType::F32, CacheType::F32};
inline constexpr Precision kFast{"q8/f16", ActivationType::Q8, CacheType::F16};
inline constexpr double kFastLimit = 5e-4;

class ModelTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = vk::missing_driver(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

/// Also skips where the reference models are absent.
class OracleTest : public ModelTest {
 protected:
  void SetUp() override {
    ModelTest::SetUp();
    if (!IsSkipped() && !oracle_has("archs"))
      GTEST_SKIP() << "no reference models at " << PUMICE_ORACLE_DIR;
  }
};

[[nodiscard]] inline LoadOptions load_options(const std::string& model,
                                              const Precision& precision) {
  LoadOptions options;
  options.model = model;
  options.run.context = 256;
  options.run.max_chunk = 64;
  options.run.max_outputs = 32;
  options.run.activations = precision.activations;
  options.run.cache = precision.cache;
  return options;
}

/// With and without the kernels for CPU drivers, where the driver can run them.
[[nodiscard]] inline std::vector<bool> texel_choices() {
  const auto devices = vk::list_devices();
  const bool lane = devices && !devices->empty() && choose_policy(devices->front().caps, {}).lane;
  return lane ? std::vector<bool>{true, false} : std::vector<bool>{true};
}

[[nodiscard]] inline std::vector<int32_t> signed_ids(std::span<const uint32_t> tokens) {
  return {tokens.begin(), tokens.end()};
}

/// Logits of tokens [first_output, n) of a fresh sequence.
[[nodiscard]] inline Result<std::vector<float>> logits_of(Engine& engine,
                                                          std::span<const int32_t> tokens,
                                                          uint32_t first_output,
                                                          uint32_t sequence = 0) {
  engine.rewind(sequence, 0);
  PUMICE_TRY(engine.append(sequence, tokens.first(first_output)));
  return engine.logits(sequence, tokens.subspan(first_output));
}

}  // namespace pumice::test
