// `pumice bench shader`: a shader that runs, and every mistake in one line.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "bench_support.h"
#include "shell.h"

namespace pumice::test {
namespace {

using nlohmann::json;

using BenchShader = BenchCommand;

const std::string kScale = R"(#version 450
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TURNS = 1;
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { float scale; uint count; };
void main() {
  uint i = gl_GlobalInvocationID.x;
  float sum = 0.0;
  for (uint turn = 0; turn < TURNS; ++turn) sum = sum * 0.5 + x[i % count] * scale;
  y[i % count] = sum;
}
)";

TEST_F(BenchShader, ShaderOfOnesOwn) {
  if (!device()) GTEST_SKIP() << "no Vulkan device is here";
  const std::string file = folder.write("scale it's.comp", kScale);
  const Ran ran =
      bench(fmt::format("shader {} --once --json --push 2.5,4096 --groups 64 "
                        "--buffers 16KiB:random,16KiB --operations 4096 {}",
                        quoted(file), kQuick));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json all = json::parse(ran.out);
  EXPECT_EQ(all["kind"], "shader");
  check_roof(all["roof"]);
  const json& row = all["rows"][0];
  EXPECT_EQ(row["name"], file);
  EXPECT_GT(row["gigabytes_per_second"].get<double>(), 0.0);
  EXPECT_NEAR(row["flops_per_byte"].get<double>(), 4096.0 / 32768, 1e-12);
}

TEST_F(BenchShader, ShaderMistakesHaveAPlaceAndWords) {
  const std::string broken =
      folder.write("broken.comp", "#version 450\nvoid main() {\n  x = 1;\n}\n");
  expect_failure("shader --once " + broken, 1, broken + ":3: error:");
  expect_failure("shader --once " + folder.file("absent.comp"), 1, "there is no such file");
  const std::string fine = folder.write("fine.comp", kScale);
  expect_failure("shader --once " + fine + " --buffers 4096", 1, "binds 2 buffers");
  expect_failure("shader --once " + fine + " --buffers 4096,4Mb", 2, "\"4Mb\" is no size");
  expect_failure("shader --once " + fine + " --groups 1x0", 2, "64x16x2 were expected");
  expect_failure("shader --once " + fine + " --push 1,two", 2, "\"two\" is no number");
  expect_failure("shader --once " + fine + " --bytes -1", 2, "no less than 0");
  // What a later save cannot mend is not waited for.
  expect_failure("shader " + fine + " --push 1,two", 2, "\"two\" is no number");
  expect_failure("shader " + folder.file("absent.comp"), 1, "there is no such file");
  if (!device()) GTEST_SKIP() << "no Vulkan device is here";
  const std::string quick = fmt::format(" --buffers 4096,4096 {}", kQuick);
  expect_failure("shader --once " + fine + quick, 1, "push constants");
  expect_failure("shader --once " + fine + quick +
                     " --push 1.0,1024 --constants 20000 --groups 30000 --watchdog 5",
                 1, "would last about");
}

// Saved with a mistake, mended, taken away and brought back; a signal ends it.
TEST_F(BenchShader, ShaderIsTimedAgainWheneverItIsSaved) {
  if (!device()) GTEST_SKIP() << "no Vulkan device is here";
  const std::string file = folder.write("s.comp", kScale);
  const std::string script = fmt::format(
      "@ bench shader {0} --csv --push 1.0,1024 --buffers 4096,4096 {1} >{2} 2>{3} & p=$!\n"
      "reach() {{ for i in $(seq 200); do [ $(grep -c \"$1\" $2) -ge $3 ] && return; sleep 0.1; "
      "done; echo \"not reached: $1\" >&2; }}\n"
      "cp {0} {0}.fine\n"
      "reach ^shader,us {2} 1; sleep 0.3; echo mistake >>{0}\n"
      "reach error: {3} 1; sleep 0.3; cp {0}.fine {0}\n"
      "reach ^shader,us {2} 2; sleep 0.3; rm {0}\n"
      "reach 'no such file' {3} 1; sleep 0.3; cp {0}.fine {0}\n"
      "reach ^shader,us {2} 3; kill -TERM $p; wait $p",
      file, kQuick, folder.file("times"), folder.file("words"));
  const Ran ran = shell(folder, script);
  EXPECT_EQ(ran.exit, 0) << content(folder.file("words"));
  EXPECT_EQ(ran.err, "") << content(folder.file("words"));
}

}  // namespace
}  // namespace pumice::test
