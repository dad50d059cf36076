// The POSIX twin of platform.h.
#include "engine/base/platform.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <vector>

namespace pumice {
namespace {

constexpr size_t kLongestLine = size_t(256) << 20;  // bytes; a pasted book is 1 MB

volatile std::sig_atomic_t interrupt_count = 0;

void on_interrupt(int) {
  interrupt_count = interrupt_count + 1;
  if (interrupt_count >= 3) _exit(1);
}

std::string words_of(int error) {
  return std::system_category().message(error);
}

Result<void> write_all(int file, std::span<const std::byte> bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(ErrorCode::Io, "{}: cannot write: {}", name, words_of(errno));
    bytes = bytes.subspan(size_t(written));
  }
  return {};
}

/// Ends with the file closed, whatever `result` says.
Result<void> closed(int file, const std::string& name, Result<void> result) {
  if (::close(file) != 0 && result)
    return fail(ErrorCode::Io, "{}: cannot write: {}", name, words_of(errno));
  return result;
}

/// For devices and pipes, which a rename would destroy.
Result<void> write_into(const std::string& name, std::span<const std::byte> bytes) {
  const int file = ::open(name.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return fail(ErrorCode::Io, "{}: cannot open: {}", name, words_of(errno));
  return closed(file, name, write_all(file, bytes, name));
}

Result<void> replace_file(const std::string& name, std::span<const std::byte> bytes) {
  std::string temporary = name + ".XXXXXX";
  const int file = ::mkstemp(temporary.data());
  if (file < 0) return fail(ErrorCode::Io, "{}: cannot create: {}", name, words_of(errno));
  Result<void> written = write_all(file, bytes, name);
  if (written && ::fchmod(file, 0644) != 0)
    written = fail(ErrorCode::Io, "{}: cannot set its mode: {}", name, words_of(errno));
  written = closed(file, name, std::move(written));
  if (written && ::rename(temporary.c_str(), name.c_str()) != 0)
    written = fail(ErrorCode::Io, "{}: cannot be replaced: {}", name, words_of(errno));
  if (!written) ::unlink(temporary.c_str());
  return written;
}

/// Standard input, buffered here so that a wait can be interrupted.
struct InputBuffer {
  std::vector<char> bytes;
  size_t begin = 0;    ///< first byte not yet handed out
  size_t scanned = 0;  ///< no line end before this byte: a long line is searched once
  bool ended = false;
};

InputBuffer& input_buffer() {
  static InputBuffer buffer;
  return buffer;
}

/// True when the buffer held a whole line (or the last one, or one that is long enough).
bool take_line(InputBuffer& in, std::string& line) {
  const size_t held = in.bytes.size() - in.begin;
  const char* data = in.bytes.data();
  const size_t unread = in.bytes.size() - in.scanned;
  const void* found = unread ? std::memchr(data + in.scanned, '\n', unread) : nullptr;
  in.scanned = in.bytes.size();
  if (!found && held < kLongestLine && !(in.ended && held > 0)) return false;
  const size_t length = found ? size_t(static_cast<const char*>(found) - data) - in.begin : held;
  line.assign(data + in.begin, length);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  in.begin += length + (found ? 1 : 0);
  in.scanned = in.begin;
  return true;
}

void read_more(InputBuffer& in) {
  in.bytes.erase(in.bytes.begin(), in.bytes.begin() + std::ptrdiff_t(in.begin));
  in.scanned -= in.begin;
  in.begin = 0;
  char chunk[65536];
  const ssize_t got = ::read(STDIN_FILENO, chunk, sizeof chunk);
  if (got > 0) in.bytes.insert(in.bytes.end(), chunk, chunk + got);
  if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) in.ended = true;
}

/// The value in KiB of a line such as "MemAvailable:  123 kB" of a proc file, as bytes.
uint64_t proc_bytes(const char* file, std::string_view key) {
  std::FILE* in = std::fopen(file, "re");
  if (!in) return 0;
  char line[256];
  uint64_t kib = 0;
  while (std::fgets(line, sizeof line, in)) {
    const std::string_view text(line);
    if (!text.starts_with(key)) continue;
    const size_t digits = text.find_first_of("0123456789", key.size());
    if (digits != std::string_view::npos) std::from_chars(line + digits, line + text.size(), kib);
    break;
  }
  std::fclose(in);
  return kib * 1024;
}

}  // namespace

std::filesystem::path cache_folder() {
  const char* base = std::getenv("XDG_CACHE_HOME");
  if (base && base[0] == '/') return std::filesystem::path(base) / "pumice";
  const char* home = std::getenv("HOME");
  if (home && home[0] == '/') return std::filesystem::path(home) / ".cache" / "pumice";
  return {};
}

std::filesystem::path program_file() {
  std::error_code unknown;
  return std::filesystem::read_symlink("/proc/self/exe", unknown);
}

Result<void> write_file_whole(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::is_other(status)) return write_into(path.string(), bytes);
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  const std::filesystem::path followed = std::filesystem::canonical(path, ignored);
  return replace_file(followed.empty() ? path.string() : followed.string(), bytes);
}

void count_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: a read that waits must wake up
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupts() {
  return interrupt_count;
}

void clear_interrupts() {
  interrupt_count = 0;
}

void prepare_standard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error of the write, like a full disk
  for (int stream = 0; stream <= 2; ++stream)  // open() takes the lowest free number
    if (::fcntl(stream, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) return;
}

bool is_terminal(Stream stream) {
  return ::isatty(static_cast<int>(stream)) == 1;
}

ReadEnd read_line(std::string& line) {
  line.clear();
  InputBuffer& in = input_buffer();
  for (;;) {
    if (take_line(in, line)) return ReadEnd::Line;
    if (in.ended) return ReadEnd::EndOfInput;
    if (interrupt_count > 0) return ReadEnd::Interrupted;
    pollfd wait = {STDIN_FILENO, POLLIN, 0};  // woken each 200 ms: a signal just before is seen
    if (::poll(&wait, 1, 200) <= 0) continue;
    read_more(in);
  }
}

void* open_library(const char* name) {
  return ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

void* library_symbol(void* library, const char* name) {
  return ::dlsym(library, name);
}

uint64_t physical_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? uint64_t(pages) * uint64_t(page) : 0;
}

uint64_t peak_resident_memory() {
  struct rusage usage = {};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  return uint64_t(usage.ru_maxrss);
#else
  return uint64_t(usage.ru_maxrss) * 1024;  // kB on Linux and the BSDs
#endif
}

uint64_t available_memory() {
  const uint64_t bytes = proc_bytes("/proc/meminfo", "MemAvailable:");
  return bytes ? bytes : physical_memory();
}

}  // namespace pumice
