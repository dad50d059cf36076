// The POSIX twin of platform_file.h.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "engine/base/platform_file.h"

namespace pumice {
namespace {

namespace fs = std::filesystem;

std::string words_of(int error) {
  return std::system_category().message(error);
}

tl::unexpected<Error> cannot(const char* what, const fs::path& path, int error) {
  const bool absent = error == ENOENT || error == ENOTDIR;
  return fail(absent ? ErrorCode::NotFound : ErrorCode::Io, "{}: cannot {}: {}", path.string(),
              what, words_of(error));
}

constexpr int kBusy = -1;  // in place of a file: another process has locked it

/// Opens and locks a part file that is still under its name, with what is in it, or kBusy.
Result<int> open_part(const fs::path& part) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    const int file =
        ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (file < 0) return cannot("create", part, errno);
    struct stat ours = {}, named = {};
    if (::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(file);
      return kBusy;
    }
    const bool regular = ::fstat(file, &ours) == 0 && S_ISREG(ours.st_mode);
    const bool still = ::lstat(part.c_str(), &named) == 0 && ours.st_ino == named.st_ino;
    if (regular && still) return file;
    ::close(file);  // its writer finished or gave up between our open and our lock: look again
    if (!regular) return fail(ErrorCode::Io, "{}: is not a regular file", part.string());
  }
  return fail(ErrorCode::Io, "{}: another process keeps replacing it", part.string());
}

/// The rename survives a power cut only when the folder is on the disk too. Not every file system
/// can do that, and the file is whole either way.
void flush_folder_of(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return;
  (void)::fsync(opened);
  ::close(opened);
}

}  // namespace

struct NewFile::State {
  fs::path target, part;
  int file = -1;
  uint64_t size = 0;
  bool kept = false;  ///< an unfinished file stays
  bool finished = false;

  static Result<std::unique_ptr<State>> open(const fs::path& target) {
    auto state = std::make_unique<State>();
    PUMICE_TRY_ASSIGN(state->target, final_target(target));
    state->part = part_path(state->target);
    PUMICE_TRY_ASSIGN(state->file, open_part(state->part));
    return state;
  }
};

NewFile::NewFile(std::unique_ptr<State> state) : state_(std::move(state)) {}

NewFile::~NewFile() {
  const bool left = state_->kept && state_->size > 0;
  if (state_->file >= 0 && !state_->finished && !left) ::unlink(state_->part.c_str());
  if (state_->file >= 0) ::close(state_->file);
}

Result<std::unique_ptr<NewFile>> NewFile::create(const fs::path& target) {
  PUMICE_TRY_ASSIGN(auto state, State::open(target));
  if (state->file == kBusy)
    return fail(ErrorCode::Io, "{}: another process is writing it", state->part.string());
  std::unique_ptr<NewFile> file(new NewFile(std::move(state)));
  PUMICE_TRY(file->restart());
  return file;
}

Result<std::unique_ptr<NewFile>> NewFile::resume(const fs::path& target) {
  PUMICE_TRY_ASSIGN(auto state, State::open(target));
  if (state->file == kBusy) return nullptr;
  struct stat found = {};
  if (::fstat(state->file, &found) != 0 || ::lseek(state->file, 0, SEEK_END) < 0) {
    const int error = errno;
    ::close(state->file);
    return cannot("read", state->part, error);
  }
  state->size = uint64_t(found.st_size);
  state->kept = true;
  return std::unique_ptr<NewFile>(new NewFile(std::move(state)));
}

uint64_t NewFile::size() const {
  return state_->size;
}

Result<void> NewFile::read(uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t got = ::pread(state_->file, into.data(), into.size(), off_t(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot("read", state_->part, errno);
    if (got == 0) return fail(ErrorCode::Io, "{}: ends too early", state_->part.string());
    into = into.subspan(size_t(got));
    offset += uint64_t(got);
  }
  return {};
}

Result<void> NewFile::restart() {
  if (::ftruncate(state_->file, 0) != 0 || ::lseek(state_->file, 0, SEEK_SET) < 0)
    return cannot("empty", state_->part, errno);
  state_->size = 0;
  return {};
}

Result<void> NewFile::write(std::span<const std::byte> bytes) {
  constexpr size_t kChunk = size_t(1) << 30;  // Linux writes at most 2^31 - 4096 bytes per call
  while (!bytes.empty()) {
    const ssize_t written =
        ::write(state_->file, bytes.data(), bytes.size() < kChunk ? bytes.size() : kChunk);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot("write", state_->part, errno);
    bytes = bytes.subspan(size_t(written));
    state_->size += uint64_t(written);
  }
  return {};
}

Result<void> NewFile::finish() {
  if (::fsync(state_->file) != 0) return cannot("write", state_->part, errno);
  if (::rename(state_->part.c_str(), state_->target.c_str()) != 0)
    return cannot("replace", state_->target, errno);
  state_->finished = true;
  flush_folder_of(state_->target);
  return {};
}

}  // namespace pumice
