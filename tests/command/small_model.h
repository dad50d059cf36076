// The small real model that tests of the command run, and what they share around it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "shell.h"

namespace pumice::test {

/// 260,000 weights in f32; rows of 64 and 172, so super-blocks of 256 fit none of them.
extern const std::string kSmallModel;

/// So many sentences, no two of them alike: text for statistics.
[[nodiscard]] std::string story(int lines);

/// Skipped where the model or a device to run it on is missing.
class SmallModelTest : public testing::Test {
 protected:
  void SetUp() override;
  /// `arguments` start with the subcommand.
  [[nodiscard]] Ran pumice(const std::string& arguments) const {
    return shell(folder_, "@ " + arguments);
  }
  const Folder folder_;
};

}  // namespace pumice::test
