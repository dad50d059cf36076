// What the window says about a model file before it is loaded, and which devices there are; asked
// on a thread of its own, so that the window never waits for a disk or a driver.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace pumice::chat {

struct Fit {
  std::string path, name, architecture;
  uint64_t weights = 0;    ///< numbers
  uint32_t context = 0;    ///< tokens that a load would give
  uint64_t needs = 0;      ///< bytes on the device
  uint64_t available = 0;  ///< bytes free on it now
  std::string trouble;     ///< why it cannot run; empty = it can
  [[nodiscard]] bool fits() const { return trouble.empty() && needs <= available; }
};

struct DeviceChoice {
  std::string name, unusable;
  uint64_t memory = 0, memory_free = 0;  ///< bytes
  bool software = false;
};

/// Asks the engine; slow.
[[nodiscard]] Fit inspect_model(const std::string& path, const std::string& device,
                                uint32_t context);
[[nodiscard]] std::vector<DeviceChoice> list_devices();

/// One question at a time; a new one replaces the answer to the old.
class Inspector {
 public:
  explicit Inspector(std::function<void()> wake) : wake_(std::move(wake)) {}
  ~Inspector();

  void ask(std::string path, std::string device, uint32_t context);
  void ask_devices();
  [[nodiscard]] std::optional<Fit> take_fit();
  [[nodiscard]] std::optional<std::vector<DeviceChoice>> take_devices();

 private:
  void start(std::function<void()> work);

  std::function<void()> wake_;
  std::mutex mutex_;
  std::optional<Fit> fit_;
  std::optional<std::vector<DeviceChoice>> devices_;
  std::vector<std::thread> threads_;
};

}  // namespace pumice::chat
