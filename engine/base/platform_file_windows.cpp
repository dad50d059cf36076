// The Windows twin of platform_file.h.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "engine/base/platform_file.h"

namespace pumice {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> cannot(const char* what, const fs::path& path) {
  const DWORD error = GetLastError();
  const bool absent = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;
  return fail(absent ? ErrorCode::NotFound : ErrorCode::Io, "{}: cannot {}: {}", path.string(),
              what, std::system_category().message(static_cast<int>(error)));
}

}  // namespace

struct NewFile::State {
  fs::path target, part;
  HANDLE file = INVALID_HANDLE_VALUE;
  uint64_t size = 0;
  bool kept = false;  ///< an unfinished file stays
  bool finished = false;

  /// With what is in the file; GetLastError() says why there is no handle.
  static Result<std::unique_ptr<State>> open(const fs::path& target) {
    auto state = std::make_unique<State>();
    PUMICE_TRY_ASSIGN(state->target, final_target(target));
    state->part = part_path(state->target);
    state->file =
        CreateFileW(state->part.c_str(), GENERIC_READ | GENERIC_WRITE, 0 /* nobody beside us */,
                    nullptr, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr);
    return state;
  }
};

NewFile::NewFile(std::unique_ptr<State> state) : state_(std::move(state)) {}

NewFile::~NewFile() {
  if (state_->file == INVALID_HANDLE_VALUE) return;
  CloseHandle(state_->file);
  const bool left = state_->kept && state_->size > 0;
  if (!state_->finished && !left) DeleteFileW(state_->part.c_str());
}

Result<std::unique_ptr<NewFile>> NewFile::create(const fs::path& target) {
  PUMICE_TRY_ASSIGN(auto state, State::open(target));
  if (state->file == INVALID_HANDLE_VALUE) return cannot("create", state->part);
  std::unique_ptr<NewFile> file(new NewFile(std::move(state)));
  PUMICE_TRY(file->restart());
  return file;
}

Result<std::unique_ptr<NewFile>> NewFile::resume(const fs::path& target) {
  PUMICE_TRY_ASSIGN(auto state, State::open(target));
  if (state->file == INVALID_HANDLE_VALUE) {
    if (GetLastError() == ERROR_SHARING_VIOLATION) return nullptr;
    return cannot("create", state->part);
  }
  LARGE_INTEGER end = {};
  if (!SetFilePointerEx(state->file, LARGE_INTEGER{}, &end, FILE_END)) {
    auto error = cannot("read", state->part);
    CloseHandle(state->file);
    return error;
  }
  state->size = static_cast<uint64_t>(end.QuadPart);
  state->kept = true;
  return std::unique_ptr<NewFile>(new NewFile(std::move(state)));
}

uint64_t NewFile::size() const {
  return state_->size;
}

Result<void> NewFile::read(uint64_t offset, std::span<std::byte> into) const {
  constexpr size_t kChunk = size_t(1) << 30;  // ReadFile counts in 32 bits
  while (!into.empty()) {
    OVERLAPPED at = {};
    at.Offset = static_cast<DWORD>(offset);
    at.OffsetHigh = static_cast<DWORD>(offset >> 32);
    DWORD got = 0;
    const DWORD asked = static_cast<DWORD>(std::min(into.size(), kChunk));
    if (!ReadFile(state_->file, into.data(), asked, &got, &at)) return cannot("read", state_->part);
    if (got == 0) return fail(ErrorCode::Io, "{}: ends too early", state_->part.string());
    into = into.subspan(got);
    offset += got;
  }
  // a read at a place moves the place of writing too
  if (!SetFilePointerEx(state_->file, LARGE_INTEGER{}, nullptr, FILE_END))
    return cannot("read", state_->part);
  return {};
}

Result<void> NewFile::restart() {
  if (!SetFilePointerEx(state_->file, LARGE_INTEGER{}, nullptr, FILE_BEGIN) ||
      !SetEndOfFile(state_->file))
    return cannot("empty", state_->part);
  state_->size = 0;
  return {};
}

Result<void> NewFile::write(std::span<const std::byte> bytes) {
  constexpr size_t kChunk = size_t(1) << 30;  // WriteFile counts in 32 bits
  while (!bytes.empty()) {
    DWORD written = 0;
    const DWORD asked = static_cast<DWORD>(std::min(bytes.size(), kChunk));
    if (!WriteFile(state_->file, bytes.data(), asked, &written, nullptr))
      return cannot("write", state_->part);
    bytes = bytes.subspan(written);
    state_->size += written;
  }
  return {};
}

Result<void> NewFile::finish() {
  if (!FlushFileBuffers(state_->file)) return cannot("write", state_->part);
  CloseHandle(state_->file);
  state_->file = INVALID_HANDLE_VALUE;
  if (!MoveFileExW(state_->part.c_str(), state_->target.c_str(),
                   MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
    auto error = cannot("replace", state_->target);
    DeleteFileW(state_->part.c_str());
    return error;
  }
  state_->finished = true;
  return {};
}

}  // namespace pumice
