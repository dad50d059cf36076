// What the engine and its programs ask of the operating system, beside mapping files
// (loader/mapped_file): folders, signals, terminals, memory. One twin per system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace pumice {

/// Where caches of this user live: $XDG_CACHE_HOME/pumice, ~/.cache/pumice, %LOCALAPPDATA%\pumice.
/// Empty when the environment names none. Nothing is created.
[[nodiscard]] std::filesystem::path cache_folder();

/// The running program's own file, its symbolic links followed; empty = the system won't say.
[[nodiscard]] std::filesystem::path program_file();

/// Writes a file beside its target and renames it over it: a reader sees all of it or none.
/// Creates the folder. The previous file stays when anything fails. A symbolic link is followed; a
/// device or pipe is written as it is.
[[nodiscard]] Result<void> write_file_whole(const std::filesystem::path& path,
                                            std::span<const std::byte> bytes);

/// From now on Ctrl-C (and a request to terminate) only counts; the program asks and stops itself.
/// The third one unanswered ends the process, should it hang.
void count_interrupts();
[[nodiscard]] int interrupts();
/// Forgets those that were answered.
void clear_interrupts();

/// Makes the three standard streams safe to use: one that the parent closed leads nowhere instead
/// of into the next file we open, a closed pipe or a file-size limit becomes an error of the write
/// that meets it, and a console takes UTF-8.
void prepare_standard_streams();

enum class Stream { Input = 0, Output = 1, Error = 2 };
[[nodiscard]] bool is_terminal(Stream stream);

enum class ReadEnd {
  Line,         ///< `line` holds one line without its end
  EndOfInput,   ///< nothing more; `line` is empty
  Interrupted,  ///< Ctrl-C came while waiting
};
/// Reads a line from standard input, waking up for Ctrl-C. Lines are capped at 256 MiB.
[[nodiscard]] ReadEnd read_line(std::string& line);

/// Opens a shared library by its name for the rest of the process's life; null when absent.
[[nodiscard]] void* open_library(const char* name);
/// The address of a library's function, or null.
[[nodiscard]] void* library_symbol(void* library, const char* name);

/// Bytes of physical memory, and the most this process has ever held; 0 = unknown.
[[nodiscard]] uint64_t physical_memory();
[[nodiscard]] uint64_t peak_resident_memory();
/// Bytes of physical memory that a new allocation can have without swapping; 0 = unknown.
[[nodiscard]] uint64_t available_memory();

}  // namespace pumice
