// Builds modules, layouts and pipelines.
#include "engine/vk/pipeline.h"

#include <algorithm>
#include <new>
#include <set>
#include <system_error>
#include <thread>

#include "engine/base/platform.h"
#include "engine/vk/pipeline_cache.h"

namespace pumice::vk {
namespace {

constexpr unsigned kMaxThreads = 8;

/// SPIR-V capabilities that need something of the device (SPIR-V specification, 3.31).
struct CapabilityRow {
  uint32_t number;
  const char* name;
  bool (*present)(const Capabilities&, const Features&);
};

template <VkSubgroupFeatureFlagBits Bit>
bool has_subgroup(const Capabilities&, const Features& features) {
  return (features.subgroup_operations & Bit) != 0;
}

constexpr CapabilityRow kCapabilities[] = {
    {9, "16-bit floats", [](const auto& c, const auto&) { return c.fp16; }},
    {11, "64-bit integers", [](const auto&, const auto& f) { return f.int64; }},
    {22, "16-bit integers", [](const auto&, const auto& f) { return f.int16; }},
    {39, "8-bit integers", [](const auto& c, const auto&) { return c.int8; }},
    {4433, "16-bit storage", [](const auto& c, const auto&) { return c.storage16; }},
    {4448, "8-bit storage", [](const auto&, const auto& f) { return f.storage8; }},
    {6018, "integer dot products", [](const auto& c, const auto&) { return c.dot8; }},
    {6019, "integer dot products", [](const auto& c, const auto&) { return c.dot8; }},
    {61, "subgroup operations", has_subgroup<VK_SUBGROUP_FEATURE_BASIC_BIT>},
    {62, "subgroup votes", has_subgroup<VK_SUBGROUP_FEATURE_VOTE_BIT>},
    {63, "subgroup arithmetic", has_subgroup<VK_SUBGROUP_FEATURE_ARITHMETIC_BIT>},
    {64, "subgroup ballots", has_subgroup<VK_SUBGROUP_FEATURE_BALLOT_BIT>},
    {65, "subgroup shuffles", has_subgroup<VK_SUBGROUP_FEATURE_SHUFFLE_BIT>},
    {66, "relative subgroup shuffles", has_subgroup<VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT>},
    {67, "subgroup clusters", has_subgroup<VK_SUBGROUP_FEATURE_CLUSTERED_BIT>},
    {68, "subgroup quads", has_subgroup<VK_SUBGROUP_FEATURE_QUAD_BIT>},
};

Result<void> check_local_size(const Kernel& kernel, std::span<const uint32_t> constants,
                              const Capabilities& caps) {
  const auto size = kernel.info.local_size_with(constants);
  const uint64_t invocations = uint64_t(size[0]) * size[1] * size[2];
  bool fits = invocations <= caps.max_workgroup_invocations && size[0] <= UINT16_MAX &&
              size[1] <= UINT16_MAX && size[2] <= UINT16_MAX;
  for (size_t axis = 0; axis < 3; ++axis)
    fits = fits && size[axis] != 0 && size[axis] <= caps.max_workgroup_size[axis];
  if (fits) return {};
  return fail(ErrorCode::Unsupported,
              "kernel {}: a work group of {} x {} x {} was asked for, but {} allows {} x {} x {} "
              "and {} invocations",
              kernel.name, size[0], size[1], size[2], caps.device_name, caps.max_workgroup_size[0],
              caps.max_workgroup_size[1], caps.max_workgroup_size[2],
              caps.max_workgroup_invocations);
}

}  // namespace

VkDescriptorType descriptor_type(const ShaderBinding& binding) {
  if (binding.kind == BindingKind::StorageBuffer) return VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  return binding.image ? VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER
                       : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
}

Result<void> PipelineStore::create(const std::string& cache_path) {
  cache_path_ = cache_path;
  if (!cache_path.empty()) cache_payload_ = read_pipeline_cache(cache_path, context_.caps());
  VkPipelineCacheCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  info.initialDataSize = cache_payload_.size();
  info.pInitialData = cache_payload_.data();
  PUMICE_TRY_ASSIGN(
      cache_, make_owned<OwnedPipelineCache>(context_, "vkCreatePipelineCache", [&](auto* out) {
        return context_.fn.CreatePipelineCache(context_.device, &info, context_.allocator, out);
      }));
  return {};
}

Result<void> PipelineStore::check_kernel(const Kernel& kernel) const {
  const Capabilities& caps = context_.caps();
  for (const uint32_t number : kernel.info.capabilities)
    for (const CapabilityRow& row : kCapabilities)
      if (row.number == number && !row.present(caps, context_.physical.features))
        return fail(ErrorCode::Unsupported,
                    "kernel {} needs {}, which {} lacks or which was taken away; choose another "
                    "kernel",
                    kernel.name, row.name, caps.device_name);
  if (kernel.info.push_bytes > caps.max_push_bytes)
    return fail(ErrorCode::Unsupported,
                "kernel {} has {} bytes of push constants, but {} allows {}", kernel.name,
                kernel.info.push_bytes, caps.device_name, caps.max_push_bytes);
  const auto count_of = [&](VkDescriptorType type) {
    return uint32_t(std::ranges::count(kernel.info.bindings, type, descriptor_type));
  };
  const uint32_t storage = count_of(VK_DESCRIPTOR_TYPE_STORAGE_BUFFER);
  const uint32_t texel = count_of(VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER);
  const uint32_t image = count_of(VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER);
  const Features& features = context_.physical.features;
  if (storage > features.max_storage_bindings || texel > features.max_texel_bindings ||
      image > features.max_image_bindings)
    return fail(ErrorCode::Unsupported,
                "kernel {} binds {} storage, {} uniform texel and {} storage texel buffers, but {} "
                "allows {}, {} and {}",
                kernel.name, storage, texel, image, caps.device_name, features.max_storage_bindings,
                features.max_texel_bindings, features.max_image_bindings);
  return {};
}

Result<void> PipelineStore::make_layouts(Kernel& kernel) {
  std::vector<VkDescriptorSetLayoutBinding> rows;
  for (const ShaderBinding& binding : kernel.info.bindings) {
    rows.push_back(
        {binding.binding, descriptor_type(binding), 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
  }
  VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set.bindingCount = uint32_t(rows.size());
  set.pBindings = rows.data();
  PUMICE_TRY_ASSIGN(kernel.set_layout, make_owned<OwnedSetLayout>(
                                           context_, "vkCreateDescriptorSetLayout", [&](auto* out) {
                                             return context_.fn.CreateDescriptorSetLayout(
                                                 context_.device, &set, context_.allocator, out);
                                           }));
  const VkDescriptorSetLayout set_layout = kernel.set_layout.get();
  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, kernel.info.push_bytes};
  VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &set_layout;
  layout.pushConstantRangeCount = push.size != 0 ? 1 : 0;
  layout.pPushConstantRanges = &push;
  PUMICE_TRY_ASSIGN(
      kernel.layout,
      make_owned<OwnedPipelineLayout>(context_, "vkCreatePipelineLayout", [&](auto* out) {
        return context_.fn.CreatePipelineLayout(context_.device, &layout, context_.allocator, out);
      }));
  return {};
}

Result<std::unique_ptr<Kernel>> PipelineStore::make_kernel(const std::string& name) {
  const KernelModule* source = context_.hooks.find ? context_.hooks.find(name) : nullptr;
  if (source == nullptr)
    return fail(ErrorCode::NotFound, "this build has no kernel named {}; rebuild the shaders",
                name);
  auto kernel = std::make_unique<Kernel>();
  kernel->name = name;
  auto info = reflect_shader(source->spirv);
  if (!info) return fail_in(fmt::format("kernel {}", name), std::move(info.error()));
  kernel->info = std::move(*info);
  PUMICE_TRY(check_kernel(*kernel));
  VkShaderModuleCreateInfo module{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module.codeSize = source->spirv.size_bytes();
  module.pCode = source->spirv.data();
  PUMICE_TRY_ASSIGN(kernel->module,
                    make_owned<OwnedShaderModule>(context_, "vkCreateShaderModule", [&](auto* out) {
                      return context_.fn.CreateShaderModule(context_.device, &module,
                                                            context_.allocator, out);
                    }));
  PUMICE_TRY(make_layouts(*kernel));
  return kernel;
}

/// With the lock held.
Result<const Kernel*> PipelineStore::kernel(const std::string& name) {
  if (const auto found = kernels_.find(name); found != kernels_.end()) return found->second.get();
  PUMICE_TRY_ASSIGN(auto made, make_kernel(name));
  return kernels_.emplace(name, std::move(made)).first->second.get();
}

Result<OwnedPipeline> PipelineStore::make_pipeline(const Kernel& kernel,
                                                   std::span<const uint32_t> constants) {
  std::vector<VkSpecializationMapEntry> entries;
  for (const SpecConstant& constant : kernel.info.constants)
    if (constant.id < constants.size())
      entries.push_back({constant.id, constant.id * uint32_t(sizeof(uint32_t)), sizeof(uint32_t)});
  VkSpecializationInfo specialization{};
  specialization.mapEntryCount = uint32_t(entries.size());
  specialization.pMapEntries = entries.data();
  specialization.dataSize = constants.size_bytes();
  specialization.pData = constants.data();

  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT;  // parts of a list start within a dispatch
  if (context_.capture_statistics) info.flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = kernel.module.get();
  info.stage.pName = kernel.info.entry_point.c_str();
  if (!entries.empty()) info.stage.pSpecializationInfo = &specialization;
  info.layout = kernel.layout.get();
  auto made = make_owned<OwnedPipeline>(context_, "vkCreateComputePipelines", [&](auto* out) {
    return context_.fn.CreateComputePipelines(context_.device, cache_.get(), 1, &info,
                                              context_.allocator, out);
  });
  if (!made) return fail_in(fmt::format("kernel {}", kernel.name), std::move(made.error()));
  // Seen in the field: success, and no pipeline.
  if (made->get() == VK_NULL_HANDLE)
    return fail(ErrorCode::Driver,
                "kernel {}: the driver compiled it to nothing; update the driver", kernel.name);
  context_.name_object(VK_OBJECT_TYPE_PIPELINE, uint64_t(made->get()), kernel.name);
  count(context_.statistics.pipelines_created);
  return made;
}

/// Works through the jobs on several threads; the first error by job order is returned.
Result<void> PipelineStore::compile(std::vector<Job>& jobs) {
  std::vector<Error> errors(jobs.size());
  std::vector<char> failed(jobs.size(), 0);
  const auto make = [&](const Job& job) -> Result<OwnedPipeline> {
    try {
      return make_pipeline(*job.second->kernel, job.first.constants);
    } catch (const std::bad_alloc&) {  // short enough not to need any
      return tl::unexpected(Error{ErrorCode::OutOfMemory, "no host memory"});
    }
  };
  std::atomic<size_t> next = 0;
  std::atomic<bool> stop = false;
  const auto work = [&] {
    for (size_t i = next++; i < jobs.size() && !stop; i = next++) {
      auto made = make(jobs[i]);
      if (made) {
        jobs[i].second->handle = std::move(*made);
        continue;
      }
      errors[i] = std::move(made.error());
      failed[i] = 1;
      stop = true;
    }
  };
  unsigned wanted = context_.hooks.threads;
  if (wanted == 0) wanted = std::clamp(std::thread::hardware_concurrency(), 1u, kMaxThreads);
  std::vector<std::jthread> threads;
  for (size_t i = 1; i < std::min<size_t>(wanted, jobs.size()); ++i) {
    try {
      threads.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // no more threads: those we have do the work
    }
  }
  work();
  for (std::jthread& thread : threads) thread.join();
  for (size_t i = 0; i < jobs.size(); ++i)
    if (failed[i]) return tl::unexpected(std::move(errors[i]));
  return {};
}

Result<void> PipelineStore::prepare(std::span<const Dispatch> list) {
  PUMICE_TRY(context_.check_alive());
  const std::lock_guard lock(mutex_);
  std::vector<Job> jobs;
  std::set<Key> seen;
  for (const Dispatch& dispatch : list) {
    Key key{dispatch.kernel, dispatch.constants};
    if (pipelines_.contains(key) || !seen.insert(key).second) continue;
    auto pipeline = std::make_unique<Pipeline>();
    PUMICE_TRY_ASSIGN(pipeline->kernel, kernel(dispatch.kernel));
    PUMICE_TRY(check_local_size(*pipeline->kernel, dispatch.constants, context_.caps()));
    jobs.emplace_back(std::move(key), std::move(pipeline));
  }
  if (jobs.empty()) return {};
  PUMICE_TRY(compile(jobs));
  for (Job& job : jobs) pipelines_.emplace(job.first, std::move(job.second));
  return {};
}

const Pipeline* PipelineStore::find(const Dispatch& dispatch) {
  const std::lock_guard lock(mutex_);
  const auto found = pipelines_.find(Key{dispatch.kernel, dispatch.constants});
  return found == pipelines_.end() ? nullptr : found->second.get();
}

Result<void> PipelineStore::save_cache() {
  const std::lock_guard lock(mutex_);
  if (cache_path_.empty() || cache_.get() == VK_NULL_HANDLE) return {};
  size_t bytes = 0;
  VkResult result =
      context_.fn.GetPipelineCacheData(context_.device, cache_.get(), &bytes, nullptr);
  if (result != VK_SUCCESS) return context_.failed("vkGetPipelineCacheData", result);
  std::vector<std::byte> payload(bytes);
  result = context_.fn.GetPipelineCacheData(context_.device, cache_.get(), &bytes, payload.data());
  if (result != VK_SUCCESS && result != VK_INCOMPLETE)
    return context_.failed("vkGetPipelineCacheData", result);
  payload.resize(bytes);
  if (payload == cache_payload_) return {};
  PUMICE_TRY(write_file_whole(cache_path_, pack_pipeline_cache(context_.caps(), payload)));
  cache_payload_ = std::move(payload);
  return {};
}

}  // namespace pumice::vk
