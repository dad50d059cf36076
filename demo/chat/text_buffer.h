// Text with a caret and a selection, and what keys do to it. No drawing; positions are bytes of
// UTF-8, always between characters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pumice::chat {

class TextBuffer {
 public:
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] size_t caret() const { return caret_; }
  [[nodiscard]] size_t selection_begin() const { return std::min(caret_, anchor_); }
  [[nodiscard]] size_t selection_end() const { return std::max(caret_, anchor_); }
  [[nodiscard]] std::string_view selected() const {
    return std::string_view(text_).substr(selection_begin(), selection_end() - selection_begin());
  }

  /// Replaces everything; the caret goes to the end, and there is nothing to undo.
  void assign(std::string text);
  /// In place of the selection.
  void insert(std::string_view text);
  void erase_before(bool word);
  void erase_after(bool word);
  void select_all();
  void undo();

  /// `select`: the selection grows, instead of ending.
  void move_to(size_t position, bool select);
  void move_left(bool word, bool select);
  void move_right(bool word, bool select);

 private:
  struct Past {
    std::string text;
    size_t caret;
  };
  enum class Edit { None, Typing, Erasing, Other };

  [[nodiscard]] size_t before(size_t position, bool word) const;
  [[nodiscard]] size_t after(size_t position, bool word) const;
  void remember(Edit edit);
  void erase(size_t begin, size_t end);

  std::string text_;
  size_t caret_ = 0, anchor_ = 0;
  std::vector<Past> past_;
  Edit last_ = Edit::None;  ///< a run of the same is undone as one
};

}  // namespace pumice::chat
