// One 8-bit texture that glyphs are packed into as they come, row by row of equal height.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pumice::chat {

class GlyphAtlas {
 public:
  struct Place {
    uint32_t x, y;  ///< of the first pixel
  };

  /// Side length in pixels: it starts with `side` and doubles up to `largest`.
  GlyphAtlas(uint32_t side, uint32_t largest);

  /// Copies `width` x `height` pixels, `pitch` bytes a row. Nothing: there is no room.
  [[nodiscard]] std::optional<Place> put(const uint8_t* pixels, uint32_t width, uint32_t height,
                                         uint32_t pitch);
  /// Empties it; larger than before when it may still grow.
  void restart();

  [[nodiscard]] uint32_t side() const { return side_; }
  [[nodiscard]] std::span<const uint8_t> pixels() const { return pixels_; }
  /// A pixel that is always 255.
  [[nodiscard]] Place white() const { return {1, 1}; }

  /// Rows [first, last) that changed since the last call; everything after a restart.
  struct Rows {
    uint32_t first, last;
  };
  [[nodiscard]] Rows take_changes();

 private:
  struct Shelf {
    uint32_t y, height, used;  ///< pixels
  };
  void clear();

  uint32_t side_, largest_;
  std::vector<uint8_t> pixels_;
  std::vector<Shelf> shelves_;
  uint32_t top_ = 0;  ///< first row that no shelf has
  Rows changed_ = {0, 0};
};

}  // namespace pumice::chat
