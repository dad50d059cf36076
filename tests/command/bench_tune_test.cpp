// `pumice bench tune`: a profile is written, read by the engine, and not believed when damaged.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "bench_support.h"
#include "shell.h"

namespace pumice::test {
namespace {

using nlohmann::json;

using BenchTune = BenchCommand;

TEST_F(BenchTune, TuneWritesAProfileThatTheEngineReads) {
  if (!device()) GTEST_SKIP() << "no Vulkan device is here";
  const std::string flags = "tune --size 256 --seconds 0.02 --walk 1";
  const Ran dry = bench(flags + " --dry-run");
  ASSERT_EQ(dry.exit, 0) << dry.err;
  EXPECT_EQ(dry.out.find("profile: "), std::string::npos);
  const Ran ran = bench(flags + " --json --folder " + folder.file("cache/pumice"));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json all = json::parse(ran.out);
  std::map<std::string, int> chosen;
  for (const json& choice : all["subject"]["choices"])
    chosen[choice["axis"]] += choice["chosen"].get<bool>() ? 1 : 0;
  EXPECT_GE(chosen.size(), 3u);
  for (const auto& [axis, times] : chosen) EXPECT_EQ(times, 1) << axis;

  const std::string model =
      "@ bench model --synthetic layers=1,width=256,heads=4,ff=256,vocab=320:q4_0 -p 0 -n 1 -r 1 "
      "--starts 2 --no-roof --no-kernels --md";
  const Ran quiet = shell(folder, model);
  EXPECT_EQ(quiet.exit, 0);
  EXPECT_EQ(quiet.err, "");
  const Ran damaged = shell(folder, "sed -i s/tiles/tulips/ " + folder.file("cache/pumice") +
                                        "/profile-*.txt && " + model);
  EXPECT_EQ(damaged.exit, 0) << damaged.err;
  EXPECT_NE(damaged.err.find("damaged"), std::string::npos) << damaged.err;
  EXPECT_EQ(std::count(damaged.err.begin(), damaged.err.end(), '\n'), 1) << damaged.err;
}

}  // namespace
}  // namespace pumice::test
