// Prepares columns for a matrix kernel: RMS norm, int8 quantisation in blocks of 32, or both.
// One workgroup per normalised run; sums meet in a tree of fixed shape.
#include "lib/prelude.glsl"
#include "shared/push.h"
#ifdef LOAD_TEXEL
#define LANES 8  // a core runs idle lanes too
#else
#define LANES 64
#endif
layout(local_size_x = LANES) in;
layout(push_constant) uniform Push { PreparePush p; };
layout(constant_id = 0) const uint NORM = 1;
// 0 f32, 1 packed int8, 2 int8 pairs for the lane kernel, 3 binary16
layout(constant_id = 1) const uint MODE = 0;

#include "lib/bits.glsl"
#include "lib/int8_block.glsl"
#include "lib/quads.glsl"
#ifdef LOAD_TEXEL
layout(set = 0, binding = 1, rgba32f) uniform readonly restrict imageBuffer norm_weights;
vec4 norm_weight(uint i) { return imageLoad(norm_weights, int(i)); }
#else
layout(set = 0, binding = 1, std430) readonly buffer NormWeight { vec4 norm_weights[]; };
vec4 norm_weight(uint i) { return norm_weights[i]; }
#endif
layout(set = 0, binding = 2, std430) writeonly buffer Y { vec4 y[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Units { uvec4 units[]; };
layout(set = 0, binding = 4, std430) writeonly buffer Scales { vec4 scales[]; };

shared float sums[LANES];

float inverse_rms(uint first_quad, uint quads, uint lane) {
  float sum = 0.0;
  LOOP for (uint i = lane; i < quads; i += LANES) {
    vec4 v = in_quad(first_quad + i);
    sum += (v.x * v.x + v.y * v.y) + (v.z * v.z + v.w * v.w);
  }
  sums[lane] = sum;
  barrier();
  LOOP for (uint half_width = LANES / 2; half_width > 0; half_width >>= 1) {
    if (lane < half_width) sums[lane] += sums[lane + half_width];
    barrier();
  }
  return 1.0 / sqrt(sums[0] / float(quads * 4) + p.eps);
}

uvec2 pack_pairs(ivec4 q) {
  return uvec2(int8_pair(q.x, q.z), int8_pair(q.y, q.w));
}

// 32 elements in the form that MODE asks for.
void prepare32(uint column, uint group, uint x_first, float factor) {
  vec4 v[8];
  vec4 squares[2] = vec4[2](vec4(0.0), vec4(0.0));
  float largest = 0.0;
  UNROLL for (uint i = 0; i < 8; ++i) {
    uint element = group * 32 + 4 * i;
    v[i] = element < p.width ? in_quad(x_first + group * 8 + i) : vec4(0.0);
    squares[i & 1] += v[i] * v[i];
    if (NORM != 0 && element < p.width) v[i] = v[i] * factor * norm_weight(group * 8 + i);
    vec4 a = abs(v[i]);
    largest = max(largest, max(max(a.x, a.y), max(a.z, a.w)));
  }
  if (MODE == 3) {
    UNROLL for (uint i = 0; i < 8; ++i) v[i] = clamp(v[i], -65504.0, 65504.0);
    UNROLL for (uint i = 0; i < 4; ++i)
      units[(column * p.groups32 + group) * 4 + i] =
          uvec4(packHalf2x16(v[2 * i].xy), packHalf2x16(v[2 * i].zw),
                packHalf2x16(v[2 * i + 1].xy), packHalf2x16(v[2 * i + 1].zw));
    return;
  }
  float squared = 0.0;
  if (NORM != 0 && MODE == 2) {  // in the order of lib/feed.glsl, whose lanes have every eighth
    UNROLL for (uint i = 0; i < 2; ++i)
      squared += (squares[i].x + squares[i].y) + (squares[i].z + squares[i].w);
  }
  vec2 scale = int8_scales(largest);
  uint block = column * p.groups32 + group;
  ivec4 q[8];
  ivec2 total = ivec2(0);
  UNROLL for (uint i = 0; i < 8; ++i) {
    q[i] = ivec4(roundEven(v[i] * scale.y));
    total[i >> 2] += (q[i].x + q[i].y) + (q[i].z + q[i].w);
  }
  scales[block] = vec4(scale.x, scale.x * vec2(total), squared);
  if (MODE == 1) {
    UNROLL for (uint i = 0; i < 2; ++i)
      units[block * 2 + i] = uvec4(pack_bytes(q[4 * i]), pack_bytes(q[4 * i + 1]),
                                   pack_bytes(q[4 * i + 2]), pack_bytes(q[4 * i + 3]));
  } else {
    UNROLL for (uint i = 0; i < 4; ++i)
      units[block * 4 + i] = uvec4(pack_pairs(q[2 * i]), pack_pairs(q[2 * i + 1]));
  }
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint column = gl_WorkGroupID.y, run = gl_WorkGroupID.x;
  uint x_first = (column * p.x_stride + run * p.group) / 4;
  uint quads = p.group / 4;
  // The kernel that reads pairs divides its sums by the RMS of x, from the squares left here.
  float factor = NORM != 0 && MODE != 2 ? inverse_rms(x_first, quads, lane) : 1.0;
  if (MODE == 0) {
    uint y_first = (column * p.y_stride + run * p.group) / 4;
    LOOP for (uint i = lane; i < quads; i += LANES)
      y[y_first + i] = in_quad(x_first + i) * factor * norm_weight(i);
  } else {
    LOOP for (uint group = lane; group < p.groups32; group += LANES)
      prepare32(column, group, x_first, factor);
  }
}
