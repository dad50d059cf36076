#include "window.h"

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <backends/imgui_impl_glfw.h>

#include <algorithm>

namespace pumice::chat {
namespace {

constexpr double kRetry = 2.0;  ///< s between tries to write what the history refused
constexpr int kRenewals = 8;    ///< lost devices after which it is no accident
constexpr int kRestarts = 4;    ///< frames in a row that the atlas may begin anew: it grows thrice
/// What the platform said last; GLFW reports its failures through a callback.
std::string glfw_words;

void on_error(int, const char* words) {
  glfw_words = words ? words : "";
}

void wake() {
  glfwPostEmptyEvent();
}

int& due(GLFWwindow* window) {
  return *static_cast<int*>(glfwGetWindowUserPointer(window));
}

App* dropped_on = nullptr;  ///< GLFW's one pointer per window counts frames

}  // namespace

Outcome<std::unique_ptr<Window>> Window::open(const WindowOptions& options, History& history) {
  std::unique_ptr<Window> window(new Window(options));
  if (auto made = window->create(history); !made) return trouble_of(made);
  return window;
}

Outcome<void> Window::create(History& history) {
  glfwSetErrorCallback(on_error);
  if (!glfwInit()) return trouble("no window can be opened here: {}", glfw_words);
  glfw_ = true;
  if (!glfwVulkanSupported())
    return trouble(
        "no Vulkan loader is here; install libvulkan1 and a driver (mesa-vulkan-drivers)");
  glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
  glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
  window_ = glfwCreateWindow(options_.width, options_.height, "pumice", nullptr, nullptr);
  if (!window_) return trouble("no window can be opened here: {}", glfw_words);
  auto screen = Screen::create(window_, options_.device);
  if (!screen) return trouble_of(screen);
  screen_ = std::move(*screen);
  ImGui::CreateContext();
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  io.ConfigInputTextCursorBlink = false;  // a caret that blinks would draw for ever
  io.BackendFlags |= ImGuiBackendFlags_RendererHasVtxOffset;
  auto fonts = Fonts::create(*io.Fonts, 1.0f);
  if (!fonts) return trouble_of(fonts);
  fonts_ = std::move(*fonts);
  install_callbacks();  // before Dear ImGui's, which call them in turn
  platform_ = ImGui_ImplGlfw_InitForVulkan(window_, true);
  app_ = std::make_unique<App>(*fonts_, history, wake);
  if (options_.light || options_.dark) app_->look.dark = options_.dark;
  if (!options_.device.empty()) app_->device = options_.device;
  if (options_.context > 0) app_->context = static_cast<int>(options_.context);
  app_->talk.set_budget(static_cast<uint32_t>(options_.budget_ms * 1000));
  dropped_on = app_.get();
  lend_device();
  adapt_density();
  if (options_.model.empty() && !options_.sample) options_.model = app_->usual_model();
  if (!options_.model.empty()) app_->load_file(options_.model);
  return {};
}

Window::~Window() {
  dropped_on = nullptr;
  app_.reset();  // joins the threads that wake us
  screen_.reset();
  if (platform_) ImGui_ImplGlfw_Shutdown();
  fonts_.reset();
  if (ImGui::GetCurrentContext()) ImGui::DestroyContext();
  if (window_) glfwDestroyWindow(window_);
  if (glfw_) glfwTerminate();
}

/// Every event that a person makes asks for frames; what the threads post asks for one.
void Window::install_callbacks() {
  glfwSetWindowUserPointer(window_, &frames_due_);
  glfwSetKeyCallback(window_, [](GLFWwindow* w, int, int, int, int) { due(w) = kSettle; });
  glfwSetCharCallback(window_, [](GLFWwindow* w, unsigned) { due(w) = kSettle; });
  glfwSetMouseButtonCallback(window_, [](GLFWwindow* w, int, int, int) { due(w) = kSettle; });
  glfwSetScrollCallback(window_, [](GLFWwindow* w, double, double) { due(w) = kSettle; });
  glfwSetCursorPosCallback(window_, [](GLFWwindow* w, double, double) { due(w) = 2; });
  glfwSetCursorEnterCallback(window_, [](GLFWwindow* w, int) { due(w) = kSettle; });
  glfwSetWindowFocusCallback(window_, [](GLFWwindow* w, int) { due(w) = kSettle; });
  glfwSetWindowRefreshCallback(window_, [](GLFWwindow* w) { due(w) = kSettle; });
  glfwSetFramebufferSizeCallback(window_, [](GLFWwindow* w, int, int) { due(w) = kSettle; });
  glfwSetWindowContentScaleCallback(window_, [](GLFWwindow* w, float, float) { due(w) = kSettle; });
  glfwSetDropCallback(window_, [](GLFWwindow* w, int count, const char** paths) {
    if (dropped_on && count > 0) dropped_on->offer_file(paths[0]);
    due(w) = kSettle;
  });
}

/// Glyphs have the framebuffer's density; distances are in the window's units, which are pixels
/// on some systems and larger on others.
void Window::adapt_density() {
  float density = 1, unused = 1;
  glfwGetWindowContentScale(window_, &density, &unused);
  int width = 0, height = 0, pixels = 0;
  glfwGetWindowSize(window_, &width, &height);
  glfwGetFramebufferSize(window_, &pixels, &height);
  const float ratio =
      width > 0 && pixels > 0 ? static_cast<float>(pixels) / static_cast<float>(width) : 1;
  density = std::clamp(density, 0.5f, 6.0f);
  ImGui::GetIO().FontGlobalScale = 1 / ratio;
  if (density != fonts_->scale()) fonts_->set_scale(density);
  if (app_->look.unit != density / ratio || app_->look.page.w == 0) app_->restyle(density / ratio);
}

void Window::build_frame() {
  adapt_density();
  ImGui_ImplGlfw_NewFrame();
  ImGui::NewFrame();
  app_->frame(ImGui::GetIO().DisplaySize);
  ImGui::Render();
  ++frames_;
  // A page with more glyphs than the largest atlas holds would begin anew for ever.
  restarts_ = fonts_->take_restarted() ? restarts_ + 1 : 0;
  if (restarts_ > 0 && restarts_ <= kRestarts) frames_due_ = std::max(frames_due_, 2);
}

/// The engine rests until the frame is drawn, so that neither waits for the other's work.
Outcome<void> Window::frame() {
  if (app_->talk.wants_device() && renewals_ < kRenewals)
    if (auto renewed = renew_screen(); !renewed) return renewed;
  app_->talk.pause_for_frame();
  build_frame();
  if (frames_due_ > 0) --frames_due_;
  auto shown = screen_->show(*ImGui::GetDrawData(), fonts_->texture(), app_->look.page);
  if (shown && app_->chat.busy()) shown = screen_->finish();
  app_->talk.resume_after_frame();
  if (!shown && shown.error().lost_device && renewals_ < kRenewals) return renew_screen();
  if (frames_ == 1) first_frame_ = std::chrono::steady_clock::now();
  return shown;
}

/// The engine works on the device that draws.
void Window::lend_device() {
  if (auto host = screen_->host()) app_->talk.lend(*host, screen_->device_name());
}

/// Everything that the window and the engine have on a device, on a fresh one.
Outcome<void> Window::renew_screen() {
  ++renewals_;
  app_->talk.withdraw();
  screen_.reset();
  auto screen = Screen::create(window_, options_.device);
  if (!screen) return trouble_of(screen);
  screen_ = std::move(*screen);
  lend_device();
  frames_due_ = kSettle;
  return {};
}

Outcome<void> Window::frames_after_events() {
  do {
    if (auto drawn = frame(); !drawn) return drawn;
    if (frames_due_ > 0) glfwPollEvents();
  } while (frames_due_ > 0 && !glfwWindowShouldClose(window_));
  return {};
}

Outcome<void> Window::run() {
  while (!glfwWindowShouldClose(window_)) {
    if (auto drawn = frames_after_events(); !drawn) return drawn;
    if (app_->chat.unsaved())
      glfwWaitEventsTimeout(kRetry);
    else
      glfwWaitEvents();
  }
  return {};
}

}  // namespace pumice::chat
