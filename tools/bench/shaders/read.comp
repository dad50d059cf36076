#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "walk.glsl"
// Reads everything, 16 bytes a lane and turn, and keeps nothing that is likely.
#ifdef LOAD_TEXEL
layout(binding = 0, rgba32ui) uniform readonly restrict uimageBuffer x;
uvec4 unit(uint i) { return imageLoad(x, int(i)); }
#else
layout(binding = 0) readonly buffer X { uvec4 x[]; };
uvec4 unit(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };
void main() {
  uvec4 all = uvec4(0);
  for (uint turn = 0; turn < turns; turn += 4)
    [[unroll]] for (uint i = 0; i < 4; ++i) all ^= unit(unit_of(turn + i));
  // The buffer holds zeros: this never happens, and the compiler cannot know.
  if ((all.x ^ all.y ^ all.z ^ all.w) == 0x9E3779B9u) y[0] = gl_GlobalInvocationID.x;
}
