// Each roof is a list of dispatches and what one of them does; the rest is timing.
#include "tools/bench/roof.h"

#include <algorithm>
#include <array>
#include <bit>

#include "tools/bench/kernels.h"

namespace pumice::bench {
namespace {

constexpr uint32_t kBuffers = 4;
constexpr uint64_t kOutBytes = 256;  ///< no device aligns storage buffers to more

/// Buffers of one measurement, freed with it.
class Buffers {
 public:
  explicit Buffers(vk::Device& device) : device_(device) {}
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;
  ~Buffers() {
    for (const BufferId id : ids_) device_.destroy_buffer(id);
  }
  Result<BufferSlice> add(uint64_t bytes) {
    PUMICE_TRY_ASSIGN(const BufferId id, device_.create_buffer({"roof", bytes}));
    ids_.push_back(id);
    return BufferSlice{id, 0, bytes};
  }

 private:
  vk::Device& device_;
  std::vector<BufferId> ids_;
};

struct Shape {
  uint32_t local = 64, groups = 1;
  [[nodiscard]] uint64_t lanes() const { return uint64_t{local} * groups; }
};

/// Enough invocations to fill a device. Software drivers pay for each workgroup.
Shape full_shape(const Capabilities& caps) {
  Shape shape;
  shape.local = caps.is_cpu ? 64 : std::min(256u, caps.max_workgroup_invocations);
  shape.groups = caps.is_cpu ? 256 : 16384;
  return shape;
}

Dispatch dispatch_of(const char* kernel, const Shape& shape, std::vector<BufferSlice> bindings,
                     std::vector<uint32_t> push) {
  Dispatch dispatch;
  dispatch.kernel = kernel;
  dispatch.constants = {shape.local};
  dispatch.bindings = std::move(bindings);
  dispatch.push = std::move(push);
  dispatch.groups = {shape.groups, 1, 1};
  dispatch.label = kernel;
  return dispatch;
}

/// A walk through so many units of 16 bytes, or a little fewer (shaders/walk.glsl).
struct Walk {
  Shape shape;
  uint32_t turns = 0, step = 0, span = 0;

  [[nodiscard]] uint64_t bytes() const { return shape.lanes() * turns * 16; }
  [[nodiscard]] std::vector<uint32_t> push() const { return {turns, step, span}; }
};

Walk walk_of(const Capabilities& caps, uint64_t units) {
  constexpr uint32_t kTurns = 4;  // that copy.comp and read.comp take at once
  Walk walk{.shape = full_shape(caps)};
  const uint64_t most = units / (uint64_t{walk.shape.local} * kTurns);
  walk.shape.groups = uint32_t(std::clamp<uint64_t>(most, 1, walk.shape.groups));
  walk.turns = uint32_t(units / walk.shape.lanes()) / kTurns * kTurns;
  walk.step = caps.is_cpu ? walk.shape.local : uint32_t(walk.shape.lanes());
  walk.span = caps.is_cpu ? walk.shape.local * walk.turns : walk.shape.local;
  return walk;
}

/// Seconds per dispatch to work per second.
Summary rate_of(std::vector<double> seconds, double work) {
  for (double& value : seconds) value = work / value;
  return summarise(seconds);
}

class Measurement {
 public:
  Measurement(vk::Device& device, Stopwatch& stopwatch, const RoofEffort& effort)
      : device_(device), stopwatch_(stopwatch), effort_(effort), buffers_(device) {}

  Result<void> allocate() {
    const Capabilities& caps = device_.capabilities();
    // The faster a device is, the more it needs before the ends of a dispatch do not matter.
    uint64_t each = effort_.bytes / (caps.is_cpu ? kBuffers : 1);
    each = std::min(each, caps.max_storage_range);
    if (caps.device_memory_free != 0) each = std::min(each, caps.device_memory_free / 16);
    each = std::max<uint64_t>(each, 65536) & ~uint64_t{65535};
    for (BufferSlice& slice : memory_) {
      PUMICE_TRY_ASSIGN(slice, buffers_.add(each));
    }
    PUMICE_TRY_ASSIGN(out_, buffers_.add(kBuffers * kOutBytes));
    return {};
  }

  Result<Summary> copy() {
    std::vector<Dispatch> list;
    const Walk walk = walk_of(device_.capabilities(), memory_[0].bytes / 16);
    // Pairs do not wait for each other. All are written: what never was, is one page of zeros.
    for (const auto& [from, to] : {std::pair{0, 1}, {2, 3}, {1, 0}, {3, 2}})
      list.push_back(dispatch_of("bench.copy", walk.shape,
                                 {memory_[size_t(from)], memory_[size_t(to)]}, walk.push()));
    PUMICE_TRY_ASSIGN(std::vector<double> seconds, stopwatch_.time(list, effort_.effort));
    return rate_of(std::move(seconds), 2.0 * double(walk.bytes()));
  }

  /// Through bindings of at most `most` bytes.
  Result<Summary> read(const char* kernel, uint64_t most) {
    std::vector<Dispatch> list;
    const uint64_t bytes = std::min(most, memory_[0].bytes);
    const Walk walk = walk_of(device_.capabilities(), bytes / 16);
    for (uint32_t i = 0; i < kBuffers; ++i)
      list.push_back(dispatch_of(
          kernel, walk.shape,
          {{memory_[i].buffer, 0, bytes}, {out_.buffer, i * kOutBytes, kOutBytes}}, walk.push()));
    PUMICE_TRY_ASSIGN(std::vector<double> seconds, stopwatch_.time(list, effort_.effort));
    return rate_of(std::move(seconds), double(walk.bytes()));
  }

  /// `per_chain` operations a lane, chain and turn. Turns are doubled until a dispatch is long
  /// enough for the clock, well below any watchdog.
  Result<Summary> arithmetic(const char* kernel, double per_chain, uint32_t chains,
                             std::vector<uint32_t> push) {
    const Shape shape = full_shape(device_.capabilities());
    Dispatch dispatch = dispatch_of(kernel, shape, {out_}, {16});
    dispatch.push.insert(dispatch.push.end(), push.begin(), push.end());
    dispatch.constants.push_back(chains);
    constexpr double kLong = 4e-3;
    constexpr uint32_t kMostTurns = 4096;  // lavapipe leaves loops after 65,535 turns
    for (double spent = 0; spent < kLong && dispatch.push[0] < kMostTurns;) {
      dispatch.push[0] *= 2;
      PUMICE_TRY_ASSIGN(std::vector<double> seconds,
                        stopwatch_.time(std::span(&dispatch, 1), {.least = 1, .most = 1}));
      spent = summarise(seconds).median;
    }
    PUMICE_TRY_ASSIGN(std::vector<double> seconds,
                      stopwatch_.time(std::span(&dispatch, 1), effort_.effort));
    const double turns = double(dispatch.push[0]) * double(shape.lanes());
    return rate_of(std::move(seconds), per_chain * chains * turns);
  }

  [[nodiscard]] std::string walked() const {
    return fmt::format("{} MiB", kBuffers * memory_[0].bytes >> 20);
  }

 private:
  vk::Device& device_;
  Stopwatch& stopwatch_;
  const RoofEffort& effort_;
  Buffers buffers_;
  std::array<BufferSlice, kBuffers> memory_;
  BufferSlice out_;
};

Result<Roof> read_roof(const Capabilities& caps, Measurement& measurement) {
  PUMICE_TRY_ASSIGN(const Summary storage, measurement.read("bench.read", UINT64_MAX));
  Roof roof{RoofKind::Read, "read", "B/s", storage, "storage buffers, " + measurement.walked()};
  // Some drivers' texel buffers are too short to leave the caches.
  const uint64_t most = caps.max_texel_elements * 16;
  if (most < uint64_t{32} << 20) return roof;
  PUMICE_TRY_ASSIGN(const Summary texel, measurement.read("bench.read_texel", most));
  if (texel.median <= storage.median) return roof;
  return Roof{RoofKind::Read, "read", "B/s", texel, "texel buffers, " + measurement.walked()};
}

Result<Roof> dot_roof(const Capabilities& caps, Measurement& measurement) {
  Roof roof{RoofKind::Dot, "integer dot", "OP/s", {}, "not measured: the device has none"};
  if (!caps.dot8) return roof;
  PUMICE_TRY_ASSIGN(roof.rate,
                    measurement.arithmetic("bench.dot", 8, caps.is_cpu ? 6 : 16, {0x03F1027Du}));
  roof.how = "int8, 4 at a time";
  return roof;
}

Roof matrix_roof(const Capabilities& caps) {
  return {RoofKind::Matrix,
          "matrix units",
          "FLOP/s",
          {},
          caps.coopmat
              ? "not measured: the shader compiler of this build has no KHR cooperative matrix"
              : "not measured: no KHR cooperative matrix on this device or in this build"};
}

}  // namespace

double Roofs::bandwidth() const {
  return std::max((*this)[RoofKind::Copy], (*this)[RoofKind::Read]);
}

Result<Roofs> measure_roofs(vk::Device& device, Stopwatch& stopwatch, const RoofEffort& effort) {
  const Capabilities& caps = device.capabilities();
  Measurement measurement(device, stopwatch, effort);
  PUMICE_TRY(measurement.allocate());
  Roofs roofs{caps.device_name, caps.driver_name, stopwatch.words(), {}};
  PUMICE_TRY_ASSIGN(const Summary copy, measurement.copy());
  roofs.rows.push_back({RoofKind::Copy, "copy", "B/s", copy,
                        fmt::format("storage buffers, {}", measurement.walked())});
  PUMICE_TRY_ASSIGN(Roof read, read_roof(caps, measurement));
  roofs.rows.push_back(std::move(read));
  // A core has 16 registers: chains, factors and nothing on the stack.
  const uint32_t chains = caps.is_cpu ? 3 : 8;
  PUMICE_TRY_ASSIGN(const Summary fma, measurement.arithmetic("bench.fma", 8, chains,
                                                              {std::bit_cast<uint32_t>(0.96875f),
                                                               std::bit_cast<uint32_t>(0.25f)}));
  roofs.rows.push_back({RoofKind::Fma, "fused multiply-add", "FLOP/s", fma, "f32"});
  PUMICE_TRY_ASSIGN(Roof dot, dot_roof(caps, measurement));
  roofs.rows.push_back(std::move(dot));
  roofs.rows.push_back(matrix_roof(caps));
  return roofs;
}

Result<Roofs> measure_roofs(vk::DeviceOptions options, const RoofEffort& effort) {
  options.kernels = find_bench_kernel;
  options.timestamps = true;
  PUMICE_TRY_ASSIGN(const auto device, vk::Device::open(options));
  PUMICE_TRY_ASSIGN(Stopwatch stopwatch, Stopwatch::create(*device));
  return measure_roofs(*device, stopwatch, effort);
}

std::string rate_text(double per_second, const char* unit) {
  if (per_second >= 1e12) return fmt::format("{:.2f} T{}", per_second / 1e12, unit);
  return fmt::format("{:.1f} G{}", per_second / 1e9, unit);
}

std::string describe(const Roofs& roofs) {
  std::string text = fmt::format("{} ({}), by {}\n", roofs.device, roofs.driver, roofs.clock);
  for (const Roof& roof : roofs.rows) {
    text += fmt::format("  {:<19}", roof.name);
    if (roof.measured())
      text += fmt::format(" {} +-{:.1f} %,", rate_text(roof.rate.median, roof.unit),
                          50 * relative_width(roof.rate));
    text += " " + roof.how + "\n";
  }
  return text;
}

}  // namespace pumice::bench
