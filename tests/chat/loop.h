// Stands in for the window's loop: sleeps until the threads wake it, then polls.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "demo/chat/chat.h"

namespace pumice::chat {

class Loop {
 public:
  void wake() {
    std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }
  /// Polls until `done`, at most a minute.
  bool until(Chat& chat, const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done()) {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_until(lock, end, [&] { return woken_; })) return false;
      woken_ = false;
      lock.unlock();
      chat.poll();
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

}  // namespace pumice::chat
