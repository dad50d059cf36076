#version 450
#extension GL_EXT_control_flow_attributes : require
// Chains of four fused multiply-adds a turn: as many as the registers of a core hold on a software
// driver, more on a GPU.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint CHAINS = 8;
layout(binding = 0) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint turns; float a; float b; };
void main() {
  vec4 sum[CHAINS];
  [[unroll]] for (uint i = 0; i < CHAINS; ++i) sum[i] = vec4(gl_LocalInvocationIndex + i);
  for (uint turn = 0; turn < turns; turn += 16)
    [[unroll]] for (uint j = 0; j < 16; ++j)
      [[unroll]] for (uint i = 0; i < CHAINS; ++i) sum[i] = fma(sum[i], vec4(a), vec4(b));
  vec4 all = vec4(0);
  [[unroll]] for (uint i = 0; i < CHAINS; ++i) all += sum[i];
  if (all.x + all.y + all.z + all.w == -1.25) y[0] = 1.0;  // all terms are positive
}
