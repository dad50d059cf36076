// Zeroed memory aligned for tiles and vectors.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace pumice::train {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(ptrdiff_t count) { resize(count); }

  /// `count` zeros; what was there is gone. Without memory data() stays null and ok() says so.
  void resize(ptrdiff_t count) {
    const size_t bytes = (size_t(count) * sizeof(T) + 4095) / 4096 * 4096 + 4096;
    at_.reset(static_cast<T*>(std::aligned_alloc(4096, bytes)));
    if (at_) std::memset(at_.get(), 0, bytes);
  }
  T* data() { return at_.get(); }
  const T* data() const { return at_.get(); }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> at_;
};

}  // namespace pumice::train
