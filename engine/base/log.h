// Messages for people: one line each, to one sink that the host may replace. Never stdout.
// Failures are Results, not log lines; this is for what a run says beside its result.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace pumice {

enum class LogLevel {
  Debug,    ///< decisions and sizes, shown by --verbose
  Info,     ///< progress a user may want to see
  Warning,  ///< the run goes on, but not as asked
};

/// Receives one line without its line end. May be called from several threads, one at a time.
using LogSink = void (*)(LogLevel level, std::string_view line, void* user);

/// Null restores the default sink, which writes "pumice: line" to stderr.
void set_log_sink(LogSink sink, void* user);
/// Lines below the level are dropped before they are formatted. The default is Warning.
void set_log_level(LogLevel level);
[[nodiscard]] bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view line);

template <class... Args>
void log_debug(fmt::format_string<Args...> text, Args&&... args) {
  if (log_enabled(LogLevel::Debug))
    log_line(LogLevel::Debug, fmt::format(text, std::forward<Args>(args)...));
}

template <class... Args>
void log_info(fmt::format_string<Args...> text, Args&&... args) {
  if (log_enabled(LogLevel::Info))
    log_line(LogLevel::Info, fmt::format(text, std::forward<Args>(args)...));
}

template <class... Args>
void log_warning(fmt::format_string<Args...> text, Args&&... args) {
  if (log_enabled(LogLevel::Warning))
    log_line(LogLevel::Warning, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace pumice
