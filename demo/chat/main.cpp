// pumice-chat: opens the history and the window. Words go to stderr; exit codes are the command's:
// 0 done, 1 failed, 2 wrong usage.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "engine/pumice.h"
#include "places.h"
#include "script.h"
#include "window.h"

namespace pumice::chat {
namespace {

constexpr const char* kHelp =
    R"(pumice-chat [FILE.gguf]: a window to talk with a language model

  -m, --model FILE      load this model (else the one used last, else the one that comes along)
  -c, --ctx-size N      tokens of context
      --device NAME     index or part of the name of a Vulkan device
      --history FILE    keep conversations there (default: the user's data folder)
      --light, --dark   colours
      --size WxH        of the window, in units
      --screenshot FILE.png   hold a scripted conversation, write the picture and end
      --sample          the picture shows conversations written beforehand, and no model
      --pacing[=FRAMES] measure frames with and without an answer being written, and end
      --frame MS, --budget MS   of --pacing: between frames (33.3), of one step (8)
      --idle[=SECONDS]  measure what an idle window costs, and end
      --version, --help
)";

/// What an option sets from its value; empty = done, else what it takes.
using Setter = const char* (*)(WindowOptions& options, const std::string& value);

const char* set_size(WindowOptions& options, const std::string& value) {
  int width = 0, height = 0;
  const bool good = std::sscanf(value.c_str(), "%dx%d", &width, &height) == 2 && width >= 320 &&
                    height >= 240 && width <= 16384 && height <= 16384;
  if (!good) return "a size such as 1180x800, at least 320x240";
  options.width = width, options.height = height;
  return "";
}

const char* set_context(WindowOptions& options, const std::string& value) {
  return std::sscanf(value.c_str(), "%u", &options.context) == 1 && value[0] != '-'
             ? ""
             : "a number of tokens";
}

template <double WindowOptions::*Member>
const char* set_ms(WindowOptions& options, const std::string& value) {
  const bool good = std::sscanf(value.c_str(), "%lf", &(options.*Member)) == 1;
  return good && options.*Member >= 0.1 && options.*Member <= 1000 ? "" : "0.1 to 1000 ms";
}

template <std::string WindowOptions::*Member>
const char* set_text(WindowOptions& options, const std::string& value) {
  options.*Member = value;
  return "";
}

template <int WindowOptions::*Member>
const char* set_count(WindowOptions& options, const std::string& value) {
  const bool good = std::sscanf(value.c_str(), "%d", &(options.*Member)) == 1;
  return good && options.*Member > 0 && options.*Member <= 1000000 ? "" : "a number above 0";
}

template <bool WindowOptions::*Member>
const char* set_flag(WindowOptions& options, const std::string&) {
  options.*Member = true;
  return "";
}

struct OptionRow {
  const char *name, *brief;
  Setter set;
  /// Value where none is written, which then must follow a "="; null = one must follow.
  const char* usual = nullptr;
};
constexpr OptionRow kOptions[] = {
    {"--model", "-m", set_text<&WindowOptions::model>},
    {"--ctx-size", "-c", set_context},
    {"--device", "", set_text<&WindowOptions::device>},
    {"--history", "", set_text<&WindowOptions::history>},
    {"--screenshot", "", set_text<&WindowOptions::screenshot>},
    {"--size", "", set_size},
    {"--frame", "", set_ms<&WindowOptions::frame_ms>},
    {"--budget", "", set_ms<&WindowOptions::budget_ms>},
    {"--pacing", "", set_count<&WindowOptions::pacing_frames>, "2000"},
    {"--idle", "", set_count<&WindowOptions::idle_seconds>, "10"},
    {"--light", "", set_flag<&WindowOptions::light>, ""},
    {"--dark", "", set_flag<&WindowOptions::dark>, ""},
    {"--sample", "", set_flag<&WindowOptions::sample>, ""},
};

Outcome<void> parse(int argc, char** argv, WindowOptions& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with('-')) {
      options.model = argument;
      continue;
    }
    const size_t equals = std::min(argument.find('='), argument.size());
    const std::string_view name = argument.substr(0, equals);
    const OptionRow* row = nullptr;
    for (const OptionRow& each : kOptions)
      if (name == each.name || (each.brief[0] && name == each.brief)) row = &each;
    if (!row) return trouble("unknown option {}; --help lists them", argument);
    std::string value = row->usual ? row->usual : "";
    if (equals < argument.size()) {
      value = argument.substr(equals + 1);
    } else if (!row->usual) {
      if (++i == argc) return trouble("{} needs a value", name);
      value = argv[i];
    }
    if (const char* takes = row->set(options, value); takes[0])
      return trouble("{}: \"{}\" is not {}", name, value, takes);
  }
  return {};
}

/// Measurements and pictures leave the user's history alone.
bool is_scripted(const WindowOptions& options) {
  return !options.screenshot.empty() || options.pacing_frames > 0 || options.idle_seconds > 0;
}

/// A history that cannot be used is said in the window, which works without one.
Outcome<std::unique_ptr<History>> open_history(const WindowOptions& options, std::string& reason) {
  const std::string path = options.history.empty() ? history_file() : options.history;
  if (is_scripted(options)) {
    auto history = History::open_in_memory();
    if (!history || !options.sample) return history;
    if (auto written = write_sample(**history); !written) return trouble_of(written);
    return history;
  }
  if (path.empty()) {
    reason = "No folder for the history is known (HOME is not set): nothing is kept this time.";
    return History::open_in_memory();
  }
  auto history = History::open(path);
  if (!history) {
    reason = history.error().text + ". Conversations are not kept this time.";
    return History::open_in_memory();
  }
  if (!(*history)->read_only_reason().empty()) reason = (*history)->read_only_reason();
  return history;
}

int fail(const std::string& words, int code) {
  std::fputs(("pumice-chat: " + words + "\n").c_str(), stderr);
  return code;
}

int run(const WindowOptions& options) {
  std::string reason;
  auto history = open_history(options, reason);
  if (!history) return fail(history.error().text, 1);
  if (!reason.empty()) fail(reason, 0);
  auto window = Window::open(options, **history);
  if (!window) return fail(window.error().text, 1);
  if (!reason.empty()) (*window)->app().chat.set_notice(reason);
  const Outcome<void> done = !options.screenshot.empty() ? (*window)->take_screenshot()
                             : options.pacing_frames > 0 ? (*window)->measure_pacing()
                             : options.idle_seconds > 0  ? (*window)->measure_idle()
                                                         : (*window)->run();
  if (!done) return fail(done.error().text, 1);
  Chat& chat = (*window)->app().chat;
  return chat.close() ? 0 : fail("the last words were not kept: " + chat.notice(), 1);
}

}  // namespace
}  // namespace pumice::chat

int main(int argc, char** argv) {
  using namespace pumice::chat;
  WindowOptions options;  // from here on time is counted
  for (int i = 1; i < argc; ++i) {
    const std::string_view each = argv[i];
    if (each == "--help" || each == "-h") return std::fputs(kHelp, stdout) < 0;
    if (each == "--version") return std::printf("pumice %s\n", pm_version()) < 0;
  }
  if (auto good = parse(argc, argv, options); !good) return fail(good.error().text, 2);
  return run(options);
}
