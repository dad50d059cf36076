// The POSIX twin of platform_process.h.
#include "engine/base/platform_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>

extern char** environ;

namespace pumice {
namespace {

std::string words_of(int error) {
  return std::system_category().message(error);
}

/// Starts `sh -c line` with its output in `pipe`, and with those signals at their defaults that our
/// process ignores (prepare_standard_streams).
int spawn_shell(const std::string& line, const int (&pipe)[2], pid_t& child) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  if (const int failed = ::posix_spawn_file_actions_init(&files)) return failed;
  if (const int failed = ::posix_spawnattr_init(&attributes)) {
    ::posix_spawn_file_actions_destroy(&files);
    return failed;
  }
  ::posix_spawn_file_actions_adddup2(&files, pipe[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addclose(&files, pipe[0]);
  ::posix_spawn_file_actions_addclose(&files, pipe[1]);
  sigset_t usual;
  ::sigemptyset(&usual);
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM}) ::sigaddset(&usual, signal);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::string words[] = {"sh", "-c", line};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  const int failed = ::posix_spawn(&child, "/bin/sh", &files, &attributes, arguments, environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  return failed;
}

/// False when there is more than `most`, or when reading fails.
bool read_all(int file, size_t most, std::string& out) {
  char bytes[4096];
  for (;;) {
    const ssize_t n = ::read(file, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) return true;
    if (n < 0 || out.size() + size_t(n) > most) return false;
    out.append(bytes, size_t(n));
  }
}

}  // namespace

Result<CommandOutput> run_command(const std::string& line, size_t most) {
  int pipe[2];
  if (::pipe(pipe) != 0)
    return fail(ErrorCode::Io, "\"{}\": cannot start: {}", line, words_of(errno));
  pid_t child = 0;
  const int failed = spawn_shell(line, pipe, child);
  ::close(pipe[1]);
  if (failed != 0) {
    ::close(pipe[0]);
    return fail(ErrorCode::Io, "\"{}\": cannot start: {}", line, words_of(failed));
  }
  CommandOutput output;
  const bool whole = read_all(pipe[0], most, output.out);
  ::close(pipe[0]);
  if (!whole) ::kill(child, SIGTERM);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail(ErrorCode::Io, "\"{}\": {}", line, words_of(errno));
  if (!whole)
    return fail(ErrorCode::Io, "\"{}\": its output cannot be read, or is over {} bytes", line,
                most);
  output.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

void set_environment(const char* name, const char* value) {
  if (value)
    ::setenv(name, value, 1);
  else
    ::unsetenv(name);
}

ProcessorTime processor_time() {
  std::ifstream file("/proc/stat");
  std::string name;
  file >> name;  // "cpu", then user, nice, system, idle, iowait, irq, softirq, steal
  constexpr int kFields = 8, kStolen = 7;
  ProcessorTime time;
  for (int i = 0; i < kFields; ++i) {
    uint64_t ticks = 0;
    if (!(file >> ticks)) return {};
    time.total += ticks;
    if (i == kStolen) time.stolen = ticks;
  }
  return time;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos)
      return line.substr(colon + 2);
  }
  return {};
}

std::string system_name() {
  struct utsname names = {};
  if (::uname(&names) < 0) return {};
  return fmt::format("{} {} {}", names.sysname, names.release, names.machine);
}

}  // namespace pumice
