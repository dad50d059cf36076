// Compute pipelines by kernel name and constants, their layouts learnt from the SPIR-V.
#pragma once

#include <map>
#include <mutex>

#include "engine/vk/context.h"
#include "engine/vk/spirv_reflect.h"

namespace pumice::vk {

/// One shader module with the layouts that all its pipelines share.
struct Kernel {
  std::string name;
  ShaderInfo info;
  OwnedShaderModule module;
  OwnedSetLayout set_layout;
  OwnedPipelineLayout layout;
};

/// What a binding is to Vulkan.
[[nodiscard]] VkDescriptorType descriptor_type(const ShaderBinding& binding);

struct Pipeline {
  const Kernel* kernel = nullptr;
  OwnedPipeline handle;
};

/// Pipelines live until the store ends. `prepare` and `find` may be called from several threads.
class PipelineStore {
 public:
  explicit PipelineStore(Context& context) : context_(context) {}

  /// Reads the cache file; an unusable one is ignored.
  [[nodiscard]] Result<void> create(const std::string& cache_path);
  /// Creates what the list needs and does not exist yet, on several threads.
  [[nodiscard]] Result<void> prepare(std::span<const Dispatch> list);
  /// Null before prepare().
  [[nodiscard]] const Pipeline* find(const Dispatch& dispatch);
  /// Writes the cache file when it would change.
  [[nodiscard]] Result<void> save_cache();
  [[nodiscard]] Result<std::vector<PipelineStatistic>> statistics();

 private:
  struct Key {
    std::string kernel;
    std::vector<uint32_t> constants;
    auto operator<=>(const Key&) const = default;
  };
  using Job = std::pair<const Key, std::unique_ptr<Pipeline>>;

  [[nodiscard]] Result<const Kernel*> kernel(const std::string& name);
  [[nodiscard]] Result<std::unique_ptr<Kernel>> make_kernel(const std::string& name);
  [[nodiscard]] Result<void> make_layouts(Kernel& kernel);
  [[nodiscard]] Result<void> check_kernel(const Kernel& kernel) const;
  [[nodiscard]] Result<OwnedPipeline> make_pipeline(const Kernel& kernel,
                                                    std::span<const uint32_t> constants);
  [[nodiscard]] Result<void> compile(std::vector<Job>& jobs);
  [[nodiscard]] Result<void> statistics_of(const Key& key, const Pipeline& pipeline,
                                           std::vector<PipelineStatistic>& rows);

  Context& context_;
  std::mutex mutex_;
  std::string cache_path_;
  std::vector<std::byte> cache_payload_;  ///< what the file holds
  OwnedPipelineCache cache_;
  std::map<std::string, std::unique_ptr<Kernel>> kernels_;
  std::map<Key, std::unique_ptr<Pipeline>> pipelines_;
};

}  // namespace pumice::vk
