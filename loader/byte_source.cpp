// Byte sources that are plain memory.
#include "loader/byte_source.h"

#include <cstring>

namespace pumice {
namespace {

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, std::vector<std::byte> owned)
      : name_(std::move(name)), owned_(std::move(owned)), bytes_(owned_) {}
  MemorySource(std::string name, std::span<const std::byte> borrowed)
      : name_(std::move(name)), bytes_(borrowed) {}
  MemorySource(const MemorySource&) = delete;
  MemorySource& operator=(const MemorySource&) = delete;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }

  [[nodiscard]] Result<void> read(uint64_t offset, std::span<std::byte> into) const override {
    if (offset > bytes_.size() || into.size() > bytes_.size() - offset)
      return fail(ErrorCode::BadArgument, "{}: bytes {}+{} are outside its {} bytes", name_, offset,
                  into.size(), bytes_.size());
    if (!into.empty()) std::memcpy(into.data(), bytes_.data() + offset, into.size());
    return {};
  }

  [[nodiscard]] Result<std::span<const std::byte>> map() const override { return bytes_; }

 private:
  std::string name_;
  std::vector<std::byte> owned_;
  std::span<const std::byte> bytes_;
};

}  // namespace

std::shared_ptr<const ByteSource> borrow_memory(std::string name,
                                                std::span<const std::byte> bytes) {
  return std::make_shared<MemorySource>(std::move(name), bytes);
}

std::shared_ptr<const ByteSource> own_memory(std::string name, std::vector<std::byte> bytes) {
  return std::make_shared<MemorySource>(std::move(name), std::move(bytes));
}

}  // namespace pumice
