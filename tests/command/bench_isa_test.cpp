// `pumice bench isa`: its flags. What it measures is compared by the tests isa/GPU.
#include <gtest/gtest.h>

#include <string>

#include "bench_support.h"
#include "shell.h"

namespace pumice::test {
namespace {

using BenchIsa = BenchCommand;

TEST_F(BenchIsa, IsaTables) {
  expect_failure("isa --gpu GFX1100 --update", 2, "--update needs --table");
  expect_failure("isa --gpu GFX9999", 2, "GFX1100");
}

}  // namespace
}  // namespace pumice::test
