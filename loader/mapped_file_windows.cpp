// Owns every Win32 call of the loader: CreateFileW, CreateFileMapping, MapViewOfFile, ReadFile.
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "loader/mapped_file.h"
#include "loader/printable.h"

namespace pumice {
namespace {

constexpr size_t kReadChunk = size_t(1) << 30;  // ReadFile counts in 32 bits

std::string os_text(DWORD error) {
  return std::system_category().message(int(error));
}

class Handle {
 public:
  explicit Handle(HANDLE handle) : handle_(handle) {}
  ~Handle() {
    if (valid()) ::CloseHandle(handle_);
  }
  Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  Handle& operator=(Handle&&) = delete;
  [[nodiscard]] HANDLE get() const { return handle_; }
  [[nodiscard]] bool valid() const { return handle_ != nullptr && handle_ != INVALID_HANDLE_VALUE; }

 private:
  HANDLE handle_;
};

class MappedFile final : public ByteSource {
 public:
  MappedFile(std::string name, Handle file, const void* view, size_t size)
      : name_(std::move(name)), file_(std::move(file)), view_(view), size_(size) {}
  ~MappedFile() override { ::UnmapViewOfFile(view_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] uint64_t size() const override { return size_; }

  [[nodiscard]] Result<void> read(uint64_t offset, std::span<std::byte> into) const override {
    if (offset > size_ || into.size() > size_ - offset)
      return fail(ErrorCode::BadArgument, "{}: bytes {}+{} are outside its {} bytes", name_, offset,
                  into.size(), size_);
    while (!into.empty()) {
      OVERLAPPED at{};
      at.Offset = DWORD(offset & 0xFFFFFFFFu);
      at.OffsetHigh = DWORD(offset >> 32);
      DWORD n = 0;
      const DWORD wanted = DWORD(std::min(into.size(), kReadChunk));
      if (!::ReadFile(file_.get(), into.data(), wanted, &n, &at) || n == 0)
        return fail(ErrorCode::Io, "{}: reading at byte {} failed: {}", name_, offset,
                    os_text(::GetLastError()));
      offset += n;
      into = into.subspan(n);
    }
    return {};
  }

  [[nodiscard]] Result<std::span<const std::byte>> map() const override {
    return std::span(static_cast<const std::byte*>(view_), size_);
  }

 private:
  std::string name_;
  Handle file_;
  const void* view_;
  size_t size_;
};

/// UTF-8 to UTF-16; empty when it is not UTF-8.
std::wstring wide(const std::string& text) {
  const int n = ::MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), int(text.size()),
                                      nullptr, 0);
  std::wstring out(size_t(std::max(n, 0)), L'\0');
  if (n > 0)
    ::MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), int(text.size()), out.data(),
                          n);
  return out;
}

}  // namespace

Result<std::shared_ptr<const ByteSource>> map_file(const std::string& path) {
  std::string name = printable(path, 1024);
  const std::wstring wide_path = path.size() < 32768 ? wide(path) : std::wstring();
  if (wide_path.empty() || path.find('\0') != std::string::npos)
    return fail(ErrorCode::BadArgument, "{}: is not a path in UTF-8", name);
  // No FILE_SHARE_WRITE: nobody changes or truncates the model while it is mapped.
  Handle file(::CreateFileW(wide_path.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE,
                            nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file.valid()) {
    const DWORD error = ::GetLastError();
    const bool absent = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;
    return fail(absent ? ErrorCode::NotFound : ErrorCode::Io, "{}: cannot open: {}", name,
                os_text(error));
  }
  if (::GetFileType(file.get()) != FILE_TYPE_DISK)
    return fail(ErrorCode::BadArgument, "{}: is not a regular file", name);
  LARGE_INTEGER length{};
  if (!::GetFileSizeEx(file.get(), &length))
    return fail(ErrorCode::Io, "{}: cannot ask for its size: {}", name, os_text(::GetLastError()));
  if (length.QuadPart <= 0) return fail(ErrorCode::BadFile, "{}: the file is empty", name);
  if (uint64_t(length.QuadPart) > SIZE_MAX)
    return fail(ErrorCode::OutOfMemory, "{}: {} bytes do not fit the address space", name,
                int64_t(length.QuadPart));
  Handle mapping(::CreateFileMappingW(file.get(), nullptr, PAGE_READONLY, 0, 0, nullptr));
  const void* view =
      mapping.valid() ? ::MapViewOfFile(mapping.get(), FILE_MAP_READ, 0, 0, 0) : nullptr;
  if (view == nullptr)
    return fail(ErrorCode::Io, "{}: cannot map {} bytes: {}", name, int64_t(length.QuadPart),
                os_text(::GetLastError()));
  return std::make_shared<MappedFile>(std::move(name), std::move(file), view,
                                      size_t(length.QuadPart));
}

}  // namespace pumice
