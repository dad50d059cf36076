#include "font_files.h"

#include <algorithm>
#include <memory>

namespace pumice::chat {
namespace {

/// FreeType counts in 1/64 pixel.
float pixels_of(FT_Pos position) {
  return static_cast<float>(position) / 64.0f;
}

FcFontSet* sorted_fonts(FcConfig* config, const FontWish& wish) {
  FcPattern* pattern = FcPatternCreate();
  FcPatternAddString(pattern, FC_FAMILY, reinterpret_cast<const FcChar8*>(wish.family));
  FcPatternAddInteger(pattern, FC_WEIGHT, wish.bold ? FC_WEIGHT_BOLD : FC_WEIGHT_REGULAR);
  FcPatternAddInteger(pattern, FC_SLANT, wish.italic ? FC_SLANT_ITALIC : FC_SLANT_ROMAN);
  FcPatternAddBool(pattern, FC_SCALABLE, FcTrue);
  FcConfigSubstitute(config, pattern, FcMatchPattern);
  FcDefaultSubstitute(pattern);
  FcResult result = FcResultMatch;
  FcFontSet* set = FcFontSort(config, pattern, FcTrue, nullptr, &result);
  FcPatternDestroy(pattern);
  return set;
}

}  // namespace

Outcome<std::unique_ptr<FontFiles>> FontFiles::open() {
  std::unique_ptr<FontFiles> files(new FontFiles());
  files->config_ = FcInitLoadConfigAndFonts();
  if (!files->config_) return trouble("fonts: Fontconfig could not read its configuration");
  if (FT_Init_FreeType(&files->library_) != 0) return trouble("fonts: FreeType could not start");
  if (files->order({"sans", false, false}).candidates.empty())
    return trouble("fonts: this system has none that can be scaled; install fonts-dejavu-core");
  return files;
}

FontFiles::~FontFiles() {
  for (const auto& [key, face] : faces_)
    if (face) FT_Done_Face(face);
  if (library_) FT_Done_FreeType(library_);
  for (const auto& [wish, order] : orders_)
    if (order.set) FcFontSetDestroy(order.set);
  if (config_) FcConfigDestroy(config_);
}

FontFiles::Order& FontFiles::order(const FontWish& wish) {
  const auto [found, fresh] = orders_.try_emplace(wish);
  Order& order = found->second;
  if (!fresh) return order;
  order.set = sorted_fonts(config_, wish);
  for (int i = 0; order.set && i < order.set->nfont; ++i) {
    FcPattern* font = order.set->fonts[i];
    FcChar8* file = nullptr;
    int index = 0;
    FcBool scalable = FcFalse, coloured = FcFalse;
    FcCharSet* covered = nullptr;
    FcPatternGetBool(font, FC_SCALABLE, 0, &scalable);
    FcPatternGetBool(font, FC_COLOR, 0, &coloured);
    FcPatternGetInteger(font, FC_INDEX, 0, &index);
    if (!scalable || coloured) continue;
    if (FcPatternGetString(font, FC_FILE, 0, &file) != FcResultMatch) continue;
    if (FcPatternGetCharSet(font, FC_CHARSET, 0, &covered) != FcResultMatch) continue;
    order.candidates.push_back({reinterpret_cast<const char*>(file), index, covered});
  }
  return order;
}

FT_Face FontFiles::face(const Candidate& candidate, int pixels) {
  const auto [found, fresh] = faces_.try_emplace({candidate.file, candidate.index}, nullptr);
  FT_Face& face = found->second;
  if (fresh && FT_New_Face(library_, candidate.file.c_str(), candidate.index, &face) != 0)
    face = nullptr;
  if (face && FT_Set_Pixel_Sizes(face, 0, static_cast<FT_UInt>(pixels)) != 0) return nullptr;
  return face;
}

std::optional<GlyphImage> FontFiles::draw(const FontWish& wish, int pixels, uint32_t code) {
  for (const Candidate& candidate : order(wish).candidates) {
    if (!FcCharSetHasChar(candidate.covered, code)) continue;
    const FT_Face drawn = face(candidate, pixels);
    if (!drawn || FT_Get_Char_Index(drawn, code) == 0) continue;
    // Light hinting keeps lines on pixel rows and widths as designed.
    if (FT_Load_Char(drawn, code, FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT) != 0) continue;
    const FT_GlyphSlot slot = drawn->glyph;
    if (slot->bitmap.pixel_mode != FT_PIXEL_MODE_GRAY && slot->bitmap.rows > 0) continue;
    if (slot->bitmap.pitch < 0) continue;
    return GlyphImage{slot->bitmap.buffer,
                      slot->bitmap.width,
                      slot->bitmap.rows,
                      static_cast<uint32_t>(slot->bitmap.pitch),
                      static_cast<float>(slot->bitmap_left),
                      static_cast<float>(slot->bitmap_top),
                      pixels_of(slot->advance.x)};
  }
  return std::nullopt;
}

FontMetrics FontFiles::metrics(const FontWish& wish, int pixels) {
  for (const Candidate& candidate : order(wish).candidates)
    if (const FT_Face first = face(candidate, pixels))
      return {pixels_of(first->size->metrics.ascender), pixels_of(first->size->metrics.descender)};
  return {static_cast<float>(pixels), 0.0f};
}

}  // namespace pumice::chat
