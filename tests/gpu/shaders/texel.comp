#version 450
// y[4 i + k] = bits of (float(a[i][k]) + b[i][k] + float(c[i][k]))
layout(local_size_x = 64) in;
layout(binding = 0) uniform utextureBuffer a;
layout(binding = 1) uniform textureBuffer b;
layout(binding = 2) uniform itextureBuffer c;
layout(binding = 3) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint count; };
void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < count)
    y[i] = vec4(texelFetch(a, int(i))) + texelFetch(b, int(i)) + vec4(texelFetch(c, int(i)));
}
