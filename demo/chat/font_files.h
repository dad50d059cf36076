// Which file of the system has a code point, and its glyph as pixels: Fontconfig's order of
// preference, FreeType's drawing.
#pragma once

#include <fontconfig/fontconfig.h>
#include <ft2build.h>
#include FT_FREETYPE_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "outcome.h"

namespace pumice::chat {

/// What to ask Fontconfig for.
struct FontWish {
  const char* family;  ///< "sans", "monospace"
  bool bold, italic;
  auto operator<=>(const FontWish&) const = default;
};

/// Grey pixels of one glyph; valid until the next is drawn.
struct GlyphImage {
  const uint8_t* pixels;
  uint32_t width, height, pitch;
  float left, top;  ///< from the pen, to the right and upwards, in pixels
  float advance;
};

/// Height above and below the base line, in pixels; descent is negative.
struct FontMetrics {
  float ascent, descent;
};

class FontFiles {
 public:
  [[nodiscard]] static Outcome<std::unique_ptr<FontFiles>> open();
  ~FontFiles();
  FontFiles(const FontFiles&) = delete;
  FontFiles& operator=(const FontFiles&) = delete;

  /// Nothing: no font of the system has it.
  [[nodiscard]] std::optional<GlyphImage> draw(const FontWish& wish, int pixels, uint32_t code);
  [[nodiscard]] FontMetrics metrics(const FontWish& wish, int pixels);

 private:
  struct Candidate {
    std::string file;
    int index;           ///< of the face within the file
    FcCharSet* covered;  ///< belongs to the list's pattern
  };
  struct Order {
    FcFontSet* set = nullptr;
    std::vector<Candidate> candidates;  ///< best first
  };

  FontFiles() = default;
  Order& order(const FontWish& wish);
  FT_Face face(const Candidate& candidate, int pixels);

  FcConfig* config_ = nullptr;
  FT_Library library_ = nullptr;
  std::map<FontWish, Order> orders_;
  std::map<std::pair<std::string, int>, FT_Face> faces_;  ///< null where FreeType refused a file
};

}  // namespace pumice::chat
