// The operating system's window: events in, frames out. It sleeps in glfwWaitEvents until a person
// or the model's thread has something new, and draws nothing otherwise.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "app.h"
#include "screen.h"

struct GLFWwindow;

namespace pumice::chat {

struct WindowOptions {
  std::string model, device, history, screenshot;
  uint32_t context = 0;
  int width = 1180, height = 800;  ///< in units, whatever the display's density
  int idle_seconds = 0;            ///< measure how little an idle window does, and end
  int pacing_frames = 0;           ///< measure frames with and without an answer, and end
  double frame_ms = 33.3;          ///< between frames where pacing is measured
  double budget_ms = 8;            ///< of the engine in one piece
  bool light = false, dark = false;
  bool sample = false;  ///< no model: conversations that were written down beforehand
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

/// Frames after an event: Dear ImGui needs a second one to settle.
inline constexpr int kSettle = 3;

class Window {
 public:
  [[nodiscard]] static Outcome<std::unique_ptr<Window>> open(const WindowOptions& options,
                                                             History& history);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  [[nodiscard]] App& app() { return *app_; }
  /// Until it is closed.
  [[nodiscard]] Outcome<void> run();
  /// Plays the script, writes the picture, and ends.
  [[nodiscard]] Outcome<void> take_screenshot();
  /// Prints frames and processor time of a window that nobody touches.
  [[nodiscard]] Outcome<void> measure_idle();
  /// Prints frame times at an even pace, first alone and then while answers are written.
  [[nodiscard]] Outcome<void> measure_pacing();

 private:
  explicit Window(const WindowOptions& options) : options_(options) {}
  Outcome<void> create(History& history);
  void install_callbacks();
  void adapt_density();
  void build_frame();
  Outcome<void> frame();
  Outcome<void> renew_screen();
  void lend_device();
  Outcome<void> frames_after_events();
  Outcome<void> wait_for_model();
  Outcome<std::vector<float>> timed_frames(bool talking);

  WindowOptions options_;
  GLFWwindow* window_ = nullptr;
  bool glfw_ = false, platform_ = false;
  std::unique_ptr<Screen> screen_;
  std::unique_ptr<Fonts> fonts_;
  std::unique_ptr<App> app_;
  int frames_due_ = kSettle;
  uint64_t frames_ = 0;  ///< drawn so far
  int renewals_ = 0;     ///< devices that were lost
  int restarts_ = 0;     ///< frames in a row in which the glyph atlas was full
  std::chrono::steady_clock::time_point first_frame_;
  float first_word_ms_ = 0;  ///< from Enter, where pacing is measured
};

}  // namespace pumice::chat
