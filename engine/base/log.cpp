// The sink, the level and the lock around them.
#include "engine/base/log.h"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>

namespace pumice {
namespace {

struct Log {
  std::mutex lock;
  LogSink sink = nullptr;
  void* user = nullptr;
  std::atomic<LogLevel> level{LogLevel::Warning};
};

Log& the_log() {
  static Log log;
  return log;
}

/// A line may quote a file: control characters must not reach a terminal.
std::string printable(std::string_view line) {
  std::string safe(line);
  for (char& c : safe)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) c = '?';
  return safe;
}

}  // namespace

void set_log_sink(LogSink sink, void* user) {
  Log& log = the_log();
  const std::lock_guard guard(log.lock);
  log.sink = sink;
  log.user = user;
}

void set_log_level(LogLevel level) {
  the_log().level.store(level, std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) {
  return level >= the_log().level.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, std::string_view line) {
  if (!log_enabled(level)) return;
  const std::string safe = printable(line);
  Log& log = the_log();
  const std::lock_guard guard(log.lock);
  if (log.sink) return log.sink(level, safe, log.user);
  std::fprintf(stderr, level == LogLevel::Warning ? "pumice: warning: %s\n" : "pumice: %s\n",
               safe.c_str());
}

}  // namespace pumice
