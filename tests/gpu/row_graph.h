// What tests of rows share: a device under validation, and a comparison that fails a test.
#pragma once

#include "engine/vk/hooks.h"
#include "tests/gpu/test_kernels.h"
#include "tests/rows/graph_runner.h"

namespace pumice::test {

/// The device of a test program: under validation, with the engine's kernels, opened once because
/// it keeps the pipelines that rows share. Any message since the last test fails the next check.
class RowTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;  ///< fails on validation messages

  [[nodiscard]] static vk::Device& device();
  /// A fresh device on SwiftShader, whose pipelines take much memory until their device is closed:
  /// tests of many pipelines call this in between. Does nothing on other drivers.
  static void release_pipelines();
  [[nodiscard]] static bool is_swiftshader();
};

/// Fails, saying `row`, when a bound is broken.
void expect_close(const std::string& row, const reference::Matrix& actual,
                  const reference::Matrix& expected, const Tolerance& tolerance);

}  // namespace pumice::test
