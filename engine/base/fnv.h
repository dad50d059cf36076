// FNV-1a, 64 bits, over words and texts: identities of texts and vocabularies in our own files.
#pragma once

#include <cstdint>
#include <string_view>

namespace pumice {

class Fnv {
 public:
  Fnv& add(uint32_t word) {
    for (int shift = 0; shift < 32; shift += 8) byte(uint8_t(word >> shift));
    return *this;
  }
  Fnv& add(std::string_view text) {
    for (const char c : text) byte(uint8_t(c));
    return add(uint32_t(text.size()));
  }
  [[nodiscard]] uint64_t value() const { return value_; }

 private:
  void byte(uint8_t b) { value_ = (value_ ^ b) * 0x100000001B3u; }
  uint64_t value_ = 0xCBF29CE484222325u;
};

}  // namespace pumice
