// The right pane: the system prompt of this conversation, how answers are sampled, and the looks.
#include <fmt/format.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include <algorithm>

#include "app.h"

namespace pumice::chat {
namespace {

void heading(App& app, const char* text) {
  ImGui::Dummy({0, app.look.px(6)});
  label(app.fonts, Face::Bold, app.look.text, text);
}

void system_prompt(App& app) {
  const Look& look = app.look;
  if (app.system_of != app.chat.current().id) {
    app.system_of = app.chat.current().id;
    app.system_text = app.chat.current().system;
  }
  heading(app, "System prompt");
  app.fonts.need(Face::Body, app.system_text);
  ImGui::InputTextMultiline("##system", &app.system_text, {-1, look.px(120)});
  if (ImGui::IsItemDeactivatedAfterEdit()) app.chat.set_system(app.system_text);
  paragraph(app.fonts, Face::Small, look.quiet,
            "What the model should be; read before the conversation, and kept with it.");
}

struct SliderRow {
  const char* name;
  float pm_sampling::*value;
  float least, most;
  const char* format;
  const char* what;
};

constexpr SliderRow kSliders[] = {
    {"Temperature", &pm_sampling::temperature, 0, 2, "%.2f", "0: always the likeliest word"},
    {"Top p", &pm_sampling::top_p, 0, 1, "%.2f", "keep the likeliest up to this share"},
    {"Min p", &pm_sampling::min_p, 0, 0.5f, "%.2f", "drop what is below this part of the best"},
    {"Repeat penalty", &pm_sampling::repeat_penalty, 1, 1.5f, "%.2f", "1: repeats are welcome"},
};

bool slider_row(App& app, const SliderRow& row) {
  const Look& look = app.look;
  ImGui::PushID(row.name);
  label(app.fonts, Face::Body, look.text, row.name);
  ImGui::SameLine(look.px(128));
  ImGui::SetNextItemWidth(-1);
  const bool changed = ImGui::SliderFloat("##value", &(app.chat.sampling.*row.value), row.least,
                                          row.most, row.format, ImGuiSliderFlags_AlwaysClamp);
  if (ImGui::IsItemHovered() && !ImGui::IsItemActive()) ImGui::SetTooltip("%s", row.what);
  ImGui::PopID();
  return changed;
}

bool number_row(App& app, const char* name, uint32_t& value, int most, const char* what) {
  ImGui::PushID(name);
  label(app.fonts, Face::Body, app.look.text, name);
  ImGui::SameLine(app.look.px(128));
  ImGui::SetNextItemWidth(-1);
  int shown = static_cast<int>(value);
  const bool changed = ImGui::InputInt("##value", &shown, 1, 10);
  if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", what);
  ImGui::PopID();
  if (changed) value = static_cast<uint32_t>(std::clamp(shown, 0, most));
  return changed;
}

void sampling(App& app) {
  const auto& presets = sampler_presets();
  app.preset = std::clamp(app.preset, -1, static_cast<int>(presets.size()) - 1);
  heading(app, "Sampling");
  ImGui::SetNextItemWidth(-1);
  bool changed = false;
  if (ImGui::BeginCombo(
          "##preset", app.preset < 0 ? "My own" : presets[static_cast<size_t>(app.preset)].name)) {
    for (size_t i = 0; i < presets.size(); ++i) {
      const std::string row = fmt::format("{} \u2013 {}", presets[i].name, presets[i].what);
      app.fonts.need(Face::Body, row);
      if (ImGui::Selectable(row.c_str(), app.preset == static_cast<int>(i))) {
        const uint32_t longest = app.chat.sampling.max_tokens;
        app.chat.sampling = presets[i].sampling;
        app.chat.sampling.max_tokens = longest;
        app.preset = static_cast<int>(i);
        app.save_sampling();
      }
    }
    ImGui::EndCombo();
  }
  for (const SliderRow& row : kSliders) changed = slider_row(app, row) || changed;
  changed = number_row(app, "Top k", app.chat.sampling.top_k, 100000,
                       "keep this many of the likeliest; 0: all") ||
            changed;
  if (changed) app.preset = -1;
  changed = number_row(app, "Longest answer", app.chat.sampling.max_tokens, 1 << 20,
                       "tokens; 0: until it ends") ||
            changed;
  if (changed) app.save_sampling();
  ImGui::Checkbox("Another seed for every answer", &app.chat.random_seed);
}

void context_length(App& app) {
  heading(app, "Context");
  ImGui::SetNextItemWidth(-1);
  if (ImGui::InputInt("##context", &app.context, 512, 4096)) {
    app.context = std::clamp(app.context, 0, 1 << 20);
    (void)app.history.set_setting("context", std::to_string(app.context));
  }
  paragraph(app.fonts, Face::Small, app.look.quiet,
            "Tokens that a conversation may have; 0: as the model says, at most 4096. Used when a "
            "model is loaded the next time.");
}

}  // namespace

void show_settings_pane(App& app, ImVec2 size) {
  const Look& look = app.look;
  begin_pane(look, "settings", size, 16);
  system_prompt(app);
  sampling(app);
  context_length(app);
  heading(app, "Looks");
  if (ImGui::RadioButton("Dark", look.dark)) app.set_dark(true);
  ImGui::SameLine();
  if (ImGui::RadioButton("Light", !look.dark)) app.set_dark(false);
  const std::string missing = app.fonts.missing_text();
  if (!missing.empty()) paragraph(app.fonts, Face::Small, look.warn, missing);
  end_pane();
}

}  // namespace pumice::chat
