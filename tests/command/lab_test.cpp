// `pumice lab` on a small real model: the page is whole and needs nothing, bad input is named.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "small_model.h"

namespace pumice::test {
namespace {

using nlohmann::json;

class Lab : public SmallModelTest {
 protected:
  const std::string page_ = folder_.file("page <&>.html"), json_ = folder_.file("page.json");
};

constexpr const char* kSections[] = {"magnitude",   "sensitivity", "weighing",  "granularity",
                                     "outliers",    "equal-bytes", "grid",      "flips",
                                     "temperature", "depth",       "prediction"};

void check_page(const std::string& html) {
  for (const char* id : kSections)
    EXPECT_NE(html.find(fmt::format("<section id=\"{}\">", id)), std::string::npos) << id;
  for (const char* outside : {"http", "<script", "<link", "<img", "url(", "@import"})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  for (const char* word : {"\"nan", "\"inf", ">nan", ">inf", " nan", "-nan"})
    EXPECT_EQ(html.find(word), std::string::npos) << word;
  EXPECT_NE(html.find("prefers-color-scheme:dark"), std::string::npos);
  EXPECT_NE(html.find("page &lt;&amp;&gt;.html"), std::string::npos);
  EXPECT_TRUE(html.ends_with("</html>\n"));
}

void check_numbers(const json& all) {
  const json& sections = all["sections"];
  EXPECT_EQ(sections.size(), std::size(kSections));
  for (const auto& [id, section] : sections.items())
    EXPECT_FALSE(section.contains("absent")) << id << ": " << section["absent"];
  for (const json& type : sections["magnitude"]["numbers"]["types"]) {
    double sum = 0;
    for (const json& share : type["error_share"]) sum += share.get<double>();
    EXPECT_NEAR(sum, 100.0, 1e-6);
  }
  for (const json& grain : sections["granularity"]["numbers"]["grains"])
    EXPECT_GT(grain["symmetric"]["value"], 0.0);
  const json& mix = sections["equal-bytes"]["numbers"]["mixes"][0];
  EXPECT_LE(mix["automatic_bytes"], mix["bytes"]);
  const json& prediction = sections["prediction"]["numbers"];
  EXPECT_EQ(prediction["pairs"].size(), 6u);
  EXPECT_LE(std::abs(prediction["spearman"].get<double>()), 1.0);
}

TEST_F(Lab, PageIsWhole) {
  const Ran ran =
      pumice(fmt::format("lab {} -m {} --quick --chunks 1 -c 64 "
                         "--allocations 6 --json {}",
                         quoted(page_), kSmallModel, quoted(json_)));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("Spearman correlation"), std::string::npos) << ran.err;
  check_page(content(page_));
  check_numbers(json::parse(content(json_)));
}

TEST_F(Lab, OnlyTheSectionsThatAreWanted) {
  const Ran ran = pumice(
      fmt::format("lab {} -m {} --quick --chunks 1 -c 64 --sections prediction,magnitude --json {}",
                  quoted(page_), kSmallModel, quoted(json_)));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json sections = json::parse(content(json_))["sections"];
  EXPECT_EQ(sections.size(), 2u);
  EXPECT_FALSE(sections["magnitude"].contains("absent"));
  EXPECT_EQ(sections["prediction"]["absent"], "sensitivities were not measured");
  EXPECT_NE(content(page_).find("--sections prediction,magnitude"), std::string::npos);
}

TEST_F(Lab, RefusesWithWords) {
  struct Row {
    std::string arguments;
    int exit;
    const char* words;
  };
  const std::string text = quoted(folder_.write("short", "Once upon a time"));
  const std::string copy = folder_.write("model.gguf", content(kSmallModel));
  const Row rows[] = {
      {fmt::format("{} -m {}", quoted(page_), quoted(folder_.file("none.gguf"))), 1, "none.gguf"},
      {fmt::format("{} -m {}", quoted(folder_.file("no/page.html")), kSmallModel), 1, "no"},
      {fmt::format("{} -m {} -f {}", quoted(page_), kSmallModel, text), 1, "tokens"},
      {fmt::format("{} -m {} -f {}", quoted(page_), kSmallModel, quoted(folder_.file("t"))), 1,
       "t"},
      {fmt::format("{0} -m {0}", quoted(copy)), 1, "input of this command"},
      {fmt::format("{0} -m {1} --json {0}", quoted(page_), kSmallModel), 1, "is the report"},
      {fmt::format("-m {}", kSmallModel), 2, "report"},
      {fmt::format("{} -m {} --without x", quoted(page_), kSmallModel), 2, "--without"},
      {fmt::format("{} -m {} --sections flips,x", quoted(page_), kSmallModel), 2, "--sections"},
  };
  for (const Row& row : rows) {
    const Ran ran = pumice("lab " + row.arguments);
    EXPECT_EQ(ran.exit, row.exit) << row.arguments << "\n" << ran.err;
    EXPECT_NE(ran.err.find(row.words), std::string::npos) << row.arguments << "\n" << ran.err;
    EXPECT_FALSE(std::filesystem::exists(page_)) << row.arguments;
    EXPECT_FALSE(std::filesystem::exists(page_ + ".part")) << row.arguments;
  }
  EXPECT_EQ(content(copy), content(kSmallModel));
}

}  // namespace
}  // namespace pumice::test
