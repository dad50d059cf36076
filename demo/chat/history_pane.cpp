// The left pane: a new conversation, the search, and the conversations by the day they were last
// spoken in.
#include <imgui.h>
#include <imgui_stdlib.h>

#include <chrono>

#include "app.h"

namespace pumice::chat {
namespace {

constexpr int64_t kDay = 24LL * 3600 * 1000;  ///< ms

const char* age_of(int64_t touched_ms) {
  using namespace std::chrono;
  const int64_t now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  const int64_t age = now - touched_ms;
  return age < kDay        ? "Last 24 hours"
         : age < 7 * kDay  ? "Last week"
         : age < 30 * kDay ? "Last month"
                           : "Older";
}

/// A row that is a button; true when it was chosen.
bool row(App& app, const std::string& title, bool chosen, float height) {
  const Look& look = app.look;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x;
  const bool pressed = ImGui::InvisibleButton("row", {width, height});
  const bool hovered = ImGui::IsItemHovered();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  if (chosen || hovered)
    list.AddRectFilled(at, {at.x + width, at.y + height},
                       colour(faded(chosen ? look.line : look.mine, chosen ? 0.8f : 0.7f)),
                       look.px(7));
  const std::string shown = shortened(app.fonts, Face::Body, title, width - look.px(20));
  ImFont* font = app.fonts.font(Face::Body);
  const float size = font->FontSize * ImGui::GetIO().FontGlobalScale;
  list.AddText(font, size, {at.x + look.px(10), at.y + look.px(5)}, colour(look.text), shown.data(),
               shown.data() + shown.size());
  return pressed;
}

void context_menu(App& app, int64_t conversation) {
  if (!ImGui::BeginPopupContextItem("menu")) return;
  if (ImGui::MenuItem("Delete conversation")) app.chat.remove(conversation);
  ImGui::EndPopup();
}

void show_hits(App& app) {
  const Look& look = app.look;
  if (app.hits.empty()) label(app.fonts, Face::Small, look.quiet, "Nothing found");
  for (const SearchHit& hit : app.hits) {
    ImGui::PushID(static_cast<int>(hit.message));
    const ImVec2 at = ImGui::GetCursorScreenPos();
    if (row(app, hit.title, hit.conversation == app.chat.current().id, look.px(50))) {
      app.chat.open(hit.conversation);
      app.jump_to = hit.message;
    }
    std::string line;
    for (char each : hit.excerpt)
      if (each != '\x02' && each != '\x03') line += each == '\n' ? ' ' : each;
    const std::string shown =
        shortened(app.fonts, Face::Small, line, ImGui::GetContentRegionAvail().x - look.px(20));
    ImFont* font = app.fonts.font(Face::Small);
    ImGui::GetWindowDrawList()->AddText(font, font->FontSize * ImGui::GetIO().FontGlobalScale,
                                        {at.x + look.px(10), at.y + look.px(27)},
                                        colour(look.quiet), shown.c_str());
    ImGui::PopID();
  }
}

void show_list(App& app) {
  const char* group = "";
  const auto list = app.chat.list();  // a copy: a row may remove itself
  for (const Conversation& each : list) {
    const char* age = age_of(each.touched_ms);
    if (std::string_view(age) != group) {
      ImGui::Dummy({0, app.look.px(group[0] ? 8 : 0)});
      ImGui::Indent(app.look.px(10));
      label(app.fonts, Face::Small, app.look.faint, age);
      ImGui::Unindent(app.look.px(10));
      group = age;
    }
    ImGui::PushID(static_cast<int>(each.id));
    if (row(app, each.title, each.id == app.chat.current().id, app.look.px(32))) {
      app.chat.open(each.id);
      app.follow = true;
      app.draft.focus();
    }
    context_menu(app, each.id);
    ImGui::PopID();
  }
}

}  // namespace

void show_history_pane(App& app, ImVec2 size) {
  const Look& look = app.look;
  begin_pane(look, "history", size, 12);
  if (button(app.fonts, look, ButtonKind::Normal, "+  New conversation",
             ImGui::GetContentRegionAvail().x)) {
    app.chat.begin_new();
    app.draft.focus();
  }
  app.fonts.need(Face::Body, app.search);
  ImGui::SetNextItemWidth(-1);
  ImGui::InputTextWithHint("##search", "Search", &app.search);
  if (app.search != app.hits_for) {
    app.hits_for = app.search;
    auto found = app.history.search(app.search, 100);
    if (found) app.hits = std::move(*found);
    if (!found) app.chat.set_notice(found.error().text);
  }
  ImGui::Dummy({0, look.px(2)});
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(0, look.px(2)));
  ImGui::BeginChild("list", {0, 0}, false);
  if (app.search.find_first_not_of(' ') == std::string::npos)
    show_list(app);
  else
    show_hits(app);
  ImGui::EndChild();
  ImGui::PopStyleVar();
  end_pane();
}

}  // namespace pumice::chat
