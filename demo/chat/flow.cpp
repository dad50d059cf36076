#include "flow.h"

#include <algorithm>
#include <cmath>

namespace pumice::chat {
namespace {

/// Scripts without spaces: a line may end after any of their characters.
bool breaks_anywhere(uint32_t code) {
  return (code >= 0x2E80 && code <= 0xA4CF) || (code >= 0xAC00 && code <= 0xD7A3) ||
         (code >= 0xF900 && code <= 0xFAFF) || (code >= 0xFF00 && code <= 0xFFEF) ||
         (code >= 0x0E00 && code <= 0x0EFF);
}

Face face_of(uint8_t style, Face base) {
  if (style & kCode) return Face::Mono;
  if (base != Face::Body) return base;
  if (style & kBold) return Face::Bold;
  if (style & kItalic) return Face::Italic;
  return base;
}

/// Puts pieces of text one after the other.
class Setter {
 public:
  Setter(Fonts& fonts, Face base, float width)
      : fonts_(fonts), width_(width), ratio_(ImGui::GetIO().FontGlobalScale) {
    flow_.line = fonts.font(base)->FontSize * ratio_;
  }

  void span(const Span& span, Face face) {
    fonts_.need(face, span.text);
    std::string_view rest = span.text;
    while (!rest.empty()) {
      if (rest[0] == '\n') {
        rest.remove_prefix(1);
        new_line();
      } else if (rest[0] == ' ') {
        const size_t spaces = std::min(rest.find_first_not_of(' '), rest.size());
        put(rest.substr(0, spaces), span, face, true);
        rest.remove_prefix(spaces);
      } else {
        const size_t size = word_size(rest);
        put(rest.substr(0, size), span, face, false);
        rest.remove_prefix(size);
      }
    }
  }

  Flow take() && {
    flow_.width = std::max(flow_.width, x_);
    flow_.height = y_ + flow_.line;
    return std::move(flow_);
  }

  void new_line() {
    flow_.width = std::max(flow_.width, x_);
    x_ = 0;
    y_ += flow_.line;
    joinable_ = false;
  }

  /// A part of a word at a time, as much as the line has room for.
  void put_broken(std::string_view text, const Span& span, Face face) {
    const ImFont* font = fonts_.font(face);
    while (!text.empty()) {
      const char* end = text.data();
      font->CalcTextSizeA(font->FontSize * ratio_, std::max(0.0f, width_ - x_), 0, text.data(),
                          text.data() + text.size(), &end);
      auto size = static_cast<size_t>(end - text.data());
      if (size == 0 && x_ > 0) {
        new_line();
        continue;
      }
      if (size == 0) {  // narrower than one character
        std::string_view after = text;
        (void)next_code_point(after);
        size = text.size() - after.size();
      }
      append(text.substr(0, size), span, face);
      text.remove_prefix(size);
    }
  }

 private:
  static size_t word_size(std::string_view text) {
    std::string_view rest = text;
    while (!rest.empty() && rest[0] != ' ' && rest[0] != '\n') {
      std::string_view after = rest;
      const uint32_t code = next_code_point(after);
      if (breaks_anywhere(code))
        return text.size() - (rest.size() == text.size() ? after.size() : rest.size());
      rest = after;
    }
    return text.size() - rest.size();
  }

  float measure(std::string_view text, Face face) const {
    const ImFont* font = fonts_.font(face);
    return font
        ->CalcTextSizeA(font->FontSize * ratio_, FLT_MAX, 0, text.data(), text.data() + text.size())
        .x;
  }

  void put(std::string_view text, const Span& span, Face face, bool space) {
    const float wide = measure(text, face);
    if (x_ + wide <= width_) return append(text, span, face);
    if (space) return new_line();  // spaces at a line's end take no room
    if (x_ > 0) new_line();
    if (wide <= width_) return append(text, span, face);
    put_broken(text, span, face);
  }

  void append(std::string_view text, const Span& span, Face face) {
    const float wide = measure(text, face);
    if (joinable_ && flow_.runs.back().face == face && flow_.runs.back().style == span.style &&
        flow_.runs.back().target == span.target) {
      flow_.runs.back().text += text;
      flow_.runs.back().width += wide;
    } else {
      flow_.runs.push_back({face, span.style, x_, y_, wide, std::string(text), span.target});
    }
    x_ += wide;
    joinable_ = true;
  }

  Fonts& fonts_;
  float width_, ratio_;
  Flow flow_;
  float x_ = 0, y_ = 0;
  bool joinable_ = false;  ///< the last run is on this line
};

}  // namespace

Flow lay_out(Fonts& fonts, const Spans& spans, Face face, float width) {
  Setter setter(fonts, face, std::max(width, 1.0f));
  for (const Span& span : spans) setter.span(span, face_of(span.style, face));
  return std::move(setter).take();
}

Flow lay_out_code(Fonts& fonts, std::string_view code, float width) {
  Setter setter(fonts, Face::Mono, std::max(width, 1.0f));
  fonts.need(Face::Mono, code);
  const Span plain;
  for (size_t at = 0; at <= code.size();) {
    const size_t end = std::min(code.find('\n', at), code.size());
    if (at > 0) setter.new_line();
    setter.put_broken(code.substr(at, end - at), plain, Face::Mono);
    at = end + 1;
  }
  return std::move(setter).take();
}

void draw(ImDrawList& list, const Fonts& fonts, const Flow& flow, ImVec2 at, FlowColours colours) {
  const float ratio = ImGui::GetIO().FontGlobalScale;
  const float top = list.GetClipRectMin().y, bottom = list.GetClipRectMax().y;
  for (const Run& run : flow.runs) {
    const ImVec2 from = {at.x + run.x, at.y + run.y};
    if (from.y > bottom || from.y + flow.line < top) continue;
    ImFont* font = fonts.font(run.face);
    const float size = font->FontSize * ratio;
    const ImVec2 to = {from.x + run.width, from.y + flow.line};
    const float middle = std::round(from.y + (flow.line - size) / 2);
    if (run.style & kCode)
      list.AddRectFilled({from.x - 2, from.y + 2}, {to.x + 2, to.y - 2}, colours.code_back, 4);
    const ImU32 ink = run.style & kLink ? colours.link : colours.text;
    list.AddText(font, size, {from.x, middle}, ink, run.text.data(),
                 run.text.data() + run.text.size());
    if (run.style & kLink)
      list.AddLine({from.x, to.y - size * 0.16f}, {to.x, to.y - size * 0.16f}, ink);
    if (run.style & kStrike)
      list.AddLine({from.x, from.y + flow.line * 0.55f}, {to.x, from.y + flow.line * 0.55f}, ink);
  }
}

const std::string* link_at(const Flow& flow, ImVec2 at, ImVec2 mouse) {
  for (const Run& run : flow.runs)
    if ((run.style & kLink) && mouse.x >= at.x + run.x && mouse.x < at.x + run.x + run.width &&
        mouse.y >= at.y + run.y && mouse.y < at.y + run.y + flow.line)
      return &run.target;
  return nullptr;
}

}  // namespace pumice::chat
