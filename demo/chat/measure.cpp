// What the window does without a person: a scripted conversation for a screenshot, and the figures
// of README: frames while an answer is written, and the cost of doing nothing.
#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "script.h"
#include "window.h"

namespace pumice::chat {
namespace {

/// The value that so much of all are below.
float part_of(std::vector<float> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1))];
}

void say(const std::string& line) {
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

double seconds(std::chrono::steady_clock::duration of) {
  return std::chrono::duration<double>(of).count();
}

const char* verdict(float value, double most) {
  return value <= most ? "within" : "over";
}

}  // namespace

Outcome<void> Window::wait_for_model() {
  do {
    if (auto drawn = frames_after_events(); !drawn) return drawn;
    if (app_->talk.state().phase == Phase::Loading) glfwWaitEventsTimeout(0.1);
  } while (app_->talk.state().phase == Phase::Loading && !glfwWindowShouldClose(window_));
  return {};
}

Outcome<void> Window::take_screenshot() {
  Script script;
  app_->show_history = true;
  if (options_.model.empty() && !app_->chat.list().empty())
    app_->chat.open(app_->chat.list().front().id);
  if (auto loaded = wait_for_model(); !loaded) return loaded;
  for (bool done = options_.model.empty(); !done && !glfwWindowShouldClose(window_);) {
    if (auto drawn = frames_after_events(); !drawn) return drawn;
    done = script.step(*app_);
    if (!done) glfwWaitEventsTimeout(0.1);
  }
  frames_due_ = kSettle + 1;
  if (auto drawn = frames_after_events(); !drawn) return drawn;
  build_frame();
  return screen_->save(options_.screenshot, *ImGui::GetDrawData(), fonts_->texture(),
                       app_->look.page);
}

/// A frame every frame_ms, whether something changed or not; how long each took, in ms.
Outcome<std::vector<float>> Window::timed_frames(bool talking) {
  std::vector<float> took;
  const double pace = options_.frame_ms / 1e3;
  double next = glfwGetTime();
  const double asked = next;
  while (static_cast<int>(took.size()) < options_.pacing_frames) {
    if (talking && !app_->chat.busy()) {
      app_->chat.begin_new();
      if (!app_->chat.send("Tell me a long story about a stone that could swim."))
        return trouble("{}", app_->chat.notice());
    }
    const double begun = glfwGetTime();
    if (auto drawn = frame(); !drawn) return trouble_of(drawn);
    took.push_back(static_cast<float>((glfwGetTime() - begun) * 1e3));
    if (talking && first_word_ms_ == 0 && !app_->chat.messages().back().text.empty())
      first_word_ms_ = static_cast<float>((glfwGetTime() - asked) * 1e3);
    next = std::max(next + pace, glfwGetTime());
    while (glfwGetTime() < next) glfwWaitEventsTimeout(std::max(1e-4, next - glfwGetTime()));
  }
  return took;
}

Outcome<void> Window::measure_pacing() {
  if (auto loaded = wait_for_model(); !loaded) return loaded;
  const auto ready = std::chrono::steady_clock::now();
  if (app_->talk.state().phase == Phase::Empty) return trouble("{}", app_->talk.state().trouble);
  auto idle = timed_frames(false);
  if (!idle) return trouble_of(idle);
  (void)app_->talk.take_step_ms();
  const uint64_t before = app_->talk.state().written;
  const double begun = glfwGetTime();
  auto busy = timed_frames(true);
  if (!busy) return trouble_of(busy);
  const double took = glfwGetTime() - begun;
  const TalkState state = app_->talk.state();
  app_->chat.stop();
  const std::vector<float> steps = app_->talk.take_step_ms();
  const float quiet = part_of(*idle, 0.99), loud = part_of(*busy, 0.99);
  const double most_frame = quiet + options_.budget_ms + 4, most_step = options_.budget_ms * 1.25;
  say(fmt::format("start            first frame after {:.2f} s, model ready after {:.2f} s\n",
                  seconds(first_frame_ - options_.started), seconds(ready - options_.started)));
  say(fmt::format("frames, idle     p50 {:.1f} ms, p99 {:.1f} ms ({}, one each {:.1f} ms)\n",
                  part_of(*idle, 0.5), quiet, idle->size(), options_.frame_ms));
  say(fmt::format("frames, talking  p50 {:.1f} ms, p99 {:.1f} ms ({} in {:.1f} s): {} {:.1f} ms\n",
                  part_of(*busy, 0.5), loud, busy->size(), took, verdict(loud, most_frame),
                  most_frame));
  say(fmt::format("steps of {:.0f} ms    p50 {:.1f} ms, p99 {:.1f} ms ({}): {} {:.1f} ms\n",
                  options_.budget_ms, part_of(steps, 0.5), part_of(steps, 0.99), steps.size(),
                  verdict(part_of(steps, 0.99), most_step), most_step));
  say(fmt::format("answers          first word after {:.0f} ms, {:.1f} tokens/s\n", first_word_ms_,
                  static_cast<double>(state.written - before) / took));
  return {};
}

Outcome<void> Window::measure_idle() {
  const auto wait = [&](double length) -> Outcome<void> {
    const double end = glfwGetTime() + length;
    while (glfwGetTime() < end && !glfwWindowShouldClose(window_)) {
      glfwWaitEventsTimeout(end - glfwGetTime());
      if (glfwGetTime() >= end && frames_due_ == 0) break;
      if (auto drawn = frames_after_events(); !drawn) return drawn;
    }
    return {};
  };
  if (auto loaded = wait_for_model(); !loaded) return loaded;
  if (auto settled = wait(2.0); !settled) return settled;  // devices are listed meanwhile
  const uint64_t frames = frames_;
  const std::clock_t before = std::clock();
  if (auto idle = wait(options_.idle_seconds); !idle) return idle;
  const double busy = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  say(fmt::format("{} frames and {:.3f} % of a core in {} s of idleness\n", frames_ - frames,
                  100 * busy / options_.idle_seconds, options_.idle_seconds));
  return {};
}

}  // namespace pumice::chat
