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
  bool finished = false;
};

NewFile::NewFile(std::unique_ptr<State> state) : state_(std::move(state)) {}

NewFile::~NewFile() {
  if (state_->file == INVALID_HANDLE_VALUE) return;
  CloseHandle(state_->file);
  if (!state_->finished) DeleteFileW(state_->part.c_str());
}

Result<std::unique_ptr<NewFile>> NewFile::create(const fs::path& target) {
  auto state = std::make_unique<State>();
  PUMICE_TRY_ASSIGN(state->target, final_target(target));
  state->part = part_path(state->target);
  state->file = CreateFileW(state->part.c_str(), GENERIC_WRITE, 0 /* nobody beside us */, nullptr,
                            CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (state->file == INVALID_HANDLE_VALUE) return cannot("create", state->part);
  return std::unique_ptr<NewFile>(new NewFile(std::move(state)));
}

Result<void> NewFile::write(std::span<const std::byte> bytes) {
  constexpr size_t kChunk = size_t(1) << 30;  // WriteFile counts in 32 bits
  while (!bytes.empty()) {
    DWORD written = 0;
    const DWORD asked = static_cast<DWORD>(std::min(bytes.size(), kChunk));
    if (!WriteFile(state_->file, bytes.data(), asked, &written, nullptr))
      return cannot("write", state_->part);
    bytes = bytes.subspan(written);
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
