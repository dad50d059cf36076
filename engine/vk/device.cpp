// The Device behind the contract: its parts, joined.
#include "engine/vk/device.h"

#include <cstring>
#include <exception>

#include "engine/base/checked.h"
#include "engine/base/log.h"
#include "engine/vk/recorder.h"
#include "engine/vk/upload.h"

namespace pumice::vk {
namespace {

class VulkanDevice final : public Device {
 public:
  VulkanDevice(std::unique_ptr<Context> context, bool timestamps)
      : context_(std::move(context)),
        timestamps_(timestamps && context_->caps().timestamps),
        timeline_(*context_),
        buffers_(*context_),
        uploader_(*context_, timeline_),
        pipelines_(*context_),
        recorder_(*context_, buffers_, pipelines_, timeline_) {}

  ~VulkanDevice() override {
    try {
      if (context_->borrowed())
        (void)timeline_.wait(timeline_.last(), std::chrono::minutes(2));
      else if (timeline_.last() != 0)
        context_->wait_idle();
      if (const auto saved = pipelines_.save_cache(); !saved)
        log_warning("the pipeline cache was not written: {}", saved.error().text);
    } catch (const std::exception&) {  // no host memory: then the cache is not written
    }
  }

  Result<void> create(const std::string& pipeline_cache) {
    PUMICE_TRY(pipelines_.create(pipeline_cache));
    return recorder_.create();
  }

  const Capabilities& capabilities() const override { return context_->caps(); }
  const DeviceStatistics& statistics() const override {
    context_->statistics.validation_messages = context_->instance->validation->count();
    return context_->statistics;
  }
  const std::vector<std::string>& validation_log() const override {
    return context_->instance->validation->messages();
  }

  Result<BufferId> create_buffer(const BufferPlan& plan) override;
  void destroy_buffer(BufferId buffer) override;
  std::span<std::byte> mapped(BufferId buffer) override;
  Result<void> upload(BufferSlice target, std::span<const std::byte> data) override;
  Result<void> finish_uploads() override { return uploader_.finish(); }

  Result<void> prepare(std::span<const Dispatch> list) override { return pipelines_.prepare(list); }
  Result<CommandId> record(std::span<const Dispatch> list) override {
    PUMICE_TRY(pipelines_.prepare(list));
    return recorder_.record(list, timestamps_);
  }
  void forget(CommandId command) override { recorder_.forget(command); }
  Result<Ticket> submit(CommandId command) override { return recorder_.submit(command); }
  Result<void> wait(Ticket ticket, std::chrono::milliseconds limit) override {
    return timeline_.wait(ticket, limit);
  }
  Result<bool> finished(Ticket ticket) override { return timeline_.finished(ticket); }
  Result<std::vector<Timing>> timings(CommandId command) override {
    return recorder_.timings(command);
  }
  Result<PartId> submit_part(const Part& part) override { return recorder_.submit_part(part); }
  Result<PartId> write_part(HostCommands commands, const Part& part) override {
    return recorder_.write_part(commands, part);
  }
  Result<PartTimes> wait_part(PartId part, std::chrono::milliseconds limit) override {
    return recorder_.wait_part(part, limit);
  }
  void end_part(PartId part) override { recorder_.end_part(part); }
  Result<std::vector<PipelineStatistic>> pipeline_statistics() override {
    return pipelines_.statistics();
  }
  Result<void> save_pipeline_cache() override { return pipelines_.save_cache(); }

 private:
  // In order of need: each is destroyed before what it uses.
  std::unique_ptr<Context> context_;
  bool timestamps_ = false;
  Timeline timeline_;
  BufferPool buffers_;
  Uploader uploader_;
  PipelineStore pipelines_;
  Recorder recorder_;
};

Result<BufferId> VulkanDevice::create_buffer(const BufferPlan& plan) {
  PUMICE_TRY_ASSIGN(const BufferId id, buffers_.create(plan));
  const Buffer* buffer = buffers_.find(id);
  if (buffer->mapped != nullptr || plan.fully_written) return id;
  auto zeroed = uploader_.fill_with_zeros(*buffer);
  if (zeroed) return id;
  destroy_buffer(id);
  return fail_in(fmt::format("buffer '{}'", plan.name), std::move(zeroed.error()));
}

void VulkanDevice::destroy_buffer(BufferId id) {
  const Buffer* buffer = buffers_.find(id);
  if (buffer == nullptr) return;
  recorder_.buffer_destroyed(id, buffer->plan.name);
  const auto idle = timeline_.wait(timeline_.last(), std::chrono::minutes(2));
  if (!idle && !context_->lost) {
    log_warning("buffer '{}' is not freed: {}", buffer->plan.name, idle.error().text);
    return;
  }
  buffers_.destroy(id);
}

std::span<std::byte> VulkanDevice::mapped(BufferId id) {
  const Buffer* buffer = buffers_.find(id);
  if (buffer == nullptr || buffer->mapped == nullptr) return {};
  return {buffer->mapped, size_t(buffer->plan.bytes)};
}

Result<void> VulkanDevice::upload(BufferSlice target, std::span<const std::byte> data) {
  const Buffer* buffer = buffers_.find(target.buffer);
  if (buffer == nullptr)
    return fail(ErrorCode::BadArgument, "upload: there is no buffer {}", target.buffer);
  const auto end = checked_add(target.offset, data.size());
  if (data.size() != target.bytes || !end || *end > buffer->plan.bytes)
    return fail(ErrorCode::BadArgument,
                "upload of {} bytes into {} bytes at offset {} of buffer '{}', which has {}",
                data.size(), target.bytes, target.offset, buffer->plan.name, buffer->plan.bytes);
  if (buffer->mapped == nullptr) return uploader_.copy(*buffer, target.offset, data);
  PUMICE_TRY(context_->check_alive());
  if (!data.empty()) std::memcpy(buffer->mapped + target.offset, data.data(), data.size());
  return {};
}

}  // namespace

Result<std::vector<DeviceSummary>> list_devices(const DeviceHooks& hooks) {
  InstanceOptions options;
  options.faults = hooks.faults;
  PUMICE_TRY_ASSIGN(const auto instance, create_instance(options));
  PUMICE_TRY_ASSIGN(auto devices, find_physical_devices(*instance));
  std::vector<DeviceSummary> rows;
  for (PhysicalDevice& device : devices) {
    if (hooks.adjust) hooks.adjust(device.caps);
    rows.push_back({uint32_t(rows.size()), std::move(device.caps), std::move(device.unusable)});
  }
  return rows;
}

Result<DeviceSummary> find_device(const DeviceOptions& options) {
  PUMICE_TRY_ASSIGN(const auto instance, create_instance({}));
  PUMICE_TRY_ASSIGN(auto devices, find_physical_devices(*instance));
  PUMICE_TRY_ASSIGN(PhysicalDevice chosen, select_device(devices, options.select));
  uint32_t index = 0;
  while (devices[index].handle != chosen.handle) ++index;
  return DeviceSummary{index, masked(std::move(chosen.caps), options.without), {}};
}

Result<std::unique_ptr<Device>> open_device(const DeviceOptions& options,
                                            const DeviceHooks& hooks) {
  PUMICE_TRY_ASSIGN(auto context, create_context(options, hooks));
  return make_device(std::move(context), options);
}

Result<std::unique_ptr<Device>> make_device(std::unique_ptr<Context> context,
                                            const DeviceOptions& options) {
  auto device = std::make_unique<VulkanDevice>(std::move(context), options.timestamps);
  PUMICE_TRY(device->create(options.pipeline_cache));
  return device;
}

}  // namespace pumice::vk
