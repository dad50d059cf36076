// What the cache holds of a sequence, out of the device and back: page after page, layer after
// layer.
#include "engine/session/engine.h"

#include "engine/base/checked.h"
#include "shaders/shared/push.h"

namespace pumice {
namespace {

BufferSlice page_slice(const CachePlan& cache, uint32_t page) {
  const uint64_t bytes = uint64_t{cache.page_words} * 4;
  return {cache.slice.buffer, cache.slice.offset + bytes * page, bytes};
}

}  // namespace

uint64_t Engine::cache_bytes(uint32_t length) const {
  uint64_t words = 0;
  for (const CachePlan& cache : plan_.caches) words += cache.page_words;
  return words * 4 * div_up(length, PUMICE_PAGE);
}

uint64_t Engine::cache_layout() const {
  const CacheFormat& format = plan_.policy.cache;
  uint64_t hash = uint64_t(format.k) | uint64_t(format.v) << 8 | uint64_t{format.rotate} << 16;
  for (const CachePlan& cache : plan_.caches)
    for (const uint32_t word : {cache.page_words, cache.v_at, cache.k_scales_at, cache.v_scales_at})
      hash = (hash ^ word) * 0x100000001B3u;  // FNV-1a, a word at a time
  return hash;
}

Result<std::vector<std::byte>> Engine::read_cache(uint32_t sequence) {
  const Sequence& state = sequences_[sequence];
  std::vector<std::byte> bytes(size_t(cache_bytes(state.length)));
  std::span<std::byte> rest(bytes);
  for (const CachePlan& cache : plan_.caches)
    for (uint32_t i = 0; i < div_up(state.length, PUMICE_PAGE); ++i) {
      const BufferSlice slice = page_slice(cache, state.pages[i]);
      PUMICE_TRY(read_back(plan_, buffers_, *device_, slice, rest.first(size_t(slice.bytes))));
      rest = rest.subspan(size_t(slice.bytes));
    }
  return bytes;
}

Result<void> Engine::write_cache(uint32_t sequence, uint32_t length,
                                 std::span<const std::byte> bytes) {
  if (bytes.size() != cache_bytes(length))
    return fail(ErrorCode::BadArgument, "{} bytes for the cache of {} tokens; it takes {}",
                bytes.size(), length, cache_bytes(length));
  rewind(sequence, 0);
  PUMICE_TRY(extend(sequence, length));
  for (const CachePlan& cache : plan_.caches)
    for (uint32_t i = 0; i < div_up(length, PUMICE_PAGE); ++i) {
      const BufferSlice slice = page_slice(cache, sequences_[sequence].pages[i]);
      PUMICE_TRY(device_->upload(buffers_.on_device(slice), bytes.first(size_t(slice.bytes))));
      bytes = bytes.subspan(size_t(slice.bytes));
    }
  PUMICE_TRY(device_->finish_uploads());
  sequences_[sequence].length = length;
  return {};
}

}  // namespace pumice
