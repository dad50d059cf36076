// Text in every script that a font of this system covers: Fontconfig says which font has a code
// point, FreeType draws it, the atlas keeps it, Dear ImGui finds it. A glyph is made when a text
// first needs it; Debian's Dear ImGui knows the basic plane, so that is where this ends.
#pragma once

#include <imgui.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "glyph_atlas.h"
#include "outcome.h"
#include "utf8.h"

namespace pumice::chat {

/// The looks that the window uses; rows of a table in fonts.cpp.
enum class Face { Body, Bold, Italic, Mono, Title, Heading, Small };
inline constexpr size_t kFaces = 7;

class Fonts {
 public:
  /// Fills `atlas`, which belongs to Dear ImGui and must be empty. `scale`: pixels per unit, 1 on
  /// an ordinary display. Fails where the system has no font at all.
  [[nodiscard]] static Outcome<std::unique_ptr<Fonts>> create(ImFontAtlas& atlas, float scale);
  ~Fonts();
  Fonts(const Fonts&) = delete;
  Fonts& operator=(const Fonts&) = delete;

  /// Between frames: the window moved to a display with another density.
  void set_scale(float scale);
  [[nodiscard]] float scale() const { return scale_; }

  /// Makes the glyphs of `text` that `face` lacks. To be called before the text is measured.
  void need(Face face, std::string_view text);
  /// The font, for ImGui::PushFont.
  [[nodiscard]] ImFont* font(Face face) const { return faces_[static_cast<size_t>(face)].font; }

  [[nodiscard]] GlyphAtlas& texture() { return texture_; }
  /// True once after the atlas was full and began anew: what was drawn this frame may show wrong
  /// glyphs, so another frame is due.
  [[nodiscard]] bool take_restarted() { return std::exchange(restarted_, false); }
  /// Code points asked for that no font of the system has.
  [[nodiscard]] const std::set<uint32_t>& missing() const { return missing_; }
  /// "No font of this system has U+6C34 and 3 more; ...", or empty.
  [[nodiscard]] std::string missing_text() const;

 private:
  struct Library;
  struct Slot {
    ImFont* font = nullptr;  ///< its glyph 0 stands for all that no font has
    int pixels = 0;          ///< size that FreeType draws
  };

  Fonts(ImFontAtlas& atlas, std::unique_ptr<Library> library);
  void restart();
  void begin_faces();
  void begin_face(Face face);
  void make(Face face, std::string_view text);
  void make(Slot& slot, Face face, uint32_t code);
  bool draw(Slot& slot, Face face, uint32_t code);
  static void enter(Slot& slot, uint32_t code, const ImFontGlyph& glyph);

  ImFontAtlas& atlas_;
  std::unique_ptr<Library> library_;
  GlyphAtlas texture_;
  float scale_ = 1;
  Slot faces_[kFaces];
  bool restarted_ = false;
  bool full_ = false;  ///< a glyph found no room since the last restart
  std::set<uint32_t> missing_;
};

}  // namespace pumice::chat
