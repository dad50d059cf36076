// Writes dispatches into command buffers.
#include "engine/vk/replay.h"

namespace pumice::vk {
namespace {

/// A full memory barrier between two sets of stages.
void full_barrier(const Context& context, VkCommandBuffer commands, VkPipelineStageFlags from,
                  VkAccessFlags written, VkPipelineStageFlags to, VkAccessFlags used) {
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = written;
  barrier.dstAccessMask = used;
  context.fn.CmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

void dispatch(const DeviceFunctions& fn, VkCommandBuffer commands, const ReplayRow& row,
              uint32_t first, uint32_t count) {
  if (row.indirect != VK_NULL_HANDLE) {
    fn.CmdDispatchIndirect(commands, row.indirect, row.indirect_at);
  } else if (count == row.cuts) {
    fn.CmdDispatch(commands, row.groups[0], row.groups[1], row.groups[2]);
  } else {
    std::array<uint32_t, 3> base{}, groups = row.groups;
    base[row.axis] = first;
    groups[row.axis] = count;
    fn.CmdDispatchBase(commands, base[0], base[1], base[2], groups[0], groups[1], groups[2]);
  }
}

void write_row(const Context& context, VkCommandBuffer commands, const ReplayRow& row,
               uint32_t first, uint32_t count) {
  const DeviceFunctions& fn = context.fn;
  const bool label = bool(fn.CmdBeginDebugUtilsLabelEXT) && !row.label.empty();
  if (label) {
    VkDebugUtilsLabelEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT};
    info.pLabelName = row.label.c_str();
    fn.CmdBeginDebugUtilsLabelEXT(commands, &info);
  }
  fn.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, row.pipeline);
  fn.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, row.layout, 0, 1, &row.set, 0,
                           nullptr);
  if (!row.push.empty())
    fn.CmdPushConstants(commands, row.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                        uint32_t(row.push.size() * sizeof(uint32_t)), row.push.data());
  dispatch(fn, commands, row, first, count);
  if (label) fn.CmdEndDebugUtilsLabelEXT(commands);
}

}  // namespace

uint32_t pieces_between(Place from, Place to) {
  return to.dispatch - from.dispatch + (to.group != 0 ? 1 : 0);
}

void replay(const Context& context, VkCommandBuffer commands, const ReplayList& list, Place from,
            Place to, VkQueryPool queries) {
  const DeviceFunctions& fn = context.fn;
  // Group counts are read by another stage; barriers include it where the list has any.
  VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
  VkAccessFlags uses = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  if (list.indirect) {
    stages |= VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT;
    uses |= VK_ACCESS_INDIRECT_COMMAND_READ_BIT;
  }
  constexpr VkPipelineStageFlags kBefore =
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT |
      VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT;
  constexpr VkAccessFlags kWrites =
      VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT;

  if (queries != VK_NULL_HANDLE)
    fn.CmdResetQueryPool(commands, queries, 0, pieces_between(from, to) + 1);
  full_barrier(context, commands, kBefore, kWrites, stages, uses);
  uint32_t stamped = 0;
  const auto stamp = [&] {
    if (queries == VK_NULL_HANDLE) return;
    fn.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, stamped++);
  };
  stamp();
  for (Place at = from; at < to; at = {at.dispatch + 1, 0}) {
    const ReplayRow& row = list.rows[at.dispatch];
    if (at != from && row.barrier)
      full_barrier(context, commands, stages, VK_ACCESS_SHADER_WRITE_BIT, stages, uses);
    const uint32_t end = at.dispatch < to.dispatch ? row.cuts : to.group;
    write_row(context, commands, row, at.group, end - at.group);
    stamp();
  }
  full_barrier(context, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
               VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
}

Result<bool> read_times(Context& context, VkQueryPool queries, std::span<double> pieces_us,
                        VkQueryResultFlags wait) {
  std::vector<uint64_t> stamps(pieces_us.size() + 1);
  const VkResult result = context.fn.GetQueryPoolResults(
      context.device, queries, 0, uint32_t(stamps.size()), stamps.size() * sizeof(uint64_t),
      stamps.data(), sizeof(uint64_t), VK_QUERY_RESULT_64_BIT | wait);
  if (result == VK_NOT_READY) return false;
  if (result != VK_SUCCESS) return context.failed("vkGetQueryPoolResults", result);
  const uint32_t bits = context.physical.timestamp_bits;
  const uint64_t mask = bits >= 64 ? UINT64_MAX : (uint64_t(1) << bits) - 1;
  const double us = double(context.caps().timestamp_period_ns) / 1000.0;
  for (size_t i = 0; i < pieces_us.size(); ++i)
    pieces_us[i] = double((stamps[i + 1] - stamps[i]) & mask) * us;
  return true;
}

}  // namespace pumice::vk
