// Read-only f32 input on binding 0, four at a time (texels where loads of storage buffers loop).
#ifdef LOAD_TEXEL
layout(set = 0, binding = 0, rgba32f) uniform readonly restrict imageBuffer in_quads;
vec4 in_quad(uint i) { return imageLoad(in_quads, int(i)); }
#else
layout(set = 0, binding = 0, std430) readonly buffer InQuads { vec4 in_quads[]; };
vec4 in_quad(uint i) { return in_quads[i]; }
#endif
