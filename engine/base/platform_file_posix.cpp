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

/// Opens and locks a part file that is still under its name, empty.
Result<int> open_part(const fs::path& part) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    const int file =
        ::open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (file < 0) return cannot("create", part, errno);
    struct stat ours = {}, named = {};
    if (::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(file);
      return fail(ErrorCode::Io, "{}: another process is writing it", part.string());
    }
    const bool regular = ::fstat(file, &ours) == 0 && S_ISREG(ours.st_mode);
    const bool still = ::lstat(part.c_str(), &named) == 0 && ours.st_ino == named.st_ino;
    if (regular && still && ::ftruncate(file, 0) == 0) return file;
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
  bool finished = false;
};

NewFile::NewFile(std::unique_ptr<State> state) : state_(std::move(state)) {}

NewFile::~NewFile() {
  if (state_->file >= 0 && !state_->finished) ::unlink(state_->part.c_str());
  if (state_->file >= 0) ::close(state_->file);
}

Result<std::unique_ptr<NewFile>> NewFile::create(const fs::path& target) {
  auto state = std::make_unique<State>();
  PUMICE_TRY_ASSIGN(state->target, final_target(target));
  state->part = part_path(state->target);
  PUMICE_TRY_ASSIGN(state->file, open_part(state->part));
  return std::unique_ptr<NewFile>(new NewFile(std::move(state)));
}

Result<void> NewFile::write(std::span<const std::byte> bytes) {
  constexpr size_t kChunk = size_t(1) << 30;  // Linux writes at most 2^31 - 4096 bytes per call
  while (!bytes.empty()) {
    const ssize_t written =
        ::write(state_->file, bytes.data(), bytes.size() < kChunk ? bytes.size() : kChunk);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot("write", state_->part, errno);
    bytes = bytes.subspan(size_t(written));
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
