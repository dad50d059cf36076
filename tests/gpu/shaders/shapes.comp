#version 450
// Every kind of declaration that the reflector reads.
struct Inner { vec3 a; float b; uint c[3]; };
layout(local_size_x = 8, local_size_y_id = 3, local_size_z = 2) in;
layout(constant_id = 1) const uint kCount = 5;
layout(constant_id = 7) const bool kFlag = true;
layout(binding = 4) readonly buffer A { uint words[]; } a;
layout(binding = 2) buffer B { vec4 rows[]; } b;
layout(binding = 9) uniform utextureBuffer t;
layout(push_constant) uniform Push { uint first; Inner inner; mat3 m; uint last; } push;
void main() {
  uint i = gl_GlobalInvocationID.x;
  uvec4 texel = texelFetch(t, int(i));
  if (kFlag) b.rows[i] = vec4(push.m[0] * float(push.inner.c[1] + kCount), float(a.words[i] + texel.x + push.last));
}
