// A box to write in, whose lines break where the box ends; Dear ImGui's own breaks none.
#pragma once

#include <vector>

#include "look.h"
#include "text_buffer.h"

namespace pumice::chat {

class Editor {
 public:
  [[nodiscard]] const std::string& text() const { return buffer_.text(); }
  void assign(std::string text) { buffer_.assign(std::move(text)), moved_ = true; }
  /// The next frame's keys come here.
  void focus() { focused_ = true; }
  [[nodiscard]] bool focused() const { return focused_; }

  /// Of the box, with 1 to `most` lines, when it is `width` wide.
  [[nodiscard]] float height(Fonts& fonts, const Look& look, float width, int most);
  /// Draws at the cursor. True: Enter was pressed; Shift+Enter breaks the line.
  bool show(Fonts& fonts, const Look& look, ImVec2 size, const char* hint);

 private:
  struct Line {
    size_t begin, end;  ///< bytes; spaces that the line broke at belong to it
  };

  void break_lines(Fonts& fonts, float width);
  [[nodiscard]] size_t line_of(size_t position) const;
  [[nodiscard]] float x_of(const Fonts& fonts, size_t line, size_t position) const;
  [[nodiscard]] size_t position_at(const Fonts& fonts, size_t line, float x) const;
  void take_mouse(const Fonts& fonts, ImVec2 text_at, float line, bool hovered);
  bool take_keys(const Fonts& fonts);
  void take_clipboard_keys();
  void move_lines(const Fonts& fonts, int by, bool select);
  void draw(const Fonts& fonts, const Look& look, ImVec2 at, float line) const;

  TextBuffer buffer_;
  std::vector<Line> lines_;
  float scroll_ = 0;     ///< units above the box
  float wished_x_ = -1;  ///< where up and down want to go; below 0 = where the caret is
  bool focused_ = false, dragging_ = false;
  bool moved_ = false;  ///< the caret must be scrolled into sight
};

}  // namespace pumice::chat
