// Stands in for engine/pumice.h: an engine whose every answer is "1 2 3 ..." and that fails on
// demand. A token is a word.
#pragma once

#include <atomic>
#include <cstdint>

namespace pumice::chat {

struct FakeEngine {
  uint32_t context = 1000;            ///< tokens
  std::atomic<uint32_t> answer = 12;  ///< words of an answer
  std::atomic<int> losses = 0;        ///< how often the device will still be lost,
  std::atomic<uint32_t> lose_at = 5;  ///< each time before this word
  std::atomic<bool> fits = true;      ///< false: a load ends with PM_OUT_OF_MEMORY
  std::atomic<bool> slow = false;     ///< a load ends only when it is cancelled
  std::atomic<int> loads = 0;         ///< that went well
  std::atomic<int> borrowed = 0;      ///< devices
};

/// The one that the next device, model and session belong to.
[[nodiscard]] FakeEngine& fake_engine();

}  // namespace pumice::chat
