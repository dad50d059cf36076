#version 450
// y[4 i + k] = float(a[i][k]) + b[i][k] + float(c[i][k]), through storage texel buffers
layout(local_size_x = 64) in;
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer a;
layout(binding = 1, rgba32f) uniform readonly imageBuffer b;
layout(binding = 2, rgba32i) uniform readonly iimageBuffer c;
layout(binding = 3, rgba32f) uniform writeonly imageBuffer y;
layout(push_constant) uniform Push { uint count; };
void main() {
  int i = int(gl_GlobalInvocationID.x);
  if (i < int(count))
    imageStore(y, i, vec4(imageLoad(a, i)) + imageLoad(b, i) + vec4(imageLoad(c, i)));
}
