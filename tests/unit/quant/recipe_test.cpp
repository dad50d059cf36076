// The syntax of recipes and of --tensor-type.
#include "engine/quant/recipe.h"

#include <gtest/gtest.h>

namespace pumice::quant::test {
namespace {

TEST(Recipe, LinesCommentsAndBothSeparators) {
  const auto recipe = parse_recipe(
      "# what the layers get\r\n"
      "\n"
      "  attn_v\\.weight \t q6_k   # values matter\n"
      "blk\\.(0|1)\\..*=Q8_0\n"
      "a#b F16",
      "file");
  ASSERT_TRUE(recipe) << recipe.error().text;
  ASSERT_EQ(recipe->size(), 3u);
  EXPECT_EQ((*recipe)[0].pattern.text(), "attn_v\\.weight");
  EXPECT_EQ((*recipe)[0].type, QuantType::Q6_K);
  EXPECT_EQ((*recipe)[0].place, "file, line 3");
  EXPECT_EQ((*recipe)[1].pattern.text(), "blk\\.(0|1)\\..*");
  EXPECT_EQ((*recipe)[1].type, QuantType::Q8_0);
  EXPECT_EQ((*recipe)[2].pattern.text(), "a#b");
}

TEST(Recipe, MistakesNameTheLine) {
  struct Row {
    const char *text, *says;
  };
  for (const Row& row :
       {Row{"ffn q4_k\nattn", "line 2"}, Row{"attn q9", "\"q9\""}, Row{"\n\nattn( q4_k", "line 3"},
        Row{"q4_k", "line 1"}, Row{"# nothing\n", "no line"}, Row{"", "no line"}}) {
    const auto recipe = parse_recipe(row.text, "file");
    ASSERT_FALSE(recipe) << row.text;
    EXPECT_NE(recipe.error().text.find(row.says), std::string::npos) << recipe.error().text;
    EXPECT_NE(recipe.error().text.find("file"), std::string::npos) << recipe.error().text;
  }
  EXPECT_FALSE(parse_recipe(
      std::string(9'000, '\n') +
          [] {
            std::string many;
            for (int i = 0; i < 5'000; ++i) many += "x f16\n";
            return many;
          }(),
      "file"));
  EXPECT_EQ(read_recipe("missing/recipe").error().code, ErrorCode::NotFound);
}

TEST(Recipe, FlagsSplitAtTheLastEqualsSign) {
  const auto wish = parse_wish("a=b=q4_0", "--tensor-type");
  ASSERT_TRUE(wish) << wish.error().text;
  EXPECT_EQ(wish->pattern.text(), "a=b");
  EXPECT_EQ(wish->type, QuantType::Q4_0);
  EXPECT_FALSE(parse_wish("attn q4_0", "--tensor-type"));
  EXPECT_FALSE(parse_wish("=q4_0", "--tensor-type"));
  EXPECT_FALSE(parse_wish("attn=", "--tensor-type"));
}

}  // namespace
}  // namespace pumice::quant::test
