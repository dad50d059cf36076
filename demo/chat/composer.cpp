// Below the conversation: the text to send, the button that sends or stops, and a line of figures:
// how full the context is, how fast the answer comes, how long each token took.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app.h"

namespace pumice::chat {
namespace {

constexpr float kColumn = 760;  ///< widest line of text, in units
constexpr int kMostLines = 8;   ///< that the box grows to
constexpr float kButton = 76;
constexpr float kFigures = 30;  ///< height of the line of figures

/// Of the column of text: how wide, and where it begins.
struct Column {
  float left, width, box;  ///< box: of what is written in, beside the button
};

Column column_of(const Look& look, float width) {
  const float column = std::min(width - look.px(40), look.px(kColumn));
  return {std::floor((width - column) / 2), column, column - look.px(kButton + 10)};
}

void send(App& app) {
  const std::string& text = app.draft.text();
  const size_t last = text.find_last_not_of(" \n\t");
  if (last == std::string::npos || app.chat.busy()) return;
  if (!app.chat.send(text.substr(0, last + 1))) return;
  app.draft.assign("");
  app.follow = true;
}

/// A bar that fills, with its words.
void context_meter(App& app) {
  const Look& look = app.look;
  const TalkState& state = app.state;
  const float part =
      state.context > 0
          ? std::min(1.0f, static_cast<float>(state.tokens) / static_cast<float>(state.context))
          : 0;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = look.px(84), height = look.px(5), y = at.y + look.px(7);
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled({at.x, y}, {at.x + width, y + height}, colour(look.line), height / 2);
  if (part > 0)
    list.AddRectFilled({at.x, y}, {at.x + std::max(height, width * part), y + height},
                       colour(part > 0.9f ? look.warn : look.accent), height / 2);
  ImGui::SetCursorScreenPos({at.x + width + look.px(8), at.y});
  label(app.fonts, Face::Small, look.quiet,
        fmt::format("{} of {} tokens{}", state.tokens, state.context,
                    state.left_out > 0 ? ", the oldest turns left out" : ""));
}

/// One for each kind of kernel, told apart on light and dark alike.
constexpr ImU32 kFamilyColours[kFamilies] = {
    IM_COL32(224, 122, 75, 255), IM_COL32(94, 148, 205, 255),  IM_COL32(122, 173, 103, 255),
    IM_COL32(199, 160, 60, 255), IM_COL32(167, 118, 190, 255), IM_COL32(140, 140, 140, 255)};

/// A column per token: how long the device took for it, and for which kind of kernel.
void time_columns(const App& app, ImVec2 at, size_t shown, float step, float height) {
  const auto& times = app.state.token_times;
  const size_t first = times.size() - shown;
  float most = 0;
  for (size_t i = first; i < times.size(); ++i) most = std::max(most, times[i].ms);
  ImDrawList& list = *ImGui::GetWindowDrawList();
  for (size_t i = first; i < times.size(); ++i, at.x += step) {
    const TokenTime& time = times[i];
    float sum = 0, bottom = at.y + height;
    for (float part : time.parts) sum += part;
    const float tall = most > 0 ? std::max(1.0f, height * time.ms / most) : 1;
    if (sum <= 0)
      list.AddRectFilled({at.x, bottom - tall}, {at.x + step - 1, bottom}, kFamilyColours[0]);
    for (size_t part = 0; sum > 0 && part < kFamilies; ++part) {
      const float piece = tall * time.parts[part] / sum;
      list.AddRectFilled({at.x, bottom - piece}, {at.x + step - 1, bottom}, kFamilyColours[part]);
      bottom -= piece;
    }
  }
}

void time_tooltip(App& app) {
  const TokenTime& last = app.state.token_times.back();
  ImGui::BeginTooltip();
  label(app.fonts, Face::Bold, app.look.text,
        fmt::format("{:.2f} ms of the device for the last token", last.ms));
  for (size_t part = 0; part < app.state.families.size(); ++part)
    label(app.fonts, Face::Small, ImGui::ColorConvertU32ToFloat4(kFamilyColours[part]),
          fmt::format("\u25A0 {:.2f} ms  {}", last.parts[part], app.state.families[part]));
  ImGui::EndTooltip();
}

void time_graph(App& app, float right, float y) {
  const Look& look = app.look;
  const size_t shown = std::min<size_t>(app.state.token_times.size(), 60);
  if (shown < 2) return;
  const float step = look.px(2), height = look.px(18);
  const ImVec2 corner = {right - step * static_cast<float>(shown), y};
  time_columns(app, corner, shown, step, height);
  if (ImGui::IsMouseHoveringRect(corner, {right, y + height})) time_tooltip(app);
}

const char* phase_text(const TalkState& state) {
  switch (state.phase) {
    case Phase::Empty:
      return "No model is loaded";
    case Phase::Loading:
      return "Loading the model";
    case Phase::Reading:
      return "Reading";
    default:
      return "";
  }
}

void figures(App& app, float width) {
  const Look& look = app.look;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const TalkState& state = app.state;
  if (state.phase == Phase::Empty || state.phase == Phase::Loading) {
    label(app.fonts, Face::Small, look.quiet, phase_text(state));
    return;
  }
  context_meter(app);
  std::string speed = state.phase == Phase::Reading
                          ? fmt::format("reading {} tokens", state.unread)
                          : fmt::format("{:.1f} tokens/s", state.tokens_per_second);
  if (state.tokens_per_second <= 0 && state.phase != Phase::Reading) speed.clear();
  app.fonts.need(Face::Small, speed);
  ImFont* font = app.fonts.font(Face::Small);
  const float size = font->FontSize * ImGui::GetIO().FontGlobalScale;
  const float wide = font->CalcTextSizeA(size, FLT_MAX, 0, speed.c_str()).x;
  ImGui::GetWindowDrawList()->AddText(font, size, {at.x + width - wide, at.y}, colour(look.quiet),
                                      speed.c_str());
  time_graph(app, at.x + width - wide - look.px(12), at.y);
}

}  // namespace

float composer_height(App& app, float width) {
  const float box = column_of(app.look, width).box;
  return app.draft.height(app.fonts, app.look, box, kMostLines) + app.look.px(kFigures + 14);
}

void show_composer(App& app, float width) {
  const Look& look = app.look;
  const Column column = column_of(look, width);
  const float box = app.draft.height(app.fonts, look, column.box, kMostLines);
  ImGui::BeginChild("composer", {width, box + look.px(kFigures + 14)}, false,
                    ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
  ImGui::SetCursorPos({column.left, look.px(4)});
  const bool entered = app.draft.show(app.fonts, look, {column.box, box}, "Write a message");
  ImGui::SetCursorPos(
      {column.left + column.width - look.px(kButton), look.px(4) + box - look.px(42)});
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, ImVec2(look.px(12), look.px(10)));
  ImGui::PushStyleVar(ImGuiStyleVar_FrameRounding, look.px(10));
  const bool busy = app.chat.busy();
  const bool pressed = button(app.fonts, look, busy ? ButtonKind::Normal : ButtonKind::Strong,
                              busy ? "Stop" : "Send", look.px(kButton));
  ImGui::PopStyleVar(2);
  if (pressed && busy)
    app.chat.stop();
  else if (pressed || entered)
    send(app);
  if (pressed) app.draft.focus();
  ImGui::SetCursorPos({column.left + look.px(2), look.px(4) + box + look.px(9)});
  figures(app, column.width - look.px(4));
  ImGui::EndChild();
}

}  // namespace pumice::chat
