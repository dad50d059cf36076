#include "glyph_atlas.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pumice::chat {
namespace {

constexpr uint32_t kGap = 1;        ///< empty pixels around a glyph, for linear filtering
constexpr uint32_t kWhiteSide = 3;  ///< of the white square in the corner

uint32_t shelf_height(uint32_t height) {
  return (height + 3) / 4 * 4;  // glyphs of almost one height share a shelf
}

}  // namespace

GlyphAtlas::GlyphAtlas(uint32_t side, uint32_t largest)
    : side_(side), largest_(std::max(side, largest)) {
  clear();
}

void GlyphAtlas::clear() {
  pixels_.assign(size_t{side_} * side_, 0);
  shelves_.clear();
  for (uint32_t y = 0; y < kWhiteSide; ++y)
    std::memset(&pixels_[size_t{y} * side_], 255, kWhiteSide);
  top_ = kWhiteSide + kGap;
  changed_ = {0, side_};
}

void GlyphAtlas::restart() {
  side_ = std::min(side_ * 2, largest_);
  clear();
}

std::optional<GlyphAtlas::Place> GlyphAtlas::put(const uint8_t* pixels, uint32_t width,
                                                 uint32_t height, uint32_t pitch) {
  const uint32_t wide = width + kGap, high = shelf_height(height + kGap);
  if (wide > side_ || high > side_) return std::nullopt;
  auto shelf = std::find_if(shelves_.begin(), shelves_.end(), [&](const Shelf& each) {
    return each.height == high && each.used + wide <= side_;
  });
  if (shelf == shelves_.end()) {
    if (top_ + high > side_) return std::nullopt;
    shelf = shelves_.insert(shelves_.end(), {top_, high, 0});
    top_ += high;
  }
  const Place place = {shelf->used, shelf->y};
  shelf->used += wide;
  for (uint32_t row = 0; row < height; ++row)
    std::memcpy(&pixels_[size_t{place.y + row} * side_ + place.x], pixels + size_t{row} * pitch,
                width);
  if (changed_.first == changed_.last) changed_ = {place.y, place.y};
  changed_ = {std::min(changed_.first, place.y), std::max(changed_.last, place.y + height)};
  return place;
}

GlyphAtlas::Rows GlyphAtlas::take_changes() {
  return std::exchange(changed_, {0, 0});
}

}  // namespace pumice::chat
