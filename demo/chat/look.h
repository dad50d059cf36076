// Colours, distances and the few widgets that all parts of the window share.
#pragma once

#include <imgui.h>

#include <string_view>

#include "fonts.h"

namespace pumice::chat {

/// Colours by what they are for, and the size of a unit in Dear ImGui's coordinates.
struct Look {
  bool dark = true;
  float unit = 1;
  ImVec4 page, pane, card, line, text, quiet, faint, accent, on_accent, mine, code, warn, error;

  [[nodiscard]] float px(float units) const { return units * unit; }
};

[[nodiscard]] Look make_look(bool dark, float unit);
/// Gives Dear ImGui's own widgets the same colours and distances.
void apply_style(const Look& look);

[[nodiscard]] ImU32 colour(const ImVec4& of);
[[nodiscard]] ImVec4 faded(ImVec4 of, float alpha);

/// Sets a face for the following widgets until it goes out of scope.
class FaceScope {
 public:
  FaceScope(const Fonts& fonts, Face face) { ImGui::PushFont(fonts.font(face)); }
  ~FaceScope() { ImGui::PopFont(); }
  FaceScope(const FaceScope&) = delete;
  FaceScope& operator=(const FaceScope&) = delete;
};

/// One line of text in a colour, with its glyphs.
void label(Fonts& fonts, Face face, const ImVec4& colour, std::string_view text);
/// The same, wrapped at the right edge.
void paragraph(Fonts& fonts, Face face, const ImVec4& colour, std::string_view text);
/// As much of `text` as fits `width`, with an ellipsis where it is cut.
[[nodiscard]] std::string shortened(Fonts& fonts, Face face, std::string_view text, float width);

enum class ButtonKind { Quiet, Normal, Strong };
/// A button whose text is its id; use ImGui::PushID around it where texts repeat.
bool button(Fonts& fonts, const Look& look, ButtonKind kind, const char* text, float width = 0);
/// Width that such a button takes.
[[nodiscard]] float button_width(Fonts& fonts, const Look& look, const char* text);

/// A column beside the conversation, until end_pane(); `side` pads it to the left and right.
void begin_pane(const Look& look, const char* name, ImVec2 size, float side);
void end_pane();

/// "812 MiB", "3.1 GiB".
[[nodiscard]] std::string bytes_text(uint64_t bytes);

}  // namespace pumice::chat
