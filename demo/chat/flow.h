// Spans in several faces, broken into lines of a width.
#pragma once

#include <imgui.h>

#include <string>
#include <vector>

#include "fonts.h"
#include "markdown.h"

namespace pumice::chat {

struct Run {
  Face face;
  uint8_t style;
  float x, y, width;  ///< of its left upper corner, from the flow's
  std::string text;
  std::string target;  ///< of a link
};

struct Flow {
  std::vector<Run> runs;
  float width = 0, height = 0, line = 0;  ///< widest line, all lines, one line
};

/// Height and width in Dear ImGui's units. Words go to the next line whole, where one fits.
[[nodiscard]] Flow lay_out(Fonts& fonts, const Spans& spans, Face face, float width);
/// Code: every space counts, lines break anywhere.
[[nodiscard]] Flow lay_out_code(Fonts& fonts, std::string_view code, float width);

struct FlowColours {
  ImU32 text, link, code_back;
};
/// Draws what is between the clip rectangle's top and bottom.
void draw(ImDrawList& list, const Fonts& fonts, const Flow& flow, ImVec2 at, FlowColours colours);
/// The link under the mouse, or null.
[[nodiscard]] const std::string* link_at(const Flow& flow, ImVec2 at, ImVec2 mouse);

}  // namespace pumice::chat
