// Above the conversation: which model talks and where, the models to choose from, how far a load
// is, and what shows and hides the panes. Also the question before a file is loaded.
#include <fmt/format.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include <algorithm>

#include "app.h"

namespace pumice::chat {
namespace {

std::string file_name(const std::string& path) {
  return path.substr(path.find_last_of("/\\") + 1);
}

void model_menu(App& app) {
  const Look& look = app.look;
  ImGui::SetNextWindowSizeConstraints({look.px(340), 0}, {look.px(560), look.px(560)});
  if (!ImGui::BeginPopup("models")) return;
  label(app.fonts, Face::Small, look.faint, "Recent files");
  if (app.recent.empty()) label(app.fonts, Face::Body, look.quiet, "none yet");
  for (size_t i = 0; i < app.recent.size(); ++i) {
    ImGui::PushID(static_cast<int>(i));
    const std::string shown = shortened(app.fonts, Face::Body, app.recent[i], look.px(500));
    if (ImGui::Selectable(shown.c_str(), app.recent[i] == app.state.path)) {
      app.offer_file(app.recent[i]);
      ImGui::CloseCurrentPopup();
    }
    ImGui::PopID();
  }
  ImGui::Separator();
  paragraph(app.fonts, Face::Small, look.quiet,
            "Drop a .gguf file onto the window to use it where it lies, or write its path:");
  app.fonts.need(Face::Body, app.typed_path);
  ImGui::SetNextItemWidth(-1);
  if (ImGui::InputTextWithHint("##path", "/path/to/model.gguf", &app.typed_path,
                               ImGuiInputTextFlags_EnterReturnsTrue)) {
    app.offer_file(app.typed_path);
    ImGui::CloseCurrentPopup();
  }
  ImGui::Separator();
  label(app.fonts, Face::Small, look.faint, "Device");
  if (ImGui::RadioButton("The best one", app.device.empty())) app.device.clear();
  for (const DeviceChoice& each : app.devices) {
    app.fonts.need(Face::Body, each.name);
    const bool usable = each.unusable.empty();
    if (ImGui::RadioButton(each.name.c_str(), app.device == each.name) && usable)
      app.device = each.name;
    label(app.fonts, Face::Small, look.quiet,
          usable ? fmt::format("      {} free of {}{}", bytes_text(each.memory_free),
                               bytes_text(each.memory), each.software ? ", on the CPU" : "")
                 : "      " + each.unusable);
  }
  if (app.device != app.history.setting("device"))
    (void)app.history.set_setting("device", app.device);
  if (app.state.phase != Phase::Empty && app.state.phase != Phase::Loading &&
      button(app.fonts, look, ButtonKind::Normal, "Load again with this device")) {
    app.load_file(app.state.path);
    ImGui::CloseCurrentPopup();
  }
  ImGui::EndPopup();
}

void progress(App& app, float width) {
  const Look& look = app.look;
  const TalkState& state = app.state;
  const float part =
      state.total > 0
          ? static_cast<float>(static_cast<double>(state.done) / static_cast<double>(state.total))
          : 0;
  label(app.fonts, Face::Body, look.quiet,
        shortened(app.fonts, Face::Body, "Loading " + file_name(state.path), width - look.px(240)));
  ImGui::SameLine(0, look.px(12));
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float y = at.y + look.px(14), bar = look.px(110), height = look.px(5);
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled({at.x, y}, {at.x + bar, y + height}, colour(look.line), height / 2);
  list.AddRectFilled({at.x, y}, {at.x + std::max(height, bar * part), y + height},
                     colour(look.accent), height / 2);
  ImGui::Dummy({bar, 1});
  ImGui::SameLine(0, look.px(12));
  if (button(app.fonts, look, ButtonKind::Quiet, "Cancel")) app.talk.cancel_load();
}

/// The model's name is the button that opens the menu.
void model_button(App& app, float width) {
  const Look& look = app.look;
  const bool loaded = !app.state.model.empty() && app.state.phase != Phase::Empty;
  const std::string name =
      shortened(app.fonts, Face::Body, loaded ? app.state.model : std::string("Choose a model"),
                width * 0.4f);
  if (button(app.fonts, look, ButtonKind::Normal, (name + "  \u25BE###model").c_str())) {
    app.inspector.ask_devices();
    ImGui::OpenPopup("models");
  }
  model_menu(app);
  if (!loaded) return;
  ImGui::SameLine(0, look.px(10));
  std::string where = app.state.device;
  if (app.state.plain) where += ", no chat format: continues plain text";
  const float room = ImGui::GetContentRegionAvail().x - look.px(120);
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + look.px(7));
  label(app.fonts, Face::Small, look.quiet, shortened(app.fonts, Face::Small, where, room));
  if (ImGui::IsItemHovered()) {
    ImGui::BeginTooltip();
    label(app.fonts, Face::Small, look.text, app.state.device);
    label(app.fonts, Face::Small, look.quiet, app.state.configuration);
    ImGui::EndTooltip();
  }
}

std::string offer_text(const Fit& fit) {
  if (!fit.trouble.empty()) return fit.trouble;
  const std::string sizes = fmt::format(
      "{} {}: with {} tokens of context it needs {}, and {} are free now.", fit.architecture,
      fit.name, fit.context, bytes_text(fit.needs), bytes_text(fit.available));
  return fit.fits() ? sizes + " It fits."
                    : sizes + " It may fail to load, or push other programs out of memory.";
}

}  // namespace

void show_top_bar(App& app, float width) {
  const Look& look = app.look;
  ImGui::BeginChild("top", {width, look.px(50)}, false, ImGuiWindowFlags_NoScrollbar);
  ImGui::SetCursorPos({look.px(12), look.px(10)});
  if (button(app.fonts, look, ButtonKind::Normal, "\u2630")) {
    app.show_history = !app.show_history;
    (void)app.history.set_setting("history-pane", app.show_history ? "shown" : "hidden");
  }
  ImGui::SameLine(0, look.px(8));
  if (app.state.phase == Phase::Loading)
    progress(app, width);
  else
    model_button(app, width);
  const float settings = button_width(app.fonts, look, "Settings");
  ImGui::SetCursorPos({width - settings - look.px(14), look.px(10)});
  if (button(app.fonts, look, ButtonKind::Normal, "Settings", settings))
    app.show_settings = !app.show_settings;
  ImGui::EndChild();
}

void show_offer(App& app, ImVec2 window) {
  if (!app.offer) return;
  const Look& look = app.look;
  const Fit& fit = *app.offer;
  ImGui::OpenPopup("offer");
  ImGui::SetNextWindowPos({window.x / 2, window.y * 0.38f}, ImGuiCond_Always, {0.5f, 0.5f});
  ImGui::SetNextWindowSize({look.px(460), 0});
  if (!ImGui::BeginPopupModal("offer", nullptr,
                              ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove))
    return;
  label(app.fonts, Face::Heading, look.text,
        shortened(app.fonts, Face::Heading, file_name(fit.path), look.px(420)));
  const bool runs = fit.trouble.empty();
  paragraph(app.fonts, Face::Body,
            fit.fits() ? look.text
            : runs     ? look.warn
                       : look.error,
            offer_text(fit));
  ImGui::Dummy({0, look.px(4)});
  const bool load = runs && button(app.fonts, look, ButtonKind::Strong,
                                   fit.fits() ? "Load" : "Load it all the same");
  if (runs) ImGui::SameLine();
  const bool leave = button(app.fonts, look, ButtonKind::Normal, runs ? "Leave it" : "Close");
  if (load || leave) ImGui::CloseCurrentPopup();
  ImGui::EndPopup();
  if (load) app.load_file(std::string(fit.path));
  if (load || leave) app.offer.reset();
}

}  // namespace pumice::chat
