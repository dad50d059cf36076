// `pumice quantize --method` and `--smooth` on a small real model: every method writes a file that
// the engine runs, error feedback loses less than rounding, and what cannot be is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "small_model.h"

namespace pumice::test {
namespace {

class QuantizeMethods : public SmallModelTest {
 protected:
  /// Mean divergence of a file that the flags make, on the text the statistics come from.
  [[nodiscard]] double divergence(const std::string& flags) const {
    const std::string out = quoted(folder_.file("out.gguf"));
    const Ran made = pumice(fmt::format("quantize {} {} {}", kSmallModel, out, flags));
    EXPECT_EQ(made.exit, 0) << flags << ": " << made.err;
    const Ran ran = pumice(fmt::format("eval kld -m {} --reference {} -f {} -c 128 --json -", out,
                                       kSmallModel, text_));
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return nlohmann::json::parse(ran.out)["runs"][0]["statistics"]["kld"]["mean"]["value"];
  }
  void refuses(const std::string& flags, const std::string& words) const {
    const std::string out = folder_.file("refused.gguf");
    const Ran ran = pumice(fmt::format("quantize {} {} {}", kSmallModel, quoted(out), flags));
    EXPECT_NE(ran.exit, 0) << flags;
    EXPECT_NE(ran.err.find(words), std::string::npos) << flags << ": " << ran.err;
    EXPECT_FALSE(std::filesystem::exists(out)) << flags;
  }
  const std::string text_ = quoted(folder_.write("text", story(24)));
  const std::string statistics_ = quoted(folder_.file("statistics"));
};

TEST_F(QuantizeMethods, EachRunsAndFeedbackLosesLess) {
  const Ran gathered = pumice(
      fmt::format("imatrix -m {} -f {} -o {} -c 128 --gram", kSmallModel, text_, statistics_));
  ASSERT_EQ(gathered.exit, 0) << gathered.err;
  const double plain = divergence("Q4_0 --method rtn");
  EXPECT_GT(plain, 0.0);
  EXPECT_LT(divergence("Q4_0 --method gptq --imatrix " + statistics_), plain);
  for (const char* flags : {"--method imatrix", "--method awq", "--method awq,gptq",
                            "--smooth sq --smooth-strength 0.3"})
    EXPECT_LT(divergence(fmt::format("Q4_0 {} --imatrix {}", flags, statistics_)), 2 * plain)
        << flags;
  EXPECT_LT(divergence(fmt::format("Q4_0 --method gptq --sweeps 4 --imatrix {}", statistics_)),
            divergence(fmt::format("Q4_0 --method gptq --sweeps 0 --imatrix {}", statistics_)));
  const std::string measured = quoted(folder_.file("sensitivities.json"));
  // Types by measurement, codes by error feedback, in as many bytes.
  EXPECT_LT(divergence(fmt::format("--budget Q4_0 --method gptq --imatrix {} --calibration {} "
                                   "-c 32 --chunks 1 --sensitivity fast --sensitivity-file {}",
                                   statistics_, text_, measured)),
            plain);
  const Ran other = pumice(fmt::format("quantize --dry-run {} --budget Q4_0 --sensitivity-file {}",
                                       kSmallModel, measured));
  EXPECT_EQ(other.exit, 0) << other.err;
  EXPECT_NE(other.err.find("measured with --method gptq, which is not asked for"),
            std::string::npos)
      << other.err;
}

TEST_F(QuantizeMethods, WhatCannotBeIsRefused) {
  refuses("--method gptq Q4_0", "needs --imatrix FILE");
  refuses("Q4_0 --smooth sq", "--smooth sq needs --imatrix FILE");
  refuses("Q4_0 --method rtn,gptq", "stands alone");
  refuses("Q4_0 --method nearest", "is none of rtn");
  refuses("Q4_0 --sweeps 1001", "--sweeps");
  const Ran gathered =
      pumice(fmt::format("imatrix -m {} -f {} -o {} -c 128", kSmallModel, text_, statistics_));
  ASSERT_EQ(gathered.exit, 0) << gathered.err;
  refuses("Q4_0 --method gptq --imatrix " + statistics_, "has no Gram matrices");
}

}  // namespace
}  // namespace pumice::test
