#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "walk.glsl"
// y = x, 16 bytes a lane and turn. Four are read before any is written: the memory is far away.
layout(binding = 0) readonly restrict buffer X { uvec4 x[]; };
layout(binding = 1) writeonly restrict buffer Y { uvec4 y[]; };
void main() {
  for (uint turn = 0; turn < turns; turn += 4) {
    uvec4 some[4];
    [[unroll]] for (uint i = 0; i < 4; ++i) some[i] = x[unit_of(turn + i)];
    [[unroll]] for (uint i = 0; i < 4; ++i) y[unit_of(turn + i)] = some[i];
  }
}
