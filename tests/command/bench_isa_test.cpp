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
  expect_failure("isa --gpu GFX1100 --table " + folder.file("absent.tsv"), 1, "absent.tsv");
  const std::string text = folder.write("text.tsv", "one\ntwo\n");
  expect_failure("isa --gpu GFX1100 --table " + text, 1, "the first line is \"one\"");
  const std::string other =
      folder.write("other.tsv", "# pumice bench isa, version 1\n# gpu NAVI21\n# driver d\n");
  expect_failure("isa --gpu GFX1100 --table " + other, 1, "a table of NAVI21");
}

}  // namespace
}  // namespace pumice::test
