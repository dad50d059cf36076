// Records, submits and forgets commands.
#include "engine/vk/recorder.h"

#include <algorithm>
#include <map>

#include "engine/base/checked.h"
#include "engine/base/log.h"
#include "engine/vk/dispatch_check.h"

namespace pumice::vk {
namespace {

constexpr auto kLimit = std::chrono::minutes(2);

VkFormat texel_format(BindingKind kind) {
  switch (kind) {
    case BindingKind::TexelInt:
      return VK_FORMAT_R32G32B32A32_SINT;
    case BindingKind::TexelFloat:
      return VK_FORMAT_R32G32B32A32_SFLOAT;
    default:
      return VK_FORMAT_R32G32B32A32_UINT;
  }
}

bool is_indirect(const Dispatch& dispatch) {
  return dispatch.indirect.buffer != kNoBuffer;
}

}  // namespace

Result<void> Recorder::create() {
  VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  info.queueFamilyIndex = context_.physical.queue_family;
  PUMICE_TRY_ASSIGN(
      pool_, make_owned<OwnedCommandPool>(context_, "vkCreateCommandPool", [&](auto* out) {
        return context_.fn.CreateCommandPool(context_.device, &info, context_.allocator, out);
      }));
  return {};
}

Result<void> Recorder::check(std::span<const Dispatch> list) {
  const BufferBytes bytes_of = [&](BufferId id) -> std::optional<uint64_t> {
    const Buffer* buffer = buffers_.find(id);
    if (buffer == nullptr) return std::nullopt;
    return buffer->plan.bytes;
  };
  if (list.empty()) return fail(ErrorCode::BadArgument, "an empty dispatch list was recorded");
  for (const Dispatch& dispatch : list) {
    const Pipeline* pipeline = pipelines_.find(dispatch);
    if (pipeline == nullptr)
      return fail(ErrorCode::BadArgument, "kernel {} was not prepared", dispatch.kernel);
    PUMICE_TRY(check_dispatch(dispatch, pipeline->kernel->info, context_.caps(), bytes_of));
  }
  return {};
}

Result<void> Recorder::make_pool(Command& command, std::span<const Dispatch> list) {
  std::map<VkDescriptorType, uint32_t> counts;
  for (const Dispatch& dispatch : list)
    for (const ShaderBinding& binding : pipelines_.find(dispatch)->kernel->info.bindings)
      ++counts[descriptor_type(binding)];
  std::vector<VkDescriptorPoolSize> sizes;
  for (const auto& [type, bindings] : counts) sizes.push_back({type, bindings});
  if (sizes.empty()) sizes.push_back({VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1});
  VkDescriptorPoolCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  info.maxSets = uint32_t(list.size());
  info.poolSizeCount = uint32_t(sizes.size());
  info.pPoolSizes = sizes.data();
  PUMICE_TRY_ASSIGN(
      command.pool,
      make_owned<OwnedDescriptorPool>(context_, "vkCreateDescriptorPool", [&](auto* out) {
        return context_.fn.CreateDescriptorPool(context_.device, &info, context_.allocator, out);
      }));
  return {};
}

Result<VkBufferView> Recorder::view(Command& command, const BufferSlice& slice, BindingKind kind) {
  VkBufferViewCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO};
  info.buffer = buffers_.find(slice.buffer)->handle.get();
  info.format = texel_format(kind);
  info.offset = slice.offset;
  info.range = align_up(slice.bytes, kTexelBytes);  // the buffer's capacity is whole texels
  auto& owner = command.views[{slice.buffer, info.offset, info.range, info.format}];
  if (owner.get() == VK_NULL_HANDLE) {
    PUMICE_TRY_ASSIGN(
        owner, make_owned<OwnedBufferView>(context_, "vkCreateBufferView", [&](auto* out) {
          return context_.fn.CreateBufferView(context_.device, &info, context_.allocator, out);
        }));
  }
  return owner.get();
}

Result<void> Recorder::write_set(Command& command, const Dispatch& dispatch, const Kernel& kernel,
                                 VkDescriptorSet set) {
  const auto& bindings = kernel.info.bindings;
  std::vector<VkDescriptorBufferInfo> buffers(bindings.size());
  std::vector<VkBufferView> views(bindings.size());
  std::vector<VkWriteDescriptorSet> writes(bindings.size());
  for (size_t i = 0; i < bindings.size(); ++i) {
    const BufferSlice& slice = dispatch.bindings[bindings[i].binding];
    command.buffers.push_back(slice.buffer);
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstSet = set;
    writes[i].dstBinding = bindings[i].binding;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType = descriptor_type(bindings[i]);
    if (bindings[i].kind == BindingKind::StorageBuffer) {
      buffers[i] = {buffers_.find(slice.buffer)->handle.get(), slice.offset, slice.bytes};
      writes[i].pBufferInfo = &buffers[i];
    } else {
      PUMICE_TRY_ASSIGN(views[i], view(command, slice, bindings[i].kind));
      writes[i].pTexelBufferView = &views[i];
    }
  }
  if (is_indirect(dispatch)) command.buffers.push_back(dispatch.indirect.buffer);
  context_.fn.UpdateDescriptorSets(context_.device, uint32_t(writes.size()), writes.data(), 0,
                                   nullptr);
  count(context_.statistics.descriptor_writes, writes.size());
  return {};
}

Result<void> Recorder::make_sets(Command& command, std::span<const Dispatch> list) {
  std::vector<VkDescriptorSetLayout> layouts;
  for (const Dispatch& dispatch : list)
    layouts.push_back(pipelines_.find(dispatch)->kernel->set_layout.get());
  std::vector<VkDescriptorSet> sets(layouts.size());
  VkDescriptorSetAllocateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  info.descriptorPool = command.pool.get();
  info.descriptorSetCount = uint32_t(layouts.size());
  info.pSetLayouts = layouts.data();
  const VkResult result = context_.fn.AllocateDescriptorSets(context_.device, &info, sets.data());
  if (result != VK_SUCCESS) return context_.failed("vkAllocateDescriptorSets", result);
  for (size_t i = 0; i < list.size(); ++i) {
    PUMICE_TRY(write_set(command, list[i], *pipelines_.find(list[i])->kernel, sets[i]));
    command.list.rows.push_back(make_row(list[i], sets[i]));
    command.list.indirect |= is_indirect(list[i]);
  }
  std::sort(command.buffers.begin(), command.buffers.end());
  command.buffers.erase(std::unique(command.buffers.begin(), command.buffers.end()),
                        command.buffers.end());
  return {};
}

Result<void> Recorder::allocate(Command& command, std::span<const Dispatch> list, bool timestamps) {
  PUMICE_TRY(make_pool(command, list));
  PUMICE_TRY(make_sets(command, list));
  if (timestamps) {
    VkQueryPoolCreateInfo queries{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    queries.queryType = VK_QUERY_TYPE_TIMESTAMP;
    queries.queryCount = uint32_t(list.size()) + 1;
    PUMICE_TRY_ASSIGN(
        command.queries, make_owned<OwnedQueryPool>(context_, "vkCreateQueryPool", [&](auto* out) {
          return context_.fn.CreateQueryPool(context_.device, &queries, context_.allocator, out);
        }));
  }
  VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  info.commandPool = pool_.get();
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  const VkResult result =
      context_.fn.AllocateCommandBuffers(context_.device, &info, &command.commands);
  if (result == VK_SUCCESS) return {};
  command.commands = VK_NULL_HANDLE;
  return context_.failed("vkAllocateCommandBuffers", result);
}

ReplayRow Recorder::make_row(const Dispatch& dispatch, VkDescriptorSet set) {
  const Pipeline& pipeline = *pipelines_.find(dispatch);
  const Kernel& kernel = *pipeline.kernel;
  ReplayRow row;
  row.pipeline = pipeline.handle.get();
  row.layout = kernel.layout.get();
  row.set = set;
  row.push.assign(dispatch.push.begin(),
                  dispatch.push.begin() + kernel.info.push_bytes / sizeof(uint32_t));
  row.groups = dispatch.groups;
  row.axis = split_axis(dispatch);
  row.cuts = split_groups(dispatch);
  if (is_indirect(dispatch)) {
    row.indirect = buffers_.find(dispatch.indirect.buffer)->handle.get();
    row.indirect_at = dispatch.indirect.offset;
  }
  row.barrier = dispatch.barrier;
  row.label = dispatch.label.empty() ? dispatch.kernel : dispatch.label;
  return row;
}

Result<void> Recorder::encode(Command& command) {
  const DeviceFunctions& fn = context_.fn;
  const VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  VkResult result = fn.BeginCommandBuffer(command.commands, &info);
  if (result != VK_SUCCESS) return context_.failed("vkBeginCommandBuffer", result);
  replay(context_, command.commands, command.list, {}, command.list.end(), command.queries.get());
  result = fn.EndCommandBuffer(command.commands);
  if (result != VK_SUCCESS) return context_.failed("vkEndCommandBuffer", result);
  return {};
}

void Recorder::free_commands(Command& command) {
  if (command.commands == VK_NULL_HANDLE) return;
  context_.fn.FreeCommandBuffers(context_.device, pool_.get(), 1, &command.commands);
  command.commands = VK_NULL_HANDLE;
}

Result<CommandId> Recorder::record(std::span<const Dispatch> list, bool timestamps) {
  PUMICE_TRY(context_.check_alive());
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(check(list));
  auto command = std::make_unique<Command>();
  auto done = allocate(*command, list, timestamps);
  if (done) done = encode(*command);
  if (!done) {
    free_commands(*command);
    return tl::unexpected(std::move(done.error()));
  }
  commands_.push_back(std::move(command));
  return CommandId(commands_.size() - 1);
}

Result<Command*> Recorder::find(CommandId id) {
  if (id < commands_.size() && commands_[id] != nullptr) return commands_[id].get();
  return fail(ErrorCode::BadArgument, "there is no recorded command {}", id);
}

void Recorder::forget(CommandId id) {
  const std::lock_guard lock(mutex_);
  const auto command = find(id);
  if (!command) return;
  // Parts of it are submissions of their own, none newer than the last.
  if (const auto done = timeline_.wait(timeline_.last(), kLimit); !done && !context_.lost) {
    // Still running: the command is kept, and freed with the device, which waits for longer.
    log_warning("a command is not freed: {}", done.error().text);
    return;
  }
  free_commands(**command);
  commands_[id].reset();
}

Result<Command*> Recorder::find_whole(CommandId id) {
  PUMICE_TRY_ASSIGN(Command * command, find(id));
  if (!command->destroyed_buffer.empty())
    return fail(ErrorCode::BadArgument,
                "command {} uses the buffer '{}', which was destroyed; record it again", id,
                command->destroyed_buffer);
  return command;
}

Result<Ticket> Recorder::submit(CommandId id) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY_ASSIGN(Command * command, find_whole(id));
  PUMICE_TRY_ASSIGN(const bool idle, timeline_.finished(command->last));
  if (!idle)
    return fail(ErrorCode::BadArgument,
                "command {} is still running (submission {}); wait for it before the next", id,
                command->last);
  PUMICE_TRY_ASSIGN(command->last, timeline_.submit(command->commands));
  return command->last;
}

Result<const Command*> Recorder::find_part(const Part& part) {
  PUMICE_TRY_ASSIGN(const Command* command, find_whole(part.command));
  const auto inside = [&](Place place) {
    const auto& rows = command->list.rows;
    return place == command->list.end() ||
           (place.dispatch < rows.size() && place.group < rows[place.dispatch].cuts);
  };
  if (!inside(part.from) || !inside(part.to) || part.to <= part.from)
    return fail(ErrorCode::BadArgument,
                "command {} has no part from dispatch {}, group {} to dispatch {}, group {}",
                part.command, part.from.dispatch, part.from.group, part.to.dispatch, part.to.group);
  return command;
}

Result<PartId> Recorder::submit_part(const Part& part) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY_ASSIGN(const Command* command, find_part(part));
  return slots_.submit(command->list, part.from, part.to);
}

Result<PartId> Recorder::write_part(HostCommands commands, const Part& part) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY_ASSIGN(const Command* command, find_part(part));
  return slots_.write(commands, command->list, part.from, part.to);
}

// Without the lock while it waits: a slot that is in use stays where it is.
Result<PartTimes> Recorder::wait_part(PartId id, std::chrono::milliseconds limit) {
  return slots_.wait(id, limit);
}

void Recorder::end_part(PartId id) {
  const std::lock_guard lock(mutex_);
  slots_.end(id);
}

void Recorder::buffer_destroyed(BufferId id, const std::string& name) {
  const std::lock_guard lock(mutex_);
  for (const auto& command : commands_)
    if (command != nullptr &&
        std::binary_search(command->buffers.begin(), command->buffers.end(), id))
      command->destroyed_buffer = name.empty() ? "unnamed" : name;
}

Result<std::vector<Timing>> Recorder::timings(CommandId id) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY_ASSIGN(const Command* command, find(id));
  if (command->queries.get() == VK_NULL_HANDLE)
    return fail(ErrorCode::Unsupported,
                "no times: open the device with DeviceOptions::timestamps; {} {} them",
                context_.caps().device_name, context_.caps().timestamps ? "has" : "does not have");
  PUMICE_TRY_ASSIGN(const bool idle, timeline_.finished(command->last));
  if (command->last == 0 || !idle)
    return fail(ErrorCode::BadArgument, "command {} has not finished a submission yet", id);
  const auto& rows = command->list.rows;
  std::vector<double> pieces_us(rows.size());
  PUMICE_TRY(read_times(context_, command->queries.get(), pieces_us, VK_QUERY_RESULT_WAIT_BIT));
  std::vector<Timing> timings;
  for (size_t i = 0; i < rows.size(); ++i) timings.push_back({rows[i].label, pieces_us[i]});
  return timings;
}

}  // namespace pumice::vk
