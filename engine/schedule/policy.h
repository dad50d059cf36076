// Which kernel runs an op on a device: the kernel table and pure functions over it.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/graph/taps.h"
#include "engine/schedule/capabilities.h"
#include "engine/schedule/weight_layout.h"

namespace pumice {

enum class ActivationType : uint8_t { Auto, F32, Q8 };
/// In the order of PUMICE_CACHE_* (shaders/shared/push.h). The quantised ones hold blocks of 32
/// elements with one binary16 scale: 8.5 and 4.5 bits per element.
enum class CacheType : uint8_t { F32, F16, Q8_0, Q4_0 };

[[nodiscard]] const char* cache_type_name(CacheType type);  ///< "f32", "f16", "q8_0", "q4_0"
[[nodiscard]] double cache_type_bits(CacheType type);       ///< per element, scales included

/// How the KV cache is kept.
struct CacheFormat {
  CacheType k = CacheType::F16, v = CacheType::F16;
  bool rotate =
      false;  ///< heads of q, K and V pass through a Hadamard transform, undone at the end

  constexpr CacheFormat() = default;
  constexpr CacheFormat(CacheType both) : k(both), v(both) {}
  constexpr CacheFormat(CacheType k_type, CacheType v_type, bool rotated = false)
      : k(k_type), v(v_type), rotate(rotated) {}
  friend constexpr bool operator==(const CacheFormat&, const CacheFormat&) = default;
};

/// "f16", "rotated q8_0", "q8_0 K and q4_0 V".
[[nodiscard]] std::string describe(const CacheFormat& cache);

/// What measurements on one device put in the place of the table's own choices (tuning.h); Auto and
/// 0 leave them. Only `activations` changes results: sums do not depend on the rest.
struct Tuning {
  ActivationType activations = ActivationType::Auto;  ///< of mat-vec kernels, where Auto is asked
  uint32_t tiles = 0;       ///< of 8 rows per workgroup of mat-vec kernels: 1, 2, 4
  uint32_t columns = 0;     ///< per workgroup of them, at most: 1, 2, 4, 8
  uint32_t tiled_from = 0;  ///< columns from which matmul tiles are used
  friend constexpr bool operator==(const Tuning&, const Tuning&) = default;
};

/// What a session asks for; everything has a default that fits a chat.
struct RunOptions {
  uint32_t context = 0;        ///< positions per sequence; 0 = the model's, at most 4096
  uint32_t max_chunk = 512;    ///< tokens per step
  uint32_t max_outputs = 1;    ///< logits rows kept per step
  uint32_t max_sequences = 1;  ///< sequences that can be stepped together
  ActivationType activations = ActivationType::Auto;
  CacheFormat cache;
  bool deterministic = false;  ///< bits independent of chunking and neighbours
  /// Gather statistics of what matrices multiply. Activations and cache are then f32, whatever is
  /// asked for above, and every step computes all layers for all its columns.
  graph::TapOptions taps;
  Tuning tuning;
};

/// The form in which a matrix kernel reads activations; values are MODE of kernel/prepare.glsl.
enum class XFormat : uint8_t { F32 = 0, Packed = 1, Pairs = 2, Half = 3 };

/// Everything the scheduler decides once per device and options.
struct Policy {
  bool tuned = false;  ///< by a profile of this device
  bool lane = false;   ///< row-per-lane kernels with texel loads (software drivers)
  bool texel = false;  ///< read activations and cache through texel buffers
  bool q8 = false;     ///< int8 activations where the codec has an integer path
  bool dot8 = false;   ///< integer dot product instruction
  bool tiled = false;  ///< shared-memory tiles for prompts
  bool fp16 = false;   ///< those tiles in binary16, activations in 16-bit storage
  CacheFormat cache;
  uint32_t tiles = 0;                 ///< as Tuning; 0 = the kernel's own
  uint32_t columns = 8;               ///< per workgroup of mat-vec kernels, at most
  uint32_t tiled_from = 16;           ///< columns from which tiles pay
  bool split_attention = false;       ///< one workgroup per page, then a merge (decode on GPUs)
  uint64_t matrix_binding_bytes = 0;  ///< largest weight binding
  uint32_t alignment = 256;           ///< of slices, bytes
  uint64_t arena_bytes = 0;           ///< largest buffer
};

[[nodiscard]] Policy choose_policy(const Capabilities& caps, const RunOptions& options);

/// One line for reports: "lane kernels, int8 activations, f16 cache".
[[nodiscard]] std::string describe(const Policy& policy);

struct MatrixShape {
  QuantType type;
  uint32_t tiles = 0, groups = 0, columns = 0;
  bool gate = false, experts = false;
};

struct MatrixKernel {
  std::string module;
  XFormat x_format = XFormat::F32;
  uint32_t cols = 1, tiles = 1;  ///< specialization: columns and tiles per workgroup
  bool tiled = false;            ///< fixed 64 x 64 tile instead
};

[[nodiscard]] MatrixKernel choose_matrix_kernel(const Policy& policy, const MatrixShape& shape);

struct AttentionShape {
  uint32_t tokens = 0, outputs = 0;  ///< of the step
  uint32_t head = 0;                 ///< elements of the wider of K's and V's
  uint32_t pages = 0;                ///< per sequence
};

/// Columns of a workgroup of attention_lane.glsl (1, 2, 4 or 8), which share what they read of the
/// cache if they are of one sequence; 1 on devices with another kernel.
[[nodiscard]] uint32_t attention_queries(const Policy& policy, const AttentionShape& shape);

}  // namespace pumice
