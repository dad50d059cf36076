// Sets of buffers in turn, so that timing walks through more memory than caches hold.
#include "tools/bench/shader_times.h"

#include <algorithm>
#include <random>

#include "engine/vk/pipeline_name.h"
#include "engine/vk/spirv_reflect.h"
#include "tools/bench/kernels.h"

namespace pumice::bench {
namespace {

constexpr uint64_t kMostSets = 16;

/// The buffers of all sets, freed with it.
class Sets {
 public:
  explicit Sets(vk::Device& device) : device_(device) {}
  Sets(const Sets&) = delete;
  Sets& operator=(const Sets&) = delete;
  ~Sets() {
    for (const BufferId id : ids_) device_.destroy_buffer(id);
  }

  Result<std::vector<BufferSlice>> add(std::span<const ShaderBuffer> buffers) {
    std::vector<BufferSlice> slices;
    for (const ShaderBuffer& buffer : buffers) {
      const std::string name = fmt::format("binding {}", slices.size());
      PUMICE_TRY_ASSIGN(const BufferId id, device_.create_buffer({name, buffer.bytes}));
      ids_.push_back(id);
      slices.push_back({id, 0, buffer.bytes});
      if (buffer.random) PUMICE_TRY(fill(slices.back()));
    }
    return slices;
  }

 private:
  Result<void> fill(const BufferSlice& slice) {
    std::mt19937 random(1);
    std::vector<float> values(size_t{1} << 18);
    for (float& value : values) value = float(random() >> 8) * 0x1p-24f;
    const auto bytes = std::as_bytes(std::span(values));
    for (uint64_t at = 0; at < slice.bytes; at += bytes.size()) {
      const uint64_t some = std::min<uint64_t>(bytes.size(), slice.bytes - at);
      PUMICE_TRY(device_.upload({slice.buffer, at, some}, bytes.first(some)));
    }
    return device_.finish_uploads();
  }

  vk::Device& device_;
  std::vector<BufferId> ids_;
};

uint64_t bytes_of(const ShaderJob& job) {
  uint64_t bytes = 0;
  for (const ShaderBuffer& buffer : job.buffers) bytes += buffer.bytes;
  return bytes;
}

uint64_t sets_for(const Capabilities& caps, const ShaderJob& job) {
  const uint64_t bytes = std::max<uint64_t>(bytes_of(job), 1);
  uint64_t sets = (job.walk + bytes - 1) / bytes;
  if (caps.device_memory_free != 0) sets = std::min(sets, caps.device_memory_free / 2 / bytes);
  return std::clamp<uint64_t>(sets, 1, kMostSets);
}

}  // namespace

std::string ShaderStore::add(std::vector<uint32_t> spirv) {
  Module& made = modules_.emplace_back();
  made.name = fmt::format("shader.{}", modules_.size());
  made.words = std::move(spirv);
  made.module = {made.name.c_str(), made.words};
  return made.name;
}

const KernelModule* ShaderStore::find(const std::string& name) const {
  for (const Module& module : modules_)
    if (module.name == name) return &module.module;
  return find_bench_kernel(name);
}

Result<uint32_t> bindings_of(std::span<const uint32_t> spirv) {
  PUMICE_TRY_ASSIGN(const vk::ShaderInfo info, vk::reflect_shader(spirv));
  if (info.bindings.empty()) return 0u;
  return std::max(info.bindings.back().binding, info.bindings.back().binding + 1);  // no wrap
}

Result<ShaderTimes> time_shader(vk::Device& device, Stopwatch& stopwatch, const ShaderJob& job) {
  const uint64_t number = sets_for(device.capabilities(), job);
  Sets sets(device);
  std::vector<Dispatch> list(number);
  for (Dispatch& dispatch : list) {
    dispatch.kernel = job.kernel;
    dispatch.constants = job.constants;
    dispatch.push = job.push;
    dispatch.groups = job.groups;
    PUMICE_TRY_ASSIGN(dispatch.bindings, sets.add(job.buffers));
  }
  PUMICE_TRY_ASSIGN(const double each, stopwatch.estimate(list.front(), job.watchdog));
  list.resize(timed_at_once(list.size(), each, job.watchdog));
  ShaderTimes times;
  PUMICE_TRY_ASSIGN(times.seconds, stopwatch.time(list, job.effort));
  times.settled = relative_width(summarise(times.seconds)) < job.effort.interval;
  times.cached = list.size() * bytes_of(job) < job.walk;
  if (!device.capabilities().pipeline_statistics) return times;
  PUMICE_TRY_ASSIGN(const auto rows, device.pipeline_statistics());
  times.statistics = neutral_statistics(rows)[vk::pipeline_name(job.kernel, job.constants)];
  return times;
}

}  // namespace pumice::bench
