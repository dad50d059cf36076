// The activations a matrix kernel multiplies: f32 columns, or int8 blocks of 32 with their scale, the
// scaled sums of both halves and, where the RMS norm is left to the kernel, the sum of the squares.
#ifdef ACT_Q8
#ifdef LOAD_TEXEL
layout(set = 0, binding = 1, rgba32ui) uniform readonly restrict uimageBuffer x_units;
layout(set = 0, binding = 6, rgba32f) uniform readonly restrict imageBuffer x_scales;
uvec4 x_unit(uint i) { return imageLoad(x_units, int(i)); }
vec4 x_scale(uint i) { return imageLoad(x_scales, int(i)); }
#else
layout(set = 0, binding = 1, std430) readonly buffer XUnits { uvec4 x_units[]; };
layout(set = 0, binding = 6, std430) readonly buffer XScales { vec4 x_scales[]; };
uvec4 x_unit(uint i) { return x_units[i]; }
vec4 x_scale(uint i) { return x_scales[i]; }  // d, d * sum(0..15), d * sum(16..31), squares
#endif
#else
#ifdef LOAD_TEXEL
layout(set = 0, binding = 1, rgba32f) uniform readonly restrict imageBuffer x_quads;
vec4 x_quad(uint i) { return imageLoad(x_quads, int(i)); }
#else
layout(set = 0, binding = 1, std430) readonly buffer XQuads { vec4 x_quads[]; };
vec4 x_quad(uint i) { return x_quads[i]; }
#endif
#endif
