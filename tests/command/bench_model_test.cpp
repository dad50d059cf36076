// `pumice bench model` as a user meets it: tiny synthetic models, measured or written. Nothing here
// depends on how fast the machine is.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench_support.h"
#include "shell.h"

namespace pumice::test {
namespace {

using nlohmann::json;

const std::string kTiny = "layers=2,width=256,heads=4,kv=2,ff=512,vocab=320";

TEST(BenchSynthetic, RefusesInOneLine) {
  const Folder folder;
  const std::pair<const char*, const char*> rows[] = {
      {"1B", "no SHAPE:TYPE"},
      {"9000B:q4_k_m", "1B"},
      {"1B:q9", "Q4_K_M"},
      {"layers=2,width=256:q4_k_m", "heads"},
      {"layers=2,width=256,heads=4,kv=3:q4_k_m", "share"},
      {"layers=2,width=250,heads=4:q4_k_m", "width=250"},
      {"layers=2,width=256,heads=x:q4_k_m", "heads=x"},
      {"layers=2,width=256,heads=4,depth=3:q4_k_m", "depth"},
  };
  for (const auto& [spec, says] : rows)
    expect_one_line(shell(folder, fmt::format("@ bench model --synthetic '{}'", spec)), 2, says);
  expect_one_line(shell(folder, "@ bench model -p 0 -n 0 --synthetic 1B:q4_k_m"), 2, "nothing");
  expect_one_line(shell(folder, "@ bench model --write x --synthetic 1B:iq3_s"), 1, "iq3_s");
}

TEST(BenchSynthetic, TheSameBytesEveryTime) {
  const Folder folder;
  std::string first;
  for (const char* name : {"a.gguf", "b.gguf"}) {
    const Ran ran = shell(folder, fmt::format("@ bench model --synthetic {}:q4_k_m --write {}",
                                              kTiny, folder.file(name)));
    ASSERT_EQ(ran.exit, 0) << ran.err;
    const std::string bytes = content(folder.file(name));
    if (first.empty()) first = bytes;
    EXPECT_TRUE(bytes == first);
  }
  const Ran info = shell(folder, "@ info --json -m " + folder.file("a.gguf"));
  ASSERT_EQ(info.exit, 0) << info.err;
  EXPECT_NE(info.out.find("q6_k"), std::string::npos) << "the mix's rules were not followed";
}

class BenchModel : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_device(folder)) GTEST_SKIP() << "no Vulkan device is here";
  }
  [[nodiscard]] Ran bench(const std::string& flags) const {
    return shell(folder, fmt::format("@ bench model --synthetic {}:q4_k_m {}", kTiny, flags));
  }
  Folder folder;
};

TEST_F(BenchModel, JsonHoldsEveryRowAndWhatItRanOn) {
  const Ran ran = bench("-p 16 -n 4 -d 0,40 -b 1,3 -r 2 --starts 1 --no-roof --json");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json got = json::parse(ran.out);
  EXPECT_EQ(got["schema"], "pumice-bench");
  EXPECT_EQ(got["version"], 1);
  std::vector<std::string> names;
  for (const json& row : got["rows"]) names.push_back(row["name"]);
  EXPECT_EQ(names, (std::vector<std::string>{"pp16", "tg4", "tg4 x 3 sequences", "pp16 @ d40",
                                             "tg4 @ d40", "tg4 x 3 sequences @ d40",
                                             "first token, cold", "first token, warm"}));
  for (const json& row : got["rows"]) {
    const bool start = row["unit"] == "ms";
    EXPECT_EQ(row["samples"].size(), start ? 1u : 2u);
    EXPECT_GT(row["median"].get<double>(), 0);
    if (start) continue;
    EXPECT_GT(row["host_us_per_token"]["median"].get<double>(), 0);
    EXPECT_GT(row["flops_per_token"].get<double>(), 0);
    ASSERT_TRUE(row["gpu"].contains("clock"));
    if (got["device"]["timestamps"] == true) {
      double shares = 0;
      for (const json& family : row["gpu"]["families"]) shares += family["share"].get<double>();
      EXPECT_NEAR(shares, 1, 1e-6);
    }
  }
  // What follows from the shape alone: f16 keys and values, 42.5 positions on average.
  const json& deep = got["rows"][4];
  EXPECT_NEAR(deep["cache_bytes_per_step"].get<double>(), 2 * 2 * 2 * 64 * 2 * 42.5, 1);
  const double matrices = 2 * (2 * 256. * 256 + 2 * 128. * 256 + 3 * 512. * 256) + 320. * 256;
  EXPECT_NEAR(deep["flops_per_token"].get<double>(), 2 * matrices + 2 * (2 * 4 * 128 * 42.5), 1);
  for (const char* key : {"processor", "threads", "system"})
    EXPECT_TRUE(got["machine"].contains(key)) << key;
  for (const char* key : {"version", "commit", "compiler", "type"})
    EXPECT_FALSE(got["build"][key].get<std::string>().empty()) << key;

  const std::string file = folder.write("r.json", ran.out);
  const Ran same = shell(folder, fmt::format("@ bench compare {0} {0}", file));
  EXPECT_EQ(same.exit, 0) << same.err;
}

TEST_F(BenchModel, TablesAreTables) {
  const Ran csv = bench("-p 0 -n 2 -r 1 --starts 0 --no-roof --csv");
  ASSERT_EQ(csv.exit, 0) << csv.err;
  EXPECT_EQ(csv.out.rfind("test,unit,n,median,", 0), 0u) << csv.out;
  EXPECT_NE(csv.out.find("\ntg2,tokens/s,1,"), std::string::npos) << csv.out;
  const Ran md = bench("-p 0 -n 2 -r 1 --starts 0 --md --no-kernels --no-roof");
  ASSERT_EQ(md.exit, 0) << md.err;
  EXPECT_EQ(md.out.rfind("| test", 0), 0u) << md.out;
  EXPECT_NE(md.out.find("\n| tg2"), std::string::npos) << md.out;
}

TEST_F(BenchModel, InterleavesWithAnotherProgram) {
  const Ran ran = bench("-p 0 -n 2 -r 3 --json --interleave 'echo q4_0 1000000'");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json got = json::parse(ran.out);
  EXPECT_EQ(got["kind"], "interleave");
  ASSERT_EQ(got["rows"].size(), 3u);
  EXPECT_EQ(got["rows"][1]["samples"], json(std::vector<double>(3, 1e6)));
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(got["rows"][2]["samples"][i].get<double>(),
                got["rows"][0]["samples"][i].get<double>() / 1e6, 1e-12);
  expect_one_line(bench("-p 0 -n 2 --interleave 'exit 5'"), 1, "exit code 5");
  expect_one_line(bench("-p 0 -n 2 --interleave 'echo none'"), 1, "no number");
  expect_one_line(bench("-p 8 -n 2 --interleave 'echo 1'"), 2, "one row");
}

TEST_F(BenchModel, RefusesInOneLine) {
  expect_one_line(shell(folder, "@ bench model -m /nonexistent"), 1, "/nonexistent");
  expect_one_line(bench("--device nonsense --starts 0"), 1, "nonsense");
  expect_one_line(bench("--csv --json"), 2, "--");
}

}  // namespace
}  // namespace pumice::test
