// `pumice quantize --budget` on a small real model: the size is kept, the files are written and
// read again, and what makes no sense is refused before the work.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "small_model.h"

namespace pumice::test {
namespace {

using nlohmann::json;

class Budget : public SmallModelTest {
 protected:
  [[nodiscard]] Ran quantize(const std::string& arguments) const {
    return pumice(fmt::format("quantize {} {} {}", kSmallModel, quoted(out_), arguments));
  }
  void refuses(const std::string& arguments, int exit, const std::string& words) const {
    const Ran ran = quantize(arguments);
    EXPECT_EQ(ran.exit, exit) << arguments << ": " << ran.err;
    EXPECT_NE(ran.err.find(words), std::string::npos) << arguments << ": " << ran.err;
    EXPECT_FALSE(std::filesystem::exists(out_)) << arguments;
  }
  const std::string out_ = folder_.file("out.gguf");
  const std::string text_ = quoted(folder_.write("text", story(12)));
};

TEST_F(Budget, MeasuresOnceAndKeepsEverySize) {
  const std::string measured = folder_.file("measured.json");
  const Ran first = quantize(
      fmt::format("--budget 7bpw --calibration {} -c 32 --chunks 1 --sensitivity fast --json "
                  "--sensitivity-file {} --pareto {}",
                  text_, quoted(measured), quoted(folder_.file("front.svg"))));
  ASSERT_EQ(first.exit, 0) << first.err;
  const json plan = json::parse(first.out);
  const json& allocation = plan["allocation"];
  EXPECT_LE(plan["bits_per_weight"], 7.0);
  EXPECT_GT(plan["bits_per_weight"], 6.9);
  EXPECT_EQ(plan["bytes"], allocation["bytes"]);
  EXPECT_GT(allocation["kld_measured"], 0.0);
  EXPECT_LT(allocation["kld_measured"], 1.0);
  EXPECT_GT(plan["types"].size(), 3u);  // f32 norms, and not one type for all the rest
  EXPECT_EQ(json::parse(content(measured))["pumice_sensitivity"], 1);
  EXPECT_EQ(content(folder_.file("front.svg")).substr(0, 4), "<svg");

  const Ran second = quantize(fmt::format("--budget Q8_0 --sensitivity-file {}", quoted(measured)));
  ASSERT_EQ(second.exit, 0) << second.err;
  for (const char* words : {"blk.0.attn_q.weight", "Pareto front", "<- chosen"})
    EXPECT_NE(second.out.find(words), std::string::npos) << second.out;
  const Ran two = quantize(fmt::format(
      "--budget 10bpw --types q8_0,Q4_0 --sensitivity-file {} --dry-run --json", quoted(measured)));
  ASSERT_EQ(two.exit, 0) << two.err;
  const json types = json::parse(two.out)["types"];
  EXPECT_EQ(types.size(), 3u) << types.dump() << ": both, and f32 where rows do not fit";
  for (const char* type : {"q8_0", "q4_0", "f32"})
    EXPECT_TRUE(types.contains(type)) << types.dump();
  const Ran other = quantize(fmt::format(
      "--budget 10bpw --types mxfp4 --sensitivity-file {} --dry-run", quoted(measured)));
  EXPECT_EQ(other.exit, 1);
  EXPECT_NE(other.err.find("was not measured"), std::string::npos) << other.err;
  const Ran loads = pumice(fmt::format("info -m {}", quoted(out_)));
  EXPECT_EQ(loads.exit, 0) << loads.err;
}

TEST_F(Budget, RefusesWithWords) {
  const std::string text = fmt::format("--calibration {} -c 32 ", text_);
  refuses("--budget 4.5bpw", 2, "needs --calibration");
  refuses("--types q4_k Q4_0", 2, "--types says nothing without --budget");
  refuses("--ids Q4_0", 2, "--ids says nothing without --budget");
  refuses(text + "--budget 7bpw --types q4_k,q4_9", 2, "q4_9");
  refuses(text + "--budget 7bpw --types q8_0", 1, "the smallest types need");
  refuses("--replies Q4_0", 2, "--replies says nothing without --budget");
  refuses(text + "--budget 7bpw --ids", 1, "begins no token id");
  refuses(text + "--budget 7bpw --replies", 1, "chat");
  refuses(text + "Q4_0", 2, "without --budget");
  refuses(text + "--budget 4.5bpw Q4_0", 2, "chooses the types itself");
  refuses(text + "--budget 4.5bpw --pareto front.png", 2, ".svg or .json");
  refuses(text + "--budget lots", 1, "\"lots\" is no budget");
  refuses(text + "--budget 50bpw", 1, "nothing to choose");
  refuses(text + "--budget 7bpw --chunks 4000", 1, "need 128000");
  refuses(text + "--budget 7bpw --pareto nowhere/x.svg", 1, "no such folder");
  refuses("--budget 7bpw --calibration " + quoted(folder_.write("short", "Once")), 1, "short");
  const std::string bad = quoted(folder_.write("bad.json", R"({"pumice_sensitivity":1,)"
                                                           R"("candidates":["q4_0"],"tensors":[)"
                                                           R"({"name":"x","weights":3}]})"));
  refuses("--budget 7bpw --sensitivity-file " + bad, 1, "tensor x is not");
  const std::string none = quoted(folder_.write("none.json", "[1,"));
  refuses("--budget 7bpw --sensitivity-file " + none, 1, "holds no sensitivities");
}

TEST_F(Budget, TooSmallABudgetSaysWhatTheSmallestTypesNeed) {
  std::string measured = R"({"pumice_sensitivity":1,"candidates":["q8_0"],"tensors":[)"
                         R"({"name":"token_embd.weight","weights":32768,"kld":[0.1],)"
                         R"("weight_error":[0.1],"measured":[true]}]})";
  const std::string path = quoted(folder_.write("one.json", measured));
  refuses("--budget 2bpw --sensitivity-file " + path, 1, "the smallest types need");
  // token_embd at 8.5 bits and all the rest as it is
  refuses("--budget 8bpw --sensitivity-file " + path, 1, "the smallest types need");
}

}  // namespace
}  // namespace pumice::test
