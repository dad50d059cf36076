// The conversation itself: what the person said in boxes on the right, answers as plain text, and
// below each what can be done with it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app.h"

namespace pumice::chat {
namespace {

constexpr float kColumn = 760;  ///< widest line of text, in units
constexpr float kActions = 26;  ///< height of the row below a message
constexpr float kPad = 14, kPadTop = 9;

/// "‹ 2/3 ›" between the branches that begin here.
void branch_arrows(App& app, int64_t message) {
  const auto& all = app.chat.siblings(message);
  if (all.size() < 2) return;
  const auto self = std::find(all.begin(), all.end(), message) - all.begin();
  const ImVec2 gap = {app.look.px(2), 0};
  if (button(app.fonts, app.look, ButtonKind::Quiet, "\u2039")) app.chat.turn_to(message, -1);
  ImGui::SameLine(0, gap.x);
  label(app.fonts, Face::Small, app.look.quiet, fmt::format("{}/{}", self + 1, all.size()));
  ImGui::SameLine(0, gap.x);
  if (button(app.fonts, app.look, ButtonKind::Quiet, "\u203A")) app.chat.turn_to(message, +1);
  ImGui::SameLine(0, app.look.px(6));
}

void actions(App& app, const Message& message, bool visible) {
  if (!visible) {
    ImGui::Dummy({0, 0});
    return;
  }
  const Look& look = app.look;
  const int64_t id = message.id;
  branch_arrows(app, id);
  if (button(app.fonts, look, ButtonKind::Quiet, app.copied == id ? "Copied" : "Copy")) {
    ImGui::SetClipboardText(message.text.c_str());
    app.copied = id;
  }
  ImGui::SameLine(0, look.px(2));
  if (app.chat.busy()) {
    ImGui::NewLine();
    return;
  }
  if (message.role == Role::User) {
    if (button(app.fonts, look, ButtonKind::Quiet, "Edit")) {
      app.editing = id;
      app.rewording.assign(message.text);
      app.rewording.focus();
    }
  } else if (button(app.fonts, look, ButtonKind::Quiet, "Try again")) {
    app.chat.regenerate(id);
    app.follow = true;
  }
}

/// In place of a message that is being edited.
void show_editor(App& app, float left, float width) {
  const Look& look = app.look;
  ImGui::SetCursorPosX(left);
  const float height = app.rewording.height(app.fonts, look, width, 14);
  const bool entered = app.rewording.show(app.fonts, look, {width, height}, "");
  ImGui::Dummy({0, look.px(6)});
  ImGui::SetCursorPosX(left);
  const bool pressed = button(app.fonts, look, ButtonKind::Strong, "Send as a new branch");
  if ((entered || pressed) && app.chat.edit(app.editing, app.rewording.text())) {
    app.editing = 0;
    app.follow = true;
    app.draft.focus();
  }
  ImGui::SameLine(0, look.px(8));
  if (button(app.fonts, look, ButtonKind::Normal, "Cancel")) app.editing = 0;
  ImGui::Dummy({0, look.px(10)});
}

void show_mine(App& app, const Message& message, float left, float width) {
  const Look& look = app.look;
  MessageView& view = app.views[message.id];
  view.update(app.fonts, look, message.text, true, true, width * 0.82f - look.px(2 * kPad));
  const float box = view.width() + look.px(2 * kPad) + 1;
  const float x = left + width - box;
  ImGui::SetCursorPosX(x);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::GetWindowDrawList()->AddRectFilled(
      at, {at.x + box, at.y + view.height() + look.px(2 * kPadTop)}, colour(look.mine),
      look.px(12));
  ImGui::SetCursorScreenPos({at.x + look.px(kPad), at.y + look.px(kPadTop)});
  view.show(app.fonts, look);
  const ImVec2 below = {at.x, at.y + view.height() + look.px(2 * kPadTop + 2)};
  const bool hovered = ImGui::IsMouseHoveringRect({at.x - look.px(60), at.y},
                                                  {at.x + box, below.y + look.px(kActions)});
  const bool branched = app.chat.siblings(message.id).size() > 1;
  const float row = look.px(branched ? 176 : 98);
  ImGui::SetCursorScreenPos({at.x + box - row, below.y});
  actions(app, message, hovered || branched);
  ImGui::SetCursorScreenPos({ImGui::GetWindowPos().x, below.y + look.px(kActions + 4)});
}

const char* state_text(const App& app, const Message& message) {
  if (message.id == app.chat.writing() && message.text.empty())
    return app.state.phase == Phase::Loading ? "waits for the model to be loaded"
                                             : "reading \u2026";
  if (message.state == MessageState::Stopped)
    return message.text.empty() ? "stopped before the first word" : "stopped here";
  return "";
}

void show_answer(App& app, const Message& message, float left, float width, bool last) {
  const Look& look = app.look;
  MessageView& view = app.views[message.id];
  const bool writing = message.id == app.chat.writing();
  view.update(app.fonts, look, message.text, !writing, false, width);
  ImGui::SetCursorPosX(left);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  view.show(app.fonts, look);
  const char* note = state_text(app, message);
  float y = at.y + view.height() + look.px(4);
  if (note[0]) {
    ImGui::SetCursorScreenPos({at.x, y});
    label(app.fonts, Face::Small, look.faint, note);
    y += look.px(20);
  }
  const bool hovered =
      ImGui::IsMouseHoveringRect(at, {at.x + width, y + look.px(kActions)}) || last;
  ImGui::SetCursorScreenPos({at.x - look.px(7), y});
  actions(app, message, !writing && (hovered || app.chat.siblings(message.id).size() > 1));
  ImGui::SetCursorScreenPos({ImGui::GetWindowPos().x, y + look.px(kActions + 8)});
}

/// What an empty conversation says.
void show_welcome(App& app, ImVec2 size) {
  const Look& look = app.look;
  const bool empty = app.state.phase == Phase::Empty;
  const char* title = empty ? "No model is loaded" : "What shall we talk about?";
  const char* hint = empty ? "Drop a .gguf file onto this window, or choose one above."
                           : "Enter sends, Shift+Enter breaks the line.";
  const auto centred = [&](Face face, const ImVec4& tint, const char* text, float y) {
    app.fonts.need(face, text);
    FaceScope scope(app.fonts, face);
    ImGui::SetCursorPos({(size.x - ImGui::CalcTextSize(text).x) / 2, y});
    label(app.fonts, face, tint, text);
  };
  centred(Face::Title, look.text, title, size.y * 0.40f);
  centred(Face::Body, look.quiet, hint, size.y * 0.40f + look.px(38));
}

void show_banner(App& app, float left, float width) {
  if (app.chat.notice().empty()) return;
  const Look& look = app.look;
  ImGui::SetCursorPos({left, look.px(4)});
  const ImVec2 at = ImGui::GetCursorScreenPos();
  Flow flow = lay_out(app.fonts, {{app.chat.notice(), 0, ""}}, Face::Body, width - look.px(100));
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 end = {at.x + width, at.y + flow.height + look.px(20)};
  list.AddRectFilled(at, end, colour(look.card), look.px(9));
  list.AddRect(at, end, colour(look.warn), look.px(9));
  draw(list, app.fonts, flow, {at.x + look.px(14), at.y + look.px(10)}, {colour(look.text), 0, 0});
  ImGui::SetCursorScreenPos({end.x - look.px(70), at.y + look.px(10)});
  if (button(app.fonts, look, ButtonKind::Quiet, "Dismiss")) app.chat.dismiss_notice();
}

}  // namespace

void show_messages(App& app, ImVec2 size) {
  const Look& look = app.look;
  ImGui::BeginChild("messages", size, false);
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(0, 0));
  const float width = std::min(size.x - look.px(48), look.px(kColumn));
  const float left = std::floor((size.x - width) / 2);
  // wheel upwards: the person reads; back at the end: the answer is followed again
  if (ImGui::IsWindowHovered() && ImGui::GetIO().MouseWheel > 0) app.follow = false;
  ImGui::SetCursorPosY(look.px(18));
  const auto branch = app.chat.branch();  // a copy: an action may change it
  for (size_t i = 0; i < branch.size(); ++i) {
    if (branch[i] >= app.chat.messages().size()) break;
    const Message message = app.chat.messages()[branch[i]];
    ImGui::PushID(static_cast<int>(message.id));
    const float y = ImGui::GetCursorPosY();
    if (app.jump_to == message.id) {
      ImGui::SetScrollY(std::max(0.0f, y - look.px(30)));
      app.jump_to = 0;
      app.follow = false;
    }
    if (app.editing == message.id)
      show_editor(app, left, width);
    else if (message.role == Role::User)
      show_mine(app, message, left, width);
    else
      show_answer(app, message, left, width, i + 1 == branch.size());
    ImGui::PopID();
  }
  ImGui::Dummy({1, look.px(4)});
  if (ImGui::GetScrollY() >= ImGui::GetScrollMaxY() - 1 && ImGui::GetIO().MouseWheel <= 0)
    app.follow = app.follow || app.chat.busy();
  if (app.follow) ImGui::SetScrollHereY(1.0f);
  if (!app.chat.busy()) app.follow = false;
  if (branch.empty()) show_welcome(app, size);
  ImGui::PopStyleVar();
  ImGui::EndChild();
  if (!app.chat.notice().empty()) {
    const ImVec2 corner = ImGui::GetItemRectMin();
    ImGui::SetCursorScreenPos(corner);
    ImGui::BeginChild("banner", {size.x, look.px(96)}, false,
                      ImGuiWindowFlags_NoBackground | ImGuiWindowFlags_NoScrollbar);
    show_banner(app, left, width);
    ImGui::EndChild();
  }
}

}  // namespace pumice::chat
