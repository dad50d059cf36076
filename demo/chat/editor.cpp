#include "editor.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pumice::chat {
namespace {

constexpr float kPadX = 12, kPadY = 10;  ///< inside the box, in units

bool pressed(ImGuiKey key) {
  return ImGui::IsKeyPressed(ImGui::GetKeyIndex(key));
}

float ratio() {
  return ImGui::GetIO().FontGlobalScale;
}

float measure(const Fonts& fonts, std::string_view text) {
  const ImFont* font = fonts.font(Face::Body);
  return font
      ->CalcTextSizeA(font->FontSize * ratio(), FLT_MAX, 0, text.data(), text.data() + text.size())
      .x;
}

}  // namespace

void Editor::break_lines(Fonts& fonts, float width) {
  fonts.need(Face::Body, text());
  const ImFont* font = fonts.font(Face::Body);
  const char* whole = text().data();
  lines_.clear();
  for (size_t at = 0; at <= text().size();) {
    const size_t end = std::min(text().find('\n', at), text().size());
    const char *from = whole + at, *to = whole + end;
    do {
      const char* stop = from == to ? to : font->CalcWordWrapPositionA(ratio(), from, to, width);
      if (stop == from && from < to) {  // narrower than a character
        std::string_view rest(from, static_cast<size_t>(to - from));
        (void)next_code_point(rest);
        stop = rest.data();
      }
      while (stop < to && *stop == ' ') ++stop;
      lines_.push_back({static_cast<size_t>(from - whole), static_cast<size_t>(stop - whole)});
      from = stop;
    } while (from < to);
    at = end + 1;
  }
}

float Editor::height(Fonts& fonts, const Look& look, float width, int most) {
  break_lines(fonts, width - 2 * look.px(kPadX));
  const float line = fonts.font(Face::Body)->FontSize * ratio();
  const int shown = std::clamp(static_cast<int>(lines_.size()), 1, most);
  return line * static_cast<float>(shown) + 2 * look.px(kPadY);
}

size_t Editor::line_of(size_t position) const {
  size_t line = lines_.size() - 1;
  while (line > 0 && lines_[line].begin > position) --line;
  return line;
}

float Editor::x_of(const Fonts& fonts, size_t line, size_t position) const {
  const size_t begin = lines_[line].begin;
  return measure(fonts, std::string_view(text()).substr(begin, position - begin));
}

size_t Editor::position_at(const Fonts& fonts, size_t line, float x) const {
  std::string_view rest(text().data() + lines_[line].begin, lines_[line].end - lines_[line].begin);
  const bool wrapped = lines_[line].end < text().size() && text()[lines_[line].end] != '\n';
  float passed = 0;
  size_t position = lines_[line].begin;
  while (!rest.empty()) {
    std::string_view after = rest;
    (void)next_code_point(after);
    const size_t size = rest.size() - after.size();
    const float wide = measure(fonts, rest.substr(0, size));
    if (passed + wide / 2 > x || (wrapped && after.empty())) break;
    passed += wide;
    position += size;
    rest = after;
  }
  return position;
}

void Editor::take_mouse(const Fonts& fonts, ImVec2 text_at, float line, bool hovered) {
  const ImVec2 mouse = ImGui::GetMousePos();
  const bool clicked = ImGui::IsMouseClicked(ImGuiMouseButton_Left);
  if (clicked) focused_ = dragging_ = hovered;
  if (!ImGui::IsMouseDown(ImGuiMouseButton_Left)) dragging_ = false;
  if (hovered) ImGui::SetMouseCursor(ImGuiMouseCursor_TextInput);
  if (!dragging_) return;
  const float row =
      std::clamp((mouse.y - text_at.y) / line, 0.0f, static_cast<float>(lines_.size()) - 0.5f);
  const size_t position = position_at(fonts, static_cast<size_t>(row), mouse.x - text_at.x);
  buffer_.move_to(position, !clicked || ImGui::GetIO().KeyShift);
  if (clicked && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) {
    buffer_.move_left(true, false);
    buffer_.move_right(true, true);
    dragging_ = false;
  }
  wished_x_ = -1;
}

void Editor::move_lines(const Fonts& fonts, int by, bool select) {
  const size_t line = line_of(buffer_.caret());
  if (wished_x_ < 0) wished_x_ = x_of(fonts, line, buffer_.caret());
  const auto to = static_cast<int>(line) + by;
  if (to < 0) return buffer_.move_to(0, select);
  if (to >= static_cast<int>(lines_.size())) return buffer_.move_to(text().size(), select);
  buffer_.move_to(position_at(fonts, static_cast<size_t>(to), wished_x_), select);
}

void Editor::take_clipboard_keys() {
  if (pressed(ImGuiKey_A)) buffer_.select_all();
  if (pressed(ImGuiKey_Z)) buffer_.undo();
  const bool cut = pressed(ImGuiKey_X);
  if ((cut || pressed(ImGuiKey_C)) && !buffer_.selected().empty()) {
    ImGui::SetClipboardText(std::string(buffer_.selected()).c_str());
    if (cut) buffer_.insert("");
  }
  if (!pressed(ImGuiKey_V)) return;
  if (const char* pasted = ImGui::GetClipboardText()) buffer_.insert(pasted);
}

/// True: Enter.
bool Editor::take_keys(const Fonts& fonts) {
  const ImGuiIO& io = ImGui::GetIO();
  const bool select = io.KeyShift, word = io.KeyCtrl;
  const size_t caret = buffer_.caret(), size = text().size();
  const float wished = wished_x_;
  bool vertical = false;
  if (io.KeyCtrl && !io.KeyAlt) take_clipboard_keys();
  std::string typed;
  if (!io.KeyCtrl || io.KeyAlt)  // AltGr is both on some systems
    for (ImWchar code : io.InputQueueCharacters)
      if (code >= 0x20 && code != 0x7F) append_utf8(typed, code);
  if (!typed.empty()) buffer_.insert(typed);
  if (pressed(ImGuiKey_LeftArrow)) buffer_.move_left(word, select);
  if (pressed(ImGuiKey_RightArrow)) buffer_.move_right(word, select);
  if (pressed(ImGuiKey_Backspace)) buffer_.erase_before(word);
  if (pressed(ImGuiKey_Delete)) buffer_.erase_after(word);
  const Line line = lines_[line_of(buffer_.caret())];
  if (pressed(ImGuiKey_Home)) buffer_.move_to(word ? 0 : line.begin, select);
  if (pressed(ImGuiKey_End)) buffer_.move_to(word ? text().size() : line.end, select);
  if (pressed(ImGuiKey_UpArrow)) move_lines(fonts, -1, select), vertical = true;
  if (pressed(ImGuiKey_DownArrow)) move_lines(fonts, +1, select), vertical = true;
  if (pressed(ImGuiKey_Escape)) focused_ = false;
  const bool enter = pressed(ImGuiKey_Enter) || pressed(ImGuiKey_KeyPadEnter);
  if (enter && (io.KeyShift || io.KeyCtrl)) buffer_.insert("\n");
  if (!vertical && (caret != buffer_.caret() || size != text().size())) wished_x_ = -1;
  moved_ = moved_ || caret != buffer_.caret() || size != text().size() || wished != wished_x_;
  return enter && !io.KeyShift && !io.KeyCtrl;
}

void Editor::draw(const Fonts& fonts, const Look& look, ImVec2 at, float line) const {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  ImFont* font = fonts.font(Face::Body);
  const float size = font->FontSize * ratio();
  const float top = list.GetClipRectMin().y, bottom = list.GetClipRectMax().y;
  const size_t from = buffer_.selection_begin(), to = buffer_.selection_end();
  for (size_t i = 0; i < lines_.size(); ++i) {
    const float y = at.y + line * static_cast<float>(i);
    if (y > bottom || y + line < top) continue;
    const Line& each = lines_[i];
    if (from < to && from <= each.end && to > each.begin) {
      const float x0 = x_of(fonts, i, std::clamp(from, each.begin, each.end));
      const float x1 = x_of(fonts, i, std::clamp(to, each.begin, each.end));
      list.AddRectFilled({at.x + x0, y}, {at.x + std::max(x1, x0 + 3), y + line},
                         colour(faded(look.accent, 0.35f)));
    }
    list.AddText(font, size, {at.x, y}, colour(look.text), text().data() + each.begin,
                 text().data() + each.end);
  }
  if (!focused_) return;
  const size_t row = line_of(buffer_.caret());
  const float x = std::floor(at.x + x_of(fonts, row, buffer_.caret()));
  const float y = at.y + line * static_cast<float>(row);
  list.AddRectFilled({x, y + 2}, {x + std::max(1.0f, look.px(1.5f)), y + line - 2},
                     colour(look.accent));
}

bool Editor::show(Fonts& fonts, const Look& look, ImVec2 size, const char* hint) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::InvisibleButton("editor", size);
  const bool hovered = ImGui::IsItemHovered();
  const ImVec2 end = {at.x + size.x, at.y + size.y};
  const ImVec2 pad = {look.px(kPadX), look.px(kPadY)};
  const float line = fonts.font(Face::Body)->FontSize * ratio(), inside = size.y - 2 * pad.y;
  break_lines(fonts, size.x - 2 * pad.x);
  take_mouse(fonts, {at.x + pad.x, at.y + pad.y - scroll_}, line, hovered);
  constexpr ImGuiPopupFlags kAny = ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel;
  const bool entered = focused_ && !ImGui::IsPopupOpen("", kAny) && take_keys(fonts);
  break_lines(fonts, size.x - 2 * pad.x);
  const float all = line * static_cast<float>(lines_.size());
  if (hovered) scroll_ -= ImGui::GetIO().MouseWheel * line * 2;
  if (std::exchange(moved_, false)) {
    const float y = line * static_cast<float>(line_of(buffer_.caret()));
    scroll_ = std::clamp(scroll_, y + line - inside, y);
  }
  scroll_ = std::clamp(scroll_, 0.0f, std::max(0.0f, all - inside));
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(at, end, colour(look.card), look.px(10));
  list.AddRect(at, end, colour(focused_ ? look.faint : look.line), look.px(10));
  list.PushClipRect({at.x + pad.x - 2, at.y + 2}, {end.x - pad.x + 3, end.y - 2}, true);
  if (text().empty()) list.AddText({at.x + pad.x, at.y + pad.y}, colour(look.faint), hint);
  draw(fonts, look, {at.x + pad.x, at.y + pad.y - scroll_}, line);
  list.PopClipRect();
  return entered;
}

}  // namespace pumice::chat
