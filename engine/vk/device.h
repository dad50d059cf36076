// A Vulkan device as the engine sees it: buffers by id, dispatch lists in, tickets out.
// Nothing above this folder calls Vulkan. Nothing here knows what a model is.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/schedule/capabilities.h"
#include "engine/schedule/dispatch.h"
#include "engine/schedule/slice.h"

namespace pumice::vk {

struct DeviceSummary {
  uint32_t index = 0;  ///< position in list_devices(), what `--device` takes
  Capabilities caps;
  std::string unusable;  ///< empty, or every reason why the engine cannot run on it
};

/// Every Vulkan device of the machine, best first (discrete, integrated, virtual, software).
/// Fails with NoDevice when no driver is installed.
[[nodiscard]] Result<std::vector<DeviceSummary>> list_devices();

/// What uploads take beside the planned buffers where the host does not see device memory: two
/// buffers used in turn.
inline constexpr uint64_t kStagingBytes = uint64_t{2} * 16 << 20;

struct DeviceOptions {
  std::string select;  ///< empty = best; an index, or a part of the device's name
  CapabilityMask without;
  bool validation = false;           ///< Khronos layer with synchronisation validation
  bool timestamps = false;           ///< time every dispatch
  bool pipeline_statistics = false;  ///< keep what pipeline_statistics() reports (slower builds)
  std::string pipeline_cache;        ///< file path; empty = none
  /// Kernels that are not the engine's, asked first by name; empty = none. What it returns must
  /// outlive the device.
  std::function<const KernelModule*(const std::string& name)> kernels;
};

/// The device that Device::open would take, with the capabilities it would use: NoDevice, NotFound
/// or Unsupported as that would say.
[[nodiscard]] Result<DeviceSummary> find_device(const DeviceOptions& options);

/// Counters that tests and `run` print.
struct DeviceStatistics {
  uint64_t bytes_allocated = 0, allocations = 0;
  uint64_t pipelines_created = 0, descriptor_writes = 0, submissions = 0;
  uint64_t validation_messages = 0;
};

struct Timing {
  std::string label;
  double microseconds = 0.0;
};

/// Compiler statistics of one pipeline, by VK_KHR_pipeline_executable_properties.
struct PipelineStatistic {
  std::string kernel, executable, name;
  double value = 0.0;
};

using CommandId = uint32_t;
using Ticket = uint64_t;

/// A part of a recorded list: from one place to a later one.
struct Part {
  CommandId command = 0;
  Place from, to;
};
/// One of a few places for parts that were written and whose times have not been looked at yet.
using PartId = uint32_t;
inline constexpr uint32_t kParts = 8;          ///< that may be under way at once
inline constexpr uint32_t kPartPieces = 1023;  ///< dispatches, or pieces of one, in a part

/// A command buffer of the host that lent the device: a VkCommandBuffer.
struct HostCommands {
  void* handle = nullptr;
};

/// Microseconds per piece of a part; empty where the device has no timestamps, or none yet. Lives
/// until the part is ended.
using PartTimes = std::span<const double>;

class Device {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Device>> open(const DeviceOptions& options);
  virtual ~Device() = default;

  [[nodiscard]] virtual const Capabilities& capabilities() const = 0;
  [[nodiscard]] virtual const DeviceStatistics& statistics() const = 0;
  /// Text of every validation message so far (empty without `validation`).
  [[nodiscard]] virtual const std::vector<std::string>& validation_log() const = 0;

  /// Allocates a buffer, zero-filled unless the plan says that it is fully written. A buffer larger
  /// than one allocation may be is OutOfMemory,
  /// with the limit in words.
  [[nodiscard]] virtual Result<BufferId> create_buffer(const BufferPlan& plan) = 0;
  virtual void destroy_buffer(BufferId buffer) = 0;
  /// The host's view of a buffer; empty when its memory is not host visible.
  [[nodiscard]] virtual std::span<std::byte> mapped(BufferId buffer) = 0;
  /// Copies into a buffer that mapped() cannot reach, through a staging ring; returns when the
  /// source may be reused. `finish_uploads` waits until the device has all of it.
  [[nodiscard]] virtual Result<void> upload(BufferSlice target,
                                            std::span<const std::byte> data) = 0;
  [[nodiscard]] virtual Result<void> finish_uploads() = 0;

  /// Creates all pipelines a list needs (a second call for the same kernels is free), in parallel.
  [[nodiscard]] virtual Result<void> prepare(std::span<const Dispatch> list) = 0;
  /// Records a list once; the command may be submitted any number of times, one at a time.
  [[nodiscard]] virtual Result<CommandId> record(std::span<const Dispatch> list) = 0;
  virtual void forget(CommandId command) = 0;
  [[nodiscard]] virtual Result<Ticket> submit(CommandId command) = 0;
  /// DeviceLost when the driver says so or when `limit` passes without an answer.
  [[nodiscard]] virtual Result<void> wait(
      Ticket ticket, std::chrono::milliseconds limit = std::chrono::minutes(2)) = 0;
  /// Whether a wait for the ticket would return at once.
  [[nodiscard]] virtual Result<bool> finished(Ticket ticket) = 0;
  /// Per-dispatch times of the last finished submission of a command (with `timestamps`).
  [[nodiscard]] virtual Result<std::vector<Timing>> timings(CommandId command) = 0;

  // ---- parts of recorded lists
  /// Submits a part of a list, apart from what submit() does with the command. At most kParts parts
  /// may be under way: OutOfMemory. To be waited for, then ended.
  [[nodiscard]] virtual Result<PartId> submit_part(const Part& part) = 0;
  /// Writes the part into a command buffer of the host, outside of a render pass; the host submits
  /// it to the queue of this device, once or never, and has waited for it before wait_part.
  [[nodiscard]] virtual Result<PartId> write_part(HostCommands commands, const Part& part) = 0;
  /// Waits for a submitted part; DeviceLost as for wait(). A part that the host submitted is taken
  /// to be finished.
  [[nodiscard]] virtual Result<PartTimes> wait_part(
      PartId part, std::chrono::milliseconds limit = std::chrono::minutes(2)) = 0;
  /// Frees the place of a part that has been waited for, or that will never be submitted.
  virtual void end_part(PartId part) = 0;

  [[nodiscard]] virtual Result<std::vector<PipelineStatistic>> pipeline_statistics() = 0;
  /// Writes the pipeline cache now (also done on destruction).
  [[nodiscard]] virtual Result<void> save_pipeline_cache() = 0;
};

}  // namespace pumice::vk
