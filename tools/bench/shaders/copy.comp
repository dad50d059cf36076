#version 450
#extension GL_GOOGLE_include_directive : require
#include "walk.glsl"
// y = x, 16 bytes a lane and turn.
layout(binding = 0) readonly buffer X { uvec4 x[]; };
layout(binding = 1) writeonly buffer Y { uvec4 y[]; };
void main() {
  for (uint turn = 0; turn < turns; ++turn) y[unit_of(turn)] = x[unit_of(turn)];
}
