// Weights as 16-byte units. A device tile is 8 rows x 1 block; inside it every 16-byte piece of a
// row's block lies beside the same piece of the other 7 rows, and pieces shorter than 16 bytes are
// packed for the 8 rows together (engine/schedule/weight_layout.h says the same to the uploader).
// Drivers that run on a CPU fetch texels without a loop over lanes, and those of storage texel
// buffers in place, where uniform ones cost a call; GPUs read storage buffers.
#ifdef LOAD_TEXEL
layout(set = 0, binding = 0, rgba32ui) uniform readonly restrict uimageBuffer weight_units;
uvec4 fetch_unit(uint unit) { return imageLoad(weight_units, int(unit)); }
#else
layout(set = 0, binding = 0, std430) readonly buffer WeightUnits { uvec4 weight_units[]; };
uvec4 fetch_unit(uint unit) { return weight_units[unit]; }
#endif

// Word `word` of a plane that packs short pieces, counted from its first unit.
uint fetch_word(uint plane, uint word) { return fetch_unit(plane + (word >> 2))[word & 3]; }

// The binary16 of row r in a plane that packs one per row (8 rows = 1 unit).
float fetch_half(uint plane, uint r) {
  uint pair = fetch_word(plane, r >> 1);
  return unpackHalf2x16((r & 1) != 0 ? pair >> 16 : pair).x;
}
