#include "text_buffer.h"

#include <algorithm>
#include <utility>

namespace pumice::chat {
namespace {

constexpr size_t kPast = 200;  ///< steps that can be undone

bool is_part(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

bool is_space(char byte) {
  return byte == ' ' || byte == '\n' || byte == '\t';
}

}  // namespace

void TextBuffer::assign(std::string text) {
  text_ = std::move(text);
  caret_ = anchor_ = text_.size();
  past_.clear();
  last_ = Edit::None;
}

void TextBuffer::remember(Edit edit) {
  if (edit == last_ && edit != Edit::Other) return;
  last_ = edit;
  past_.push_back({text_, caret_});
  if (past_.size() > kPast) past_.erase(past_.begin());
}

void TextBuffer::undo() {
  if (past_.empty()) return;
  text_ = std::move(past_.back().text);
  caret_ = anchor_ = past_.back().caret;
  past_.pop_back();
  last_ = Edit::None;
}

void TextBuffer::erase(size_t begin, size_t end) {
  text_.erase(begin, end - begin);
  caret_ = anchor_ = begin;
}

void TextBuffer::insert(std::string_view text) {
  remember(text.size() <= 4 && caret_ == anchor_ ? Edit::Typing : Edit::Other);
  erase(selection_begin(), selection_end());
  for (char byte : text)  // line ends of other systems
    if (byte != '\r' && byte != '\0') text_.insert(caret_++, 1, byte);
  anchor_ = caret_;
}

void TextBuffer::erase_before(bool word) {
  remember(Edit::Erasing);
  erase(caret_ == anchor_ ? before(caret_, word) : selection_begin(), selection_end());
}

void TextBuffer::erase_after(bool word) {
  remember(Edit::Erasing);
  erase(selection_begin(), caret_ == anchor_ ? after(caret_, word) : selection_end());
}

void TextBuffer::select_all() {
  anchor_ = 0;
  caret_ = text_.size();
}

void TextBuffer::move_to(size_t position, bool select) {
  caret_ = std::min(position, text_.size());
  while (caret_ > 0 && caret_ < text_.size() && is_part(text_[caret_])) --caret_;
  if (!select) anchor_ = caret_;
  last_ = Edit::None;
}

void TextBuffer::move_left(bool word, bool select) {
  const bool collapse = !select && caret_ != anchor_;
  move_to(collapse ? selection_begin() : before(caret_, word), select);
}

void TextBuffer::move_right(bool word, bool select) {
  const bool collapse = !select && caret_ != anchor_;
  move_to(collapse ? selection_end() : after(caret_, word), select);
}

size_t TextBuffer::before(size_t position, bool word) const {
  if (word) {
    while (position > 0 && is_space(text_[position - 1])) --position;
    while (position > 0 && !is_space(text_[position - 1])) --position;
    return position;
  }
  if (position > 0) --position;
  while (position > 0 && is_part(text_[position])) --position;
  return position;
}

size_t TextBuffer::after(size_t position, bool word) const {
  if (word) {
    while (position < text_.size() && !is_space(text_[position])) ++position;
    while (position < text_.size() && is_space(text_[position])) ++position;
    return position;
  }
  if (position < text_.size()) ++position;
  while (position < text_.size() && is_part(text_[position])) ++position;
  return position;
}

}  // namespace pumice::chat
