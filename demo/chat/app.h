// The window's state, and its frame: history on the left, the conversation in the middle, settings
// on the right. Each part is a function in a file of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "chat.h"
#include "editor.h"
#include "fonts.h"
#include "inspect.h"
#include "look.h"
#include "message_view.h"

namespace pumice::chat {

struct SamplerPreset {
  const char* name;
  const char* what;  ///< in a few words
  pm_sampling sampling;
};
[[nodiscard]] const std::vector<SamplerPreset>& sampler_presets();

struct App {
  App(Fonts& fonts, History& history, std::function<void()> wake);

  /// One frame of Dear ImGui, `size` units wide and high.
  void frame(ImVec2 size);
  /// The density or the colours changed.
  void restyle(float unit);
  /// A file came by drag and drop, from the recent ones or from the command line.
  void offer_file(const std::string& path);
  void load_file(const std::string& path);
  /// The model that was used last, or the one that comes along; empty = neither is there.
  [[nodiscard]] std::string usual_model() const;
  void set_dark(bool to);
  void save_sampling();

  Fonts& fonts;
  History& history;
  Talk talk;
  Chat chat;
  Inspector inspector;
  Look look;
  TalkState state;  ///< of this frame

  // what the parts remember
  Editor draft, rewording;
  std::string search, system_text, typed_path;
  std::vector<SearchHit> hits;
  std::string hits_for;    ///< the search that `hits` answers
  int64_t editing = 0;     ///< message that is in `rewording`
  int64_t jump_to = 0;     ///< message to scroll to
  int64_t copied = 0;      ///< message whose copy button was pressed last
  int64_t system_of = -1;  ///< conversation whose prompt is in system_text
  bool show_history = true, show_settings = false;
  bool follow = true;  ///< the end of the conversation stays in sight
  std::unordered_map<int64_t, MessageView> views;
  std::string told;          ///< why no model is loaded, as the banner said
  std::optional<Fit> offer;  ///< a file that waits for the person's word
  bool inspecting = false;
  std::vector<DeviceChoice> devices;
  std::string device;  ///< chosen; empty = the best
  int context = 0;     ///< tokens; 0 = as the model says
  std::vector<std::string> recent;
  int preset = 0;
};

void show_history_pane(App& app, ImVec2 size);
void show_top_bar(App& app, float width);
void show_messages(App& app, ImVec2 size);
void show_composer(App& app, float width);
void show_settings_pane(App& app, ImVec2 size);
void show_offer(App& app, ImVec2 window);
/// Height that the composer takes now.
[[nodiscard]] float composer_height(App& app, float width);

}  // namespace pumice::chat
