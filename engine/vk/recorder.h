// Turns dispatch lists into command buffers that can be submitted again and again.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "engine/vk/buffer.h"
#include "engine/vk/part_slots.h"
#include "engine/vk/pipeline.h"

namespace pumice::vk {

/// A recorded list and everything that only it uses.
struct Command {
  VkCommandBuffer commands = VK_NULL_HANDLE;
  OwnedDescriptorPool pool;
  std::map<std::tuple<BufferId, uint64_t, uint64_t, VkFormat>, OwnedBufferView> views;
  ReplayList list;
  OwnedQueryPool queries;         ///< with timestamps: one before the list, one after each row
  std::vector<BufferId> buffers;  ///< sorted
  std::string destroyed_buffer;   ///< name of one it used; it cannot be submitted any more
  Ticket last = 0;                ///< of its newest submission
};

/// Safe to use from several threads.
class Recorder {
 public:
  Recorder(Context& context, BufferPool& buffers, PipelineStore& pipelines, Timeline& timeline)
      : context_(context),
        buffers_(buffers),
        pipelines_(pipelines),
        timeline_(timeline),
        slots_(context, timeline) {}

  [[nodiscard]] Result<void> create();
  /// The pipelines must exist.
  [[nodiscard]] Result<CommandId> record(std::span<const Dispatch> list, bool timestamps);
  void forget(CommandId id);
  [[nodiscard]] Result<Ticket> submit(CommandId id);
  [[nodiscard]] Result<std::vector<Timing>> timings(CommandId id);
  /// Device's calls of the same names.
  [[nodiscard]] Result<PartId> submit_part(const Part& part);
  [[nodiscard]] Result<PartId> write_part(HostCommands commands, const Part& part);
  [[nodiscard]] Result<PartTimes> wait_part(PartId id, std::chrono::milliseconds limit);
  void end_part(PartId id);
  /// Commands that use the buffer refuse to be submitted from now on.
  void buffer_destroyed(BufferId id, const std::string& name);

 private:
  [[nodiscard]] Result<Command*> find(CommandId id);
  /// A command whose buffers all exist.
  [[nodiscard]] Result<Command*> find_whole(CommandId id);
  [[nodiscard]] Result<const Command*> find_part(const Part& part);
  [[nodiscard]] Result<void> check(std::span<const Dispatch> list);
  [[nodiscard]] Result<void> allocate(Command& command, std::span<const Dispatch> list,
                                      bool timestamps);
  [[nodiscard]] Result<void> make_pool(Command& command, std::span<const Dispatch> list);
  [[nodiscard]] Result<void> make_sets(Command& command, std::span<const Dispatch> list);
  [[nodiscard]] Result<void> write_set(Command& command, const Dispatch& dispatch,
                                       const Kernel& kernel, VkDescriptorSet set);
  [[nodiscard]] ReplayRow make_row(const Dispatch& dispatch, VkDescriptorSet set);
  [[nodiscard]] Result<VkBufferView> view(Command& command, const BufferSlice& slice,
                                          BindingKind kind);
  [[nodiscard]] Result<void> encode(Command& command);
  void free_commands(Command& command);

  Context& context_;
  BufferPool& buffers_;
  PipelineStore& pipelines_;
  Timeline& timeline_;
  std::mutex mutex_;
  OwnedCommandPool pool_;
  std::deque<std::unique_ptr<Command>> commands_;
  PartSlots slots_;
};

}  // namespace pumice::vk
