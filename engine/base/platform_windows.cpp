// The Windows twin of platform.h.
#include "engine/base/platform.h"

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
// psapi.h needs windows.h before it
#include <fcntl.h>
#include <io.h>
#include <psapi.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <system_error>

namespace pumice {
namespace {

constexpr size_t kLongestLine = size_t(256) << 20;  // bytes

std::atomic<int> interrupt_count{0};

BOOL WINAPI on_interrupt(DWORD) {
  if (interrupt_count.fetch_add(1) >= 2) ExitProcess(1);
  return TRUE;
}

std::string words_of_last_error() {
  return std::system_category().message(static_cast<int>(GetLastError()));
}

}  // namespace

std::filesystem::path cache_folder() {
  const wchar_t* base = _wgetenv(L"LOCALAPPDATA");
  return base && *base ? std::filesystem::path(base) / "pumice" : std::filesystem::path();
}

std::filesystem::path program_file() {
  std::wstring name(32768, L'\0');
  name.resize(GetModuleFileNameW(nullptr, name.data(), DWORD(name.size())));
  return name;
}

Result<void> write_file_whole(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  std::filesystem::path temporary = path;
  temporary += "." + std::to_string(GetCurrentProcessId()) + ".new";
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  out.close();
  if (!out) {
    std::filesystem::remove(temporary, ignored);
    return fail(ErrorCode::Io, "{}: cannot write", path.string());
  }
  if (!MoveFileExW(temporary.c_str(), path.c_str(), MOVEFILE_REPLACE_EXISTING)) {
    const std::string words = words_of_last_error();
    std::filesystem::remove(temporary, ignored);
    return fail(ErrorCode::Io, "{}: cannot be replaced: {}", path.string(), words);
  }
  return {};
}

void count_interrupts() {
  SetConsoleCtrlHandler(on_interrupt, TRUE);
}

int interrupts() {
  return interrupt_count.load();
}

void clear_interrupts() {
  interrupt_count = 0;
}

void prepare_standard_streams() {
  SetConsoleOutputCP(CP_UTF8);
  SetConsoleCP(CP_UTF8);
  _setmode(1, _O_BINARY);
}

bool is_terminal(Stream stream) {
  return _isatty(static_cast<int>(stream)) != 0;
}

ReadEnd read_line(std::string& line) {
  line.clear();
  for (int c; (c = std::getchar()) != EOF && line.size() < kLongestLine;) {
    if (c == '\n') return ReadEnd::Line;
    if (c != '\r') line.push_back(static_cast<char>(c));
  }
  if (!line.empty()) return ReadEnd::Line;
  return interrupts() > 0 ? ReadEnd::Interrupted : ReadEnd::EndOfInput;
}

void* open_library(const char* name) {
  return reinterpret_cast<void*>(LoadLibraryA(name));
}

void* library_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

uint64_t physical_memory() {
  MEMORYSTATUSEX status = {};
  status.dwLength = sizeof status;
  return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : 0;
}

uint64_t available_memory() {
  MEMORYSTATUSEX status = {};
  status.dwLength = sizeof status;
  return GlobalMemoryStatusEx(&status) ? status.ullAvailPhys : 0;
}

uint64_t peak_resident_memory() {
  PROCESS_MEMORY_COUNTERS counters = {};
  return K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters)
             ? counters.PeakWorkingSetSize
             : 0;
}

}  // namespace pumice
