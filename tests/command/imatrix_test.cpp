// `pumice imatrix` on a small real model: what it writes, adds and shows.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "small_model.h"

namespace pumice::test {
namespace {

using nlohmann::json;

class Imatrix : public SmallModelTest {
 protected:
  /// What --show says of the file that a run with these arguments writes.
  json gathered(const std::string& arguments) {
    const std::string out = folder_.file("out.gguf");
    const Ran ran = pumice(fmt::format("imatrix -m {} -f {} -o {} -c 64 {}", kSmallModel,
                                       quoted(text_), quoted(out), arguments));
    EXPECT_EQ(ran.exit, 0) << ran.err;
    const Ran shown = pumice(fmt::format("imatrix --json --show {}", quoted(out)));
    EXPECT_EQ(shown.exit, 0) << shown.err;
    return shown.exit == 0 ? json::parse(shown.out) : json();
  }
  const std::string text_ = folder_.write("text", story(20));
};

TEST_F(Imatrix, GathersAddsAndShows) {
  const json once = gathered("--chunks 2");
  EXPECT_EQ(once["chunk_count"], 2);
  EXPECT_EQ(once["chunk_size"], 64);
  const json& tensors = once["tensors"];
  EXPECT_EQ(tensors.size() % 7, 0u);
  EXPECT_EQ(tensors[0]["name"], "blk.0.attn_k.weight");
  for (const json& tensor : tensors) {
    EXPECT_EQ(tensor["tokens"], 128.0);
    EXPECT_GT(tensor["sum_mean_squares"], 0.0);
    EXPECT_GE(tensor["spread"], 1.0);
    EXPECT_FALSE(tensor["gram"]);
  }
  std::filesystem::rename(folder_.file("out.gguf"), folder_.file("in.gguf"));
  const json twice =
      gathered(fmt::format("--chunks 2 --in-file {}", quoted(folder_.file("in.gguf"))));
  EXPECT_EQ(twice["chunk_count"], 4);
  EXPECT_EQ(twice["tensors"][3]["tokens"], 256.0);
  EXPECT_EQ(twice["tensors"][3]["sum_mean_squares"], tensors[3]["sum_mean_squares"]);
  const Ran half = pumice(fmt::format("imatrix -m {} -f {} -o {} -c 64 --gram --in-file {}",
                                      kSmallModel, quoted(text_), quoted(folder_.file("x")),
                                      quoted(folder_.file("in.gguf"))));
  EXPECT_EQ(half.exit, 1);
  EXPECT_NE(half.err.find("lacks Gram matrices"), std::string::npos) << half.err;
}

TEST_F(Imatrix, GramInPassesAndLayers) {
  const json all = gathered("--chunks 1 --gram --gram-memory 1 --process-output");
  for (const json& tensor : all["tensors"]) EXPECT_TRUE(tensor["gram"]);
  EXPECT_EQ(all["tensors"].size() % 7, 1u);
  const json some = gathered("--chunks 1 --layers 1-2");
  EXPECT_EQ(some["tensors"].size(), 14u);
  EXPECT_EQ(some["tensors"][0]["name"], "blk.1.attn_k.weight");
}

TEST_F(Imatrix, RefusesWithWords) {
  const std::string text = quoted(folder_.write("short", "Once"));
  const Ran brief = pumice(fmt::format("imatrix -m {} -f {} -o x", kSmallModel, text));
  EXPECT_EQ(brief.exit, 1);
  EXPECT_NE(brief.err.find("less than one chunk of 512"), std::string::npos) << brief.err;
  const Ran layers = pumice(fmt::format("imatrix -m {} -f {} -o {} -c 64 --layers 90", kSmallModel,
                                        quoted(text_), quoted(folder_.file("x"))));
  EXPECT_EQ(layers.exit, 1);
  EXPECT_NE(layers.err.find("layers 90 to 90"), std::string::npos) << layers.err;
  EXPECT_FALSE(std::filesystem::exists(folder_.file("x")));
  const Ran model = pumice(fmt::format("imatrix --show {}", kSmallModel));
  EXPECT_EQ(model.exit, 1);
  EXPECT_NE(model.err.find("importance matrix"), std::string::npos) << model.err;
}

}  // namespace
}  // namespace pumice::test
