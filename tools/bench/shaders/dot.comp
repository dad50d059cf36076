#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_spirv_intrinsics : require
// Chains of dot products of four int8 pairs.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot4_signed(int a, int b, spirv_literal int packed_4x8);
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const int CHAINS = 16;
layout(binding = 0) writeonly buffer Y { int y[]; };
layout(push_constant) uniform Push { uint turns; int a; };
void main() {
  int sum[CHAINS];
  [[unroll]] for (int i = 0; i < CHAINS; ++i) sum[i] = int(gl_LocalInvocationIndex) + i;
  for (uint turn = 0; turn < turns; turn += 16)
    [[unroll]] for (int j = 0; j < 16; ++j)
      [[unroll]] for (int i = 0; i < CHAINS; ++i) sum[i] += dot4_signed(sum[i], a, 0);
  int all = 0;
  [[unroll]] for (int i = 0; i < CHAINS; ++i) all ^= sum[i];
  if (all == 0x5EED5EED) y[0] = 1;
}
