// One message as laid-out markdown: measured once per text and width, drawn where it is visible.
#pragma once

#include <string>
#include <vector>

#include "flow.h"
#include "look.h"

namespace pumice::chat {

class MessageView {
 public:
  /// Lays out again only where something changed. `plain`: text as it is, no markdown.
  void update(Fonts& fonts, const Look& look, const std::string& text, bool finished, bool plain,
              float width);
  [[nodiscard]] float height() const { return height_; }
  /// Of its widest line.
  [[nodiscard]] float width() const { return width_used_; }
  /// Draws at the cursor and moves it below. True: a code block was copied.
  bool show(Fonts& fonts, const Look& look);

 private:
  struct Cell {
    Flow flow;
    float x, y;
  };
  struct Laid {
    Block block;
    Flow flow, marker;
    std::vector<Cell> cells;   ///< of a table
    std::vector<float> rules;  ///< heights of a table's lines
    float x = 0, y = 0, width = 0, height = 0;
  };

  void lay(Fonts& fonts, const Look& look, Laid& laid, float width);
  void lay_table(Fonts& fonts, const Look& look, Laid& laid);
  bool show_block(Fonts& fonts, const Look& look, const Laid& laid, ImVec2 origin);
  bool show_code(Fonts& fonts, const Look& look, const Laid& laid, ImVec2 at);

  std::vector<Laid> blocks_;
  size_t size_ = SIZE_MAX;  ///< of the text that is laid out
  float width_ = 0, unit_ = 0, ratio_ = 0;
  uint32_t side_ = 0;  ///< of the glyphs' atlas: a larger one began without this text's
  bool finished_ = false;
  float height_ = 0, width_used_ = 0;
};

}  // namespace pumice::chat
