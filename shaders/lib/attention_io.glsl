// What both attention kernels read and write.
#include "lib/kv.glsl"
layout(constant_id = 2) const uint HEAD_K = 64;
layout(constant_id = 3) const uint HEAD_V = 64;
layout(constant_id = 4) const uint ROTATE = 0;  // the output is turned back (lib/hadamard.glsl)
layout(push_constant) uniform Push { AttentionPush p; };
#include "lib/quads.glsl"
#ifdef LOAD_TEXEL
layout(set = 0, binding = 1, rgba32ui) uniform readonly restrict uimageBuffer cache_units;
uvec4 cache_unit(uint i) { return imageLoad(cache_units, int(i)); }
#else
layout(set = 0, binding = 1, std430) readonly buffer CacheUnits { uvec4 cache_units[]; };
uvec4 cache_unit(uint i) { return cache_units[i]; }
#endif
uint cache_word(uint i) { return cache_unit(i >> 2)[i & 3]; }
layout(set = 0, binding = 2, std430) writeonly buffer Out { float attention_out[]; };
layout(set = 0, binding = 3, std430) readonly buffer Step { uint step_words[]; };

const uint kUnitsK = HEAD_K / kElementsK;  // 16-byte units of a row
const uint kUnitsV = HEAD_V / kElementsV;
const uint kPairsK = (HEAD_K + 63) / 64;   // words of scales of a row
const uint kPairsV = (HEAD_V + 63) / 64;

const float kFloor = -1.0e30;  // below every score; exp of a difference to it is 0

float shape_score(float s) {
  s *= p.scale;
  if (p.softcap == 0.0) return s;
  float e = exp(clamp(2.0 * s / p.softcap, -88.0, 88.0));
  return p.softcap * (1.0 - 2.0 / (e + 1.0));
}

// First position that the window lets a query at `position` see.
uint first_visible(uint position) {
  return p.window == 0 || position < p.window ? 0 : position - p.window + 1;
}
