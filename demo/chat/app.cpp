#include "app.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "places.h"

namespace pumice::chat {
namespace {

constexpr size_t kRecent = 8;
constexpr float kHistoryWidth = 264, kSettingsWidth = 320, kTopHeight = 50;

pm_sampling preset_of(float temperature, uint32_t top_k, float top_p, float min_p, float penalty) {
  pm_sampling sampling = PM_SAMPLING_DEFAULTS;
  sampling.temperature = temperature;
  sampling.top_k = top_k;
  sampling.top_p = top_p;
  sampling.min_p = min_p;
  sampling.repeat_penalty = penalty;
  return sampling;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string sampling_text(const pm_sampling& of) {
  return fmt::format("{} {} {} {} {} {}", of.temperature, of.top_k, of.top_p, of.min_p,
                     of.repeat_penalty, of.max_tokens);
}

void read_sampling(const std::string& text, pm_sampling& into) {
  pm_sampling read = into;
  if (std::sscanf(text.c_str(), "%f %u %f %f %f %u", &read.temperature, &read.top_k, &read.top_p,
                  &read.min_p, &read.repeat_penalty, &read.max_tokens) == 6)
    into = read;
}

}  // namespace

const std::vector<SamplerPreset>& sampler_presets() {
  static const std::vector<SamplerPreset> presets = {
      {"Balanced", "the command line's defaults", preset_of(0.8f, 40, 0.95f, 0.05f, 1.0f)},
      {"Precise", "always the likeliest word", preset_of(0.0f, 1, 1.0f, 0.0f, 1.0f)},
      {"Creative", "rarer words, fewer repeats", preset_of(1.1f, 0, 0.98f, 0.03f, 1.1f)},
      {"Steady", "for small models that repeat themselves",
       preset_of(0.6f, 40, 0.9f, 0.05f, 1.15f)},
  };
  return presets;
}

App::App(Fonts& font_set, History& store, std::function<void()> wake)
    : fonts(font_set), history(store), talk(wake), chat(store, talk), inspector(wake) {
  look.dark = history.setting("colours") != "light";
  show_history = history.setting("history-pane") != "hidden";
  recent = lines_of(history.setting("recent"));
  device = history.setting("device");
  context = std::atoi(history.setting("context").c_str());
  preset = std::atoi(history.setting("preset").c_str());
  chat.sampling = sampler_presets()[0].sampling;
  read_sampling(history.setting("sampling"), chat.sampling);
  inspector.ask_devices();
  draft.focus();
}

void App::restyle(float unit) {
  look = make_look(look.dark, unit);
  apply_style(look);
}

void App::set_dark(bool to) {
  look.dark = to;
  restyle(look.unit);
  (void)history.set_setting("colours", to ? "dark" : "light");
}

void App::save_sampling() {
  (void)history.set_setting("sampling", sampling_text(chat.sampling));
  (void)history.set_setting("preset", std::to_string(preset));
}

void App::offer_file(const std::string& path) {
  offer.reset();
  inspecting = true;
  inspector.ask(path, device, static_cast<uint32_t>(std::max(0, context)));
}

void App::load_file(const std::string& path) {
  offer.reset();
  std::erase(recent, path);
  recent.insert(recent.begin(), path);
  if (recent.size() > kRecent) recent.resize(kRecent);
  std::string lines;
  for (const std::string& each : recent) lines += each + "\n";
  (void)history.set_setting("recent", lines);
  talk.load({path, device, static_cast<uint32_t>(std::max(0, context)), pipelines_file()});
}

std::string App::usual_model() const {
  std::error_code ignored;
  if (!recent.empty() && std::filesystem::is_regular_file(recent[0], ignored)) return recent[0];
  return built_in_model();
}

void App::frame(ImVec2 size) {
  chat.poll();
  state = talk.state();
  if (auto fit = inspector.take_fit()) {
    inspecting = false;
    offer = std::move(fit);
  }
  if (auto found = inspector.take_devices()) devices = std::move(*found);
  if (state.phase == Phase::Loading) told.clear();
  if (state.phase == Phase::Empty && state.trouble != told && !chat.busy()) {
    told = state.trouble;
    chat.set_notice(told);
  }

  ImGui::SetNextWindowPos({0, 0});
  ImGui::SetNextWindowSize(size);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(0, 0));
  ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 0.0f);
  // The page behind everything is the colour that the frame is cleared to.
  ImGui::Begin("pumice", nullptr,
               ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove |
                   ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoBackground |
                   ImGuiWindowFlags_NoBringToFrontOnFocus);
  ImGui::PopStyleVar(3);
  const bool wide = size.x >= look.px(760);
  const float left = show_history && wide ? look.px(kHistoryWidth) : 0;
  const float right = show_settings ? look.px(kSettingsWidth) : 0;
  const float middle = std::max(look.px(200), size.x - left - right);
  const float top = look.px(kTopHeight), bottom = composer_height(*this, middle);
  if (left > 0) {
    ImGui::SetCursorPos({0, 0});
    show_history_pane(*this, {left, size.y});
  }
  ImGui::SetCursorPos({left, 0});
  show_top_bar(*this, middle);
  ImGui::SetCursorPos({left, top});
  show_messages(*this, {middle, std::max(1.0f, size.y - top - bottom)});
  ImGui::SetCursorPos({left, size.y - bottom});
  show_composer(*this, middle);
  if (right > 0) {
    ImGui::SetCursorPos({size.x - right, 0});
    show_settings_pane(*this, {right, size.y});
  }
  show_offer(*this, size);
  ImGui::End();
}

}  // namespace pumice::chat
