// Reads little-endian values from a bounded span. The first read past the end makes the cursor fail
// for good; what it returns from then on is zero, and nobody may believe it before asking failed().
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace pumice {

static_assert(std::endian::native == std::endian::little, "GGUF values are read as they lie");

class ByteCursor {
 public:
  explicit ByteCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] uint64_t position() const { return position_; }
  [[nodiscard]] uint64_t remaining() const { return bytes_.size() - position_; }
  [[nodiscard]] bool failed() const { return failed_; }

  template <class T>
  [[nodiscard]] T read() {
    static_assert(std::is_arithmetic_v<T>);
    T value{};
    const auto from = take(sizeof(T));
    if (!from.empty()) std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }

  /// The next `n` bytes; none, and failed(), if there are fewer.
  [[nodiscard]] std::span<const std::byte> take(uint64_t n) {
    if (failed_ || n > remaining()) {
      failed_ = true;
      return {};
    }
    const auto out = bytes_.subspan(size_t(position_), size_t(n));
    position_ += n;
    return out;
  }

  [[nodiscard]] std::string_view take_text(uint64_t n) {
    const auto from = take(n);
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;  // <= bytes_.size()
  bool failed_ = false;
};

}  // namespace pumice
