// The kernel table's choices, from a capability snapshot alone.
#include "engine/schedule/policy.h"

#include <algorithm>

#include "shaders/shared/push.h"

namespace pumice {
namespace {

// Columns per workgroup for a number of columns: a power of two, at most 8.
uint32_t columns_per_group(const Policy& policy, const MatrixShape& shape) {
  if (shape.experts) return 1;
  const uint32_t fitting = shape.columns >= 5 ? 8 : shape.columns >= 3 ? 4 : shape.columns;
  return std::min(fitting, policy.columns);
}

std::string type_name(QuantType type) {
  return std::string(info(type).name);
}

MatrixKernel lane_kernel(const Policy& policy, const MatrixShape& shape, bool q8) {
  MatrixKernel kernel;
  kernel.module = "matvec_lane." + type_name(shape.type) + (q8 ? ".q8" : ".f32");
  kernel.x_format = q8 ? XFormat::Pairs : XFormat::F32;
  kernel.cols = columns_per_group(policy, shape);
  // Tiles share what is fetched of x and handed around, which in int8 is more work than one tile's
  // weights are. Between one column and many, and in f32, more than two only take longer to
  // compile.
  const uint32_t usual = q8 && (kernel.cols == 1 || kernel.cols == 8) ? 4 : 2;
  kernel.tiles = std::max(policy.tiles == 0 ? usual : policy.tiles, shape.gate ? 2u : 1u);
  return kernel;
}

MatrixKernel wide_kernel(const Policy& policy, const MatrixShape& shape, bool q8) {
  MatrixKernel kernel;
  const char* suffix = !q8 ? ".f32" : policy.dot8 ? ".dot8" : ".q8";
  kernel.module = "matvec_wide." + type_name(shape.type) + suffix;
  kernel.x_format = q8 ? XFormat::Packed : XFormat::F32;
  kernel.cols = columns_per_group(policy, shape);
  kernel.tiles = shape.gate ? 2 : std::clamp(policy.tiles, 1u, 2u);
  return kernel;
}

}  // namespace

const char* cache_type_name(CacheType type) {
  constexpr const char* kNames[] = {"f32", "f16", "q8_0", "q4_0"};
  return kNames[uint32_t(type)];
}

double cache_type_bits(CacheType type) {
  constexpr double kBits[] = {32, 16, 8.5, 4.5};
  return kBits[uint32_t(type)];
}

std::string describe(const CacheFormat& cache) {
  std::string text = cache.rotate ? "rotated " : "";
  text += cache_type_name(cache.k);
  return cache.k == cache.v ? text : text + " K and " + cache_type_name(cache.v) + " V";
}

Policy choose_policy(const Capabilities& caps, const RunOptions& options) {
  Policy policy;
  policy.lane = caps.is_cpu && caps.subgroup_size == 8 && caps.subgroup_shuffle &&
                caps.max_texel_elements >= (1u << 26);
  policy.texel = policy.lane;
  policy.dot8 = caps.dot8 && !policy.lane;
  // Measured default: int8 activations pay on the lane kernels and where the device has the dot.
  const Tuning& tuning = options.tuning;
  const bool q8_pays = tuning.activations == ActivationType::Auto
                           ? policy.lane || policy.dot8
                           : tuning.activations == ActivationType::Q8;
  policy.q8 = options.activations == ActivationType::Q8 ||
              (options.activations == ActivationType::Auto && q8_pays);
  policy.tuned = tuning != Tuning{};
  policy.tiles = tuning.tiles;
  if (tuning.columns != 0) policy.columns = tuning.columns;
  if (tuning.tiled_from != 0) policy.tiled_from = tuning.tiled_from;
  // Tiles add in another order than the mat-vec kernels: prompts use them unless bits must agree.
  policy.tiled =
      !policy.lane && !options.deterministic && options.activations != ActivationType::Q8;
  policy.fp16 =
      policy.tiled && options.activations == ActivationType::Auto && caps.fp16 && caps.storage16;
  policy.cache = options.cache;
  policy.split_attention = !caps.is_cpu;
  policy.alignment = std::max({caps.storage_alignment, caps.texel_alignment, 256u});
  constexpr uint64_t kArena = uint64_t{1} << 30;
  policy.arena_bytes = std::min(caps.max_allocation == 0 ? kArena : caps.max_allocation, kArena);
  policy.matrix_binding_bytes =
      policy.lane ? std::min<uint64_t>(caps.max_texel_elements * kUnitBytes, policy.arena_bytes)
                  : std::min(caps.max_storage_range, policy.arena_bytes);
  return policy;
}

std::string describe(const Policy& policy) {
  std::string text = policy.lane ? "row-per-lane kernels" : "workgroup kernels";
  if (policy.tiled)
    text += policy.fp16 ? " with binary16 tiles for prompts" : " with tiles for prompts";
  text += policy.q8 ? (policy.dot8 ? ", int8 activations (dot product)" : ", int8 activations")
                    : ", f32 activations";
  return text + ", " + describe(policy.cache) + " cache" +
         (policy.tuned ? ", tuned for this device" : "");
}

MatrixKernel choose_matrix_kernel(const Policy& policy, const MatrixShape& shape) {
  const WeightLayout* layout = find_weight_layout(shape.type);
  const bool q8 = policy.q8 && layout->has_int8_path;
  if (policy.lane) return lane_kernel(policy, shape, q8);
  if (policy.tiled && !shape.experts && shape.columns >= policy.tiled_from) {
    MatrixKernel kernel;
    kernel.module = "matmul_tile." + type_name(shape.type) + (policy.fp16 ? ".f16" : ".f32");
    kernel.x_format = policy.fp16 ? XFormat::Half : XFormat::F32;
    kernel.tiled = true;
    return kernel;
  }
  return wide_kernel(policy, shape, q8);
}

uint32_t attention_queries(const Policy& policy, const AttentionShape& shape) {
  // Neighbours are of one sequence in prompts, where few columns have an output.
  if (!policy.lane || shape.tokens < 8 || shape.outputs * 4 > shape.tokens) return 1;
  uint32_t queries = shape.head > 128 ? 1 : shape.head > 64 ? 4 : 8;  // as registers allow
  // Turns of the kernel's loops where every query is of another sequence. lavapipe leaves a loop,
  // and those inside it, after 65,535 turns.
  constexpr uint64_t kTurns = 60'000, kTurnsOfPage = PUMICE_PAGE / 8 + 1;
  while (queries > 1 && queries * kTurnsOfPage * shape.pages > kTurns) queries /= 2;
  return queries;
}

}  // namespace pumice
