// Owns every POSIX call of the loader: open, fstat, mmap, pread.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "loader/mapped_file.h"
#include "loader/printable.h"

namespace pumice {
namespace {

/// Linux copies at most 2^31 - 4096 bytes per call.
constexpr size_t kReadChunk = size_t(1) << 30;

std::string os_text(int error) {
  return std::generic_category().message(error);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class MappedFile final : public ByteSource {
 public:
  MappedFile(std::string name, Descriptor fd, void* address, size_t size)
      : name_(std::move(name)), fd_(std::move(fd)), address_(address), size_(size) {}
  ~MappedFile() override { ::munmap(address_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] uint64_t size() const override { return size_; }

  [[nodiscard]] Result<void> read(uint64_t offset, std::span<std::byte> into) const override {
    if (offset > size_ || into.size() > size_ - offset)
      return fail(ErrorCode::BadArgument, "{}: bytes {}+{} are outside its {} bytes", name_, offset,
                  into.size(), size_);
    while (!into.empty()) {
      const ssize_t n =
          ::pread(fd_.get(), into.data(), std::min(into.size(), kReadChunk), off_t(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0)
        return fail(ErrorCode::Io, "{}: reading at byte {} failed: {}", name_, offset,
                    os_text(errno));
      if (n == 0)
        return fail(ErrorCode::Io,
                    "{}: ends at byte {} but had {} bytes when it was opened; it was changed while "
                    "in use, load it again",
                    name_, offset, size_);
      offset += uint64_t(n);
      into = into.subspan(size_t(n));
    }
    return {};
  }

  [[nodiscard]] Result<std::span<const std::byte>> map() const override {
    return std::span(static_cast<const std::byte*>(address_), size_);
  }

 private:
  std::string name_;
  Descriptor fd_;
  void* address_;
  size_t size_;
};

}  // namespace

Result<std::shared_ptr<const ByteSource>> map_file(const std::string& path) {
  std::string name = printable(path, 1024);
  if (path.find('\0') != std::string::npos)
    return fail(ErrorCode::BadArgument, "{}: a path cannot hold a zero byte", name);
  // O_NONBLOCK: opening a named pipe must not wait for its writer. It changes nothing for files.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) {
    const int error = errno;
    const bool absent = error == ENOENT || error == ENOTDIR;
    return fail(absent ? ErrorCode::NotFound : ErrorCode::Io, "{}: cannot open: {}", name,
                os_text(error));
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0)
    return fail(ErrorCode::Io, "{}: cannot ask for its size: {}", name, os_text(errno));
  if (S_ISDIR(status.st_mode))
    return fail(ErrorCode::BadArgument, "{}: is a directory; name a model file in it", name);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::BadArgument, "{}: is not a regular file", name);
  if (status.st_size <= 0) return fail(ErrorCode::BadFile, "{}: the file is empty", name);
  if (uint64_t(status.st_size) > SIZE_MAX)
    return fail(ErrorCode::OutOfMemory, "{}: {} bytes do not fit the address space", name,
                int64_t(status.st_size));
  const size_t size = size_t(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED)
    return fail(ErrorCode::Io, "{}: cannot map {} bytes: {}", name, size, os_text(errno));
  return std::make_shared<MappedFile>(std::move(name), std::move(fd), address, size);
}

}  // namespace pumice
