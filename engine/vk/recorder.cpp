// Records, submits and forgets commands.
#include "engine/vk/recorder.h"

#include <algorithm>

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

/// A full memory barrier between two sets of stages.
void full_barrier(const Context& context, VkCommandBuffer commands, VkPipelineStageFlags from,
                  VkAccessFlags written, VkPipelineStageFlags to, VkAccessFlags used) {
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = written;
  barrier.dstAccessMask = used;
  context.fn.CmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

}  // namespace

Result<void> Recorder::create() {
  VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  info.queueFamilyIndex = context_.physical.queue_family;
  PUMICE_TRY_ASSIGN(pool_,
                    make_owned<OwnedCommandPool>(context_, "vkCreateCommandPool", [&](auto* out) {
                      return context_.fn.CreateCommandPool(context_.device, &info, nullptr, out);
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
  uint32_t storage = 0, texel = 0;
  for (const Dispatch& dispatch : list)
    for (const ShaderBinding& binding : pipelines_.find(dispatch)->kernel->info.bindings)
      ++(binding.kind == BindingKind::StorageBuffer ? storage : texel);
  std::vector<VkDescriptorPoolSize> sizes;
  if (storage != 0) sizes.push_back({VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, storage});
  if (texel != 0) sizes.push_back({VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, texel});
  if (sizes.empty()) sizes.push_back({VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1});
  VkDescriptorPoolCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  info.maxSets = uint32_t(list.size());
  info.poolSizeCount = uint32_t(sizes.size());
  info.pPoolSizes = sizes.data();
  PUMICE_TRY_ASSIGN(
      command.pool,
      make_owned<OwnedDescriptorPool>(context_, "vkCreateDescriptorPool", [&](auto* out) {
        return context_.fn.CreateDescriptorPool(context_.device, &info, nullptr, out);
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
    PUMICE_TRY_ASSIGN(owner,
                      make_owned<OwnedBufferView>(context_, "vkCreateBufferView", [&](auto* out) {
                        return context_.fn.CreateBufferView(context_.device, &info, nullptr, out);
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
    if (bindings[i].kind == BindingKind::StorageBuffer) {
      buffers[i] = {buffers_.find(slice.buffer)->handle.get(), slice.offset, slice.bytes};
      writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      writes[i].pBufferInfo = &buffers[i];
    } else {
      PUMICE_TRY_ASSIGN(views[i], view(command, slice, bindings[i].kind));
      writes[i].descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
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
  command.sets.resize(layouts.size());
  VkDescriptorSetAllocateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  info.descriptorPool = command.pool.get();
  info.descriptorSetCount = uint32_t(layouts.size());
  info.pSetLayouts = layouts.data();
  const VkResult result =
      context_.fn.AllocateDescriptorSets(context_.device, &info, command.sets.data());
  if (result != VK_SUCCESS) return context_.failed("vkAllocateDescriptorSets", result);
  for (size_t i = 0; i < list.size(); ++i)
    PUMICE_TRY(write_set(command, list[i], *pipelines_.find(list[i])->kernel, command.sets[i]));
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
    PUMICE_TRY_ASSIGN(command.queries,
                      make_owned<OwnedQueryPool>(context_, "vkCreateQueryPool", [&](auto* out) {
                        return context_.fn.CreateQueryPool(context_.device, &queries, nullptr, out);
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

void Recorder::encode_dispatch(const Command& command, const Dispatch& dispatch,
                               VkDescriptorSet set) {
  const DeviceFunctions& fn = context_.fn;
  const Pipeline& pipeline = *pipelines_.find(dispatch);
  const Kernel& kernel = *pipeline.kernel;
  const bool label = bool(fn.CmdBeginDebugUtilsLabelEXT) && !dispatch.label.empty();
  if (label) {
    VkDebugUtilsLabelEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT};
    info.pLabelName = dispatch.label.c_str();
    fn.CmdBeginDebugUtilsLabelEXT(command.commands, &info);
  }
  fn.CmdBindPipeline(command.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.handle.get());
  fn.CmdBindDescriptorSets(command.commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.layout.get(), 0,
                           1, &set, 0, nullptr);
  if (kernel.info.push_bytes != 0)
    fn.CmdPushConstants(command.commands, kernel.layout.get(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                        kernel.info.push_bytes, dispatch.push.data());
  if (is_indirect(dispatch))
    fn.CmdDispatchIndirect(command.commands, buffers_.find(dispatch.indirect.buffer)->handle.get(),
                           dispatch.indirect.offset);
  else
    fn.CmdDispatch(command.commands, dispatch.groups[0], dispatch.groups[1], dispatch.groups[2]);
  if (label) fn.CmdEndDebugUtilsLabelEXT(command.commands);
}

Result<void> Recorder::encode(Command& command, std::span<const Dispatch> list) {
  const DeviceFunctions& fn = context_.fn;
  const VkCommandBuffer commands = command.commands;
  const VkQueryPool queries = command.queries.get();
  const VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  VkResult result = fn.BeginCommandBuffer(commands, &info);
  if (result != VK_SUCCESS) return context_.failed("vkBeginCommandBuffer", result);

  // Group counts are read by another stage; barriers include it where the list has any.
  const bool indirect = std::any_of(list.begin(), list.end(), is_indirect);
  VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
  VkAccessFlags uses = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  if (indirect) {
    stages |= VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT;
    uses |= VK_ACCESS_INDIRECT_COMMAND_READ_BIT;
  }
  constexpr VkPipelineStageFlags kBefore =
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT |
      VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT;
  constexpr VkAccessFlags kWrites =
      VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT;

  if (queries != VK_NULL_HANDLE)
    fn.CmdResetQueryPool(commands, queries, 0, uint32_t(list.size() + 1));
  full_barrier(context_, commands, kBefore, kWrites, stages, uses);
  const auto stamp = [&](size_t number) {
    if (queries == VK_NULL_HANDLE) return;
    fn.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, uint32_t(number));
  };
  stamp(0);
  for (size_t i = 0; i < list.size(); ++i) {
    if (i != 0 && list[i].barrier)
      full_barrier(context_, commands, stages, VK_ACCESS_SHADER_WRITE_BIT, stages, uses);
    encode_dispatch(command, list[i], command.sets[i]);
    stamp(i + 1);
  }
  full_barrier(context_, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
               VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
  result = fn.EndCommandBuffer(commands);
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
  for (const Dispatch& dispatch : list)
    command->labels.push_back(dispatch.label.empty() ? dispatch.kernel : dispatch.label);
  auto done = allocate(*command, list, timestamps);
  if (done) done = encode(*command, list);
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
  if (const auto done = timeline_.wait((*command)->last, kLimit); !done && !context_.lost) {
    // Still running: the command is kept, and freed with the device, which waits for longer.
    log_warning("a command is not freed: {}", done.error().text);
    return;
  }
  free_commands(**command);
  commands_[id].reset();
}

Result<Ticket> Recorder::submit(CommandId id) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY_ASSIGN(Command * command, find(id));
  if (!command->destroyed_buffer.empty())
    return fail(ErrorCode::BadArgument,
                "command {} uses the buffer '{}', which was destroyed; record it again", id,
                command->destroyed_buffer);
  PUMICE_TRY_ASSIGN(const bool idle, timeline_.finished(command->last));
  if (!idle)
    return fail(ErrorCode::BadArgument,
                "command {} is still running (submission {}); wait for it before the next", id,
                command->last);
  PUMICE_TRY_ASSIGN(command->last, timeline_.submit(command->commands));
  return command->last;
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
  std::vector<uint64_t> stamps(command->labels.size() + 1);
  const VkResult result = context_.fn.GetQueryPoolResults(
      context_.device, command->queries.get(), 0, uint32_t(stamps.size()),
      stamps.size() * sizeof(uint64_t), stamps.data(), sizeof(uint64_t),
      VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
  if (result != VK_SUCCESS) return context_.failed("vkGetQueryPoolResults", result);
  const uint32_t bits = context_.physical.timestamp_bits;
  const uint64_t mask = bits >= 64 ? UINT64_MAX : (uint64_t(1) << bits) - 1;
  std::vector<Timing> rows;
  for (size_t i = 0; i < command->labels.size(); ++i) {
    const uint64_t ticks = (stamps[i + 1] - stamps[i]) & mask;
    rows.push_back(
        {command->labels[i], double(ticks) * double(context_.caps().timestamp_period_ns) / 1000.0});
  }
  return rows;
}

}  // namespace pumice::vk
