#include "fonts.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "font_files.h"

namespace pumice::chat {
namespace {

struct FaceRow {
  FontWish wish;
  float size;  ///< of its letters, in units
  float line;  ///< height of a line, in units
};

constexpr FaceRow kRows[kFaces] = {
    {{"sans", false, false}, 15.0f, 22.0f},       // Body
    {{"sans", true, false}, 15.0f, 22.0f},        // Bold
    {{"sans", false, true}, 15.0f, 22.0f},        // Italic
    {{"monospace", false, false}, 14.0f, 20.0f},  // Mono
    {{"sans", true, false}, 21.0f, 30.0f},        // Title
    {{"sans", true, false}, 17.0f, 25.0f},        // Heading
    {{"sans", false, false}, 12.5f, 18.0f},       // Small
};

constexpr uint32_t kLastCode = 0xFFFF;  ///< Debian's Dear ImGui keeps 16 bits of a code point
constexpr uint32_t kFirstSide = 512, kLargestSide = 4096;  ///< of the atlas, in pixels;
                                                           ///< doubled by the first start
constexpr ImWchar kNone = 0xFFFF;                          ///< Dear ImGui's mark for "no glyph"

/// Code points that are instructions, not marks: nothing is drawn for them.
bool is_silent(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0xAD ||
         (code >= 0x200B && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || (code >= 0xFE00 && code <= 0xFE0F) || code == 0xFEFF;
}

}  // namespace

struct Fonts::Library {
  std::unique_ptr<FontFiles> files;
};

Outcome<std::unique_ptr<Fonts>> Fonts::create(ImFontAtlas& atlas, float scale) {
  auto files = FontFiles::open();
  if (!files) return trouble_of(files);
  auto library = std::make_unique<Library>();
  library->files = std::move(*files);
  std::unique_ptr<Fonts> fonts(new Fonts(atlas, std::move(library)));
  fonts->set_scale(scale);
  return fonts;
}

Fonts::Fonts(ImFontAtlas& atlas, std::unique_ptr<Library> library)
    : atlas_(atlas), library_(std::move(library)), texture_(kFirstSide, kLargestSide) {
  // Dear ImGui's own builder is not used: the atlas gets fonts that are filled from outside.
  atlas_.Flags |= ImFontAtlasFlags_NoBakedLines | ImFontAtlasFlags_NoMouseCursors;
  for (Slot& slot : faces_) {
    slot.font = IM_NEW(ImFont)();
    slot.font->ContainerAtlas = &atlas_;
    atlas_.Fonts.push_back(slot.font);
  }
  atlas_.TexReady = true;
}

Fonts::~Fonts() = default;

void Fonts::set_scale(float scale) {
  if (scale == scale_ && faces_[0].pixels > 0) return;
  scale_ = std::clamp(scale, 0.5f, 8.0f);
  restart();
}

/// Empties everything and makes what every text needs, in a larger atlas where there may be one.
void Fonts::restart() {
  do {
    texture_.restart();
    full_ = false;
    begin_faces();
  } while (full_ && texture_.side() < kLargestSide);
  restarted_ = true;
}

void Fonts::begin_faces() {
  const float side = static_cast<float>(texture_.side());
  const GlyphAtlas::Place white = texture_.white();
  atlas_.TexWidth = atlas_.TexHeight = static_cast<int>(texture_.side());
  atlas_.TexUvScale = {1 / side, 1 / side};
  atlas_.TexUvWhitePixel = {(static_cast<float>(white.x) + 0.5f) / side,
                            (static_cast<float>(white.y) + 0.5f) / side};
  for (size_t i = 0; i < kFaces; ++i) begin_face(static_cast<Face>(i));
}

void Fonts::begin_face(Face face) {
  const FaceRow& row = kRows[static_cast<size_t>(face)];
  Slot& slot = faces_[static_cast<size_t>(face)];
  ImFont& font = *slot.font;
  slot.pixels = std::max(1, static_cast<int>(std::lround(row.size * scale_)));
  const FontMetrics metrics = library_->files->metrics(row.wish, slot.pixels);
  font.Glyphs.clear();
  font.IndexLookup.clear();
  font.IndexAdvanceX.clear();
  font.FontSize = std::round(row.line * scale_);
  // the letters stand in the middle of their line
  font.Ascent = std::round((font.FontSize + metrics.ascent + metrics.descent) / 2);
  font.Descent = font.Ascent - font.FontSize;
  font.EllipsisChar = 0x2026;
  font.FallbackChar = 0xFFFD;
  for (uint32_t code : {0xFFFDu, 0x25A1u, 0x3Fu})
    if (font.Glyphs.empty()) draw(slot, face, code);
  if (font.Glyphs.empty()) enter(slot, 0xFFFD, ImFontGlyph{});
  for (uint32_t code = 0x20; code < 0x7F; ++code) make(slot, face, code);
  make(slot, face, 0x2026);
  make(slot, face, '\t');
}

void Fonts::need(Face face, std::string_view text) {
  make(face, text);
  if (!full_) return;
  restart();
  make(face, text);
}

void Fonts::make(Face face, std::string_view text) {
  while (!text.empty()) {
    const uint32_t code = next_code_point(text);
    if (code <= kLastCode) make(faces_[static_cast<size_t>(face)], face, code);
  }
}

void Fonts::make(Slot& slot, Face face, uint32_t code) {
  ImFont& font = *slot.font;
  const int at = static_cast<int>(code);
  if (at < font.IndexLookup.Size && font.IndexLookup[at] != kNone) return;
  if (code == '\t') {
    ImFontGlyph tab = {};
    tab.AdvanceX = font.GetCharAdvance(' ') * 4;
    enter(slot, code, tab);
  } else if (is_silent(code)) {
    enter(slot, code, ImFontGlyph{});
  } else if (!draw(slot, face, code) && !full_) {
    if (code < 0xD800 || code > 0xF8FF) missing_.insert(code);  // private use has no meaning
    enter(slot, code, font.Glyphs[0]);
  }
}

/// False: no font has it, or there is no room.
bool Fonts::draw(Slot& slot, Face face, uint32_t code) {
  const auto image =
      library_->files->draw(kRows[static_cast<size_t>(face)].wish, slot.pixels, code);
  if (!image) return false;
  ImFontGlyph glyph = {};
  glyph.AdvanceX = std::round(image->advance);
  if (image->width > 0 && image->height > 0) {
    const auto place = texture_.put(image->pixels, image->width, image->height, image->pitch);
    if (!place) full_ = true;
    if (!place) return false;
    const float side = static_cast<float>(texture_.side());
    const float width = static_cast<float>(image->width),
                height = static_cast<float>(image->height);
    glyph.Visible = 1;
    glyph.X0 = image->left;
    glyph.Y0 = slot.font->Ascent - image->top;
    glyph.X1 = glyph.X0 + width;
    glyph.Y1 = glyph.Y0 + height;
    glyph.U0 = static_cast<float>(place->x) / side;
    glyph.V0 = static_cast<float>(place->y) / side;
    glyph.U1 = glyph.U0 + width / side;
    glyph.V1 = glyph.V0 + height / side;
  }
  enter(slot, code, glyph);
  return true;
}

/// Puts a glyph where Dear ImGui looks it up. Its own tables are plain arrays by code point.
void Fonts::enter(Slot& slot, uint32_t code, const ImFontGlyph& given) {
  ImFont& font = *slot.font;
  const int at = static_cast<int>(code);
  if (font.Glyphs.empty()) font.FallbackAdvanceX = given.AdvanceX;
  if (at >= font.IndexLookup.Size) {
    const int size = std::min((at / 256 + 1) * 256, static_cast<int>(kLastCode) + 1);
    font.IndexLookup.resize(size, kNone);
    font.IndexAdvanceX.resize(size, font.FallbackAdvanceX);
  }
  ImFontGlyph glyph = given;
  glyph.Codepoint = code & kLastCode;
  font.Glyphs.push_back(glyph);
  font.IndexLookup[at] = static_cast<ImWchar>(font.Glyphs.Size - 1);
  font.IndexAdvanceX[at] = glyph.AdvanceX;
  font.Used4kPagesMap[at / 4096 / 8] |= static_cast<ImU8>(1 << ((at / 4096) & 7));
  font.FallbackGlyph = font.Glyphs.Data;  // the array may have moved
}

std::string Fonts::missing_text() const {
  if (missing_.empty()) return {};
  const std::string more =
      missing_.size() > 1 ? fmt::format(" and {} more", missing_.size() - 1) : std::string();
  return fmt::format(
      "No font of this system has U+{:04X}{}; fonts-noto-core and fonts-noto-cjk "
      "cover most scripts",
      *missing_.begin(), more);
}

}  // namespace pumice::chat
