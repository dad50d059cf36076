// Glyphs as texts need them: every code point of the basic plane, full atlases, other densities.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "demo/chat/font_files.h"
#include "demo/chat/fonts.h"

namespace pumice::chat {
namespace {

std::string utf8(uint32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800)
    return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
  return {static_cast<char>(0xE0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 0x3F)),
          static_cast<char>(0x80 | (code & 0x3F))};
}

class FontsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = Fonts::create(atlas_, 1.0f);
    if (!made) GTEST_SKIP() << made.error().text;
    fonts_ = std::move(*made);
  }
  [[nodiscard]] const ImFontGlyph* glyph(uint32_t code, Face face = Face::Body) const {
    return fonts_->font(face)->FindGlyph(static_cast<ImWchar>(code));
  }
  [[nodiscard]] bool is_fallback(uint32_t code) const {
    return glyph(code)->U0 == fonts_->font(Face::Body)->FallbackGlyph->U0 &&
           glyph(code)->V0 == fonts_->font(Face::Body)->FallbackGlyph->V0;
  }
  /// The most opaque pixel that a glyph shows.
  [[nodiscard]] int darkest(const ImFontGlyph& shown) const {
    const auto pixels = fonts_->texture().pixels();
    const auto side = static_cast<float>(fonts_->texture().side());
    const auto at = [&](float part) { return static_cast<size_t>(part * side + .5f); };
    int most = 0;
    for (size_t y = at(shown.V0); y < at(shown.V1); ++y)
      for (size_t x = at(shown.U0); x < at(shown.U1); ++x)
        most = std::max<int>(most, pixels[y * fonts_->texture().side() + x]);
    return most;
  }

  ImFontAtlas atlas_;
  std::unique_ptr<Fonts> fonts_;
};

TEST_F(FontsTest, GlyphsComeWithTheTextThatNeedsThem) {
  ASSERT_TRUE(atlas_.IsBuilt());
  EXPECT_GT(darkest(*glyph('A')), 200);
  EXPECT_TRUE(is_fallback(0x416));  // nobody asked yet
  fonts_->need(Face::Body, "\u0416");
  EXPECT_FALSE(is_fallback(0x416));
  EXPECT_GT(darkest(*glyph(0x416)), 200);
  EXPECT_EQ(fonts_->font(Face::Bold)->FindGlyphNoFallback(0x416), nullptr);  // another face
  EXPECT_GT(glyph('W')->AdvanceX, glyph('i')->AdvanceX);
  EXPECT_EQ(glyph('W', Face::Mono)->AdvanceX, glyph('i', Face::Mono)->AdvanceX);
  EXPECT_FALSE(glyph(' ')->Visible);
  EXPECT_TRUE(fonts_->missing_text().empty());
}

TEST_F(FontsTest, EveryCodePointOfTheBasicPlane) {
  auto files = FontFiles::open();
  ASSERT_TRUE(files);
  const FontWish body = {"sans", false, false};
  size_t covered = 0, wrong = 0;
  for (uint32_t block = 0; block < 0x10000; block += 0x100) {
    std::string text;
    for (uint32_t code = block; code < block + 0x100; ++code)
      if (code < 0xD800 || code > 0xDFFF) text += utf8(code);
    fonts_->need(Face::Body, text);
    for (uint32_t code = std::max(block, 0x21u); code < block + 0x100; code += 7) {
      const bool has = (*files)->draw(body, 15, code).has_value();
      covered += has;
      wrong += has && code != 0xFFFD && is_fallback(code) && glyph(code)->Visible;
      wrong += !has && glyph(code)->Visible && !is_fallback(code);
    }
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(covered, 300u);
  EXPECT_FALSE(fonts_->missing_text().empty());  // no system has all
}

TEST_F(FontsTest, AFullAtlasBeginsAnew) {
  fonts_->set_scale(8.0f);  // glyphs of 120 pixels: some thousand fill the largest atlas
  (void)fonts_->take_restarted();
  bool restarted = false;
  for (uint32_t code = 0xA1; code < 0x2100; ++code) {
    const std::string text = utf8(code);
    fonts_->need(Face::Body, text);
    restarted = restarted || fonts_->take_restarted();
    if (glyph(code)->Visible && !is_fallback(code)) {
      EXPECT_GT(darkest(*glyph(code)), 0) << code;
    }
  }
  EXPECT_TRUE(restarted);
  EXPECT_EQ(fonts_->texture().side(), 4096u);
  EXPECT_GT(darkest(*glyph('A', Face::Title)), 200);
}

TEST_F(FontsTest, AnotherDensity) {
  const float before = glyph('M')->AdvanceX;
  fonts_->set_scale(2.0f);
  EXPECT_TRUE(fonts_->take_restarted());
  EXPECT_NEAR(glyph('M')->AdvanceX, before * 2, 2);
  EXPECT_EQ(fonts_->font(Face::Body)->FontSize, 44);
}

TEST(CodePoints, FromUtf8) {
  const auto all = [](std::string_view text) {
    std::vector<uint32_t> codes;
    while (!text.empty()) codes.push_back(next_code_point(text));
    return codes;
  };
  EXPECT_EQ(all("a\u00E9\u6C34\U0001F600"), (std::vector<uint32_t>{'a', 0xE9, 0x6C34, 0x1F600}));
  EXPECT_EQ(all("\xE6\xB0"), (std::vector<uint32_t>{0xFFFD}));
  EXPECT_EQ(all("\xFF\x80x"), (std::vector<uint32_t>{0xFFFD, 0xFFFD, 'x'}));
}

}  // namespace
}  // namespace pumice::chat
