// Other programs, what they and libraries inherit, and what this machine calls itself. One twin per
// operating system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace pumice {

struct CommandOutput {
  int exit = 0;     ///< as a shell says it: 128 + signal where a signal ended the command
  std::string out;  ///< its standard output; standard error and input are ours
};

/// Runs a command line in the system's shell (sh, cmd.exe) and waits for its end. Io when it cannot
/// be started, or when it prints more than `most` bytes (it is then ended).
[[nodiscard]] Result<CommandOutput> run_command(const std::string& line, size_t most = 1u << 20);

/// One word of a command line, whatever characters it has.
[[nodiscard]] std::string shell_word(const std::string& text);

/// A variable of this process's environment; empty when it is not set.
[[nodiscard]] std::string environment(const char* name);
/// Sets one, or removes it (null), for libraries that are loaded later. Before the first thread.
void set_environment(const char* name, const char* value);

/// Processor time of all cores since the system began, in ticks of its own.
struct ProcessorTime {
  uint64_t total = 0;   ///< 0 = the system does not tell
  uint64_t stolen = 0;  ///< of it, what a hypervisor gave to other guests
};
[[nodiscard]] ProcessorTime processor_time();

[[nodiscard]] std::string processor_name();  ///< "Intel(R) Xeon(R) ..."; empty = unknown
[[nodiscard]] std::string system_name();     ///< "Linux 6.1.0 x86_64"

}  // namespace pumice
