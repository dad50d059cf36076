#version 450
// y[i] = value + i
layout(local_size_x_id = 0) in;
layout(binding = 0) writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push { uint value; uint count; };
void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < count) y[i] = value + i;
}
