// Four-bit codebooks: 16 int8 values in four words, looked up for four packed indices at a time.
// Selects, not branches: SwiftShader compiles a hundred unrolled branches for minutes.
uint look_up4(uvec4 table, uint indices) {
  uint packed_values = 0;
  UNROLL for (uint i = 0; i < 4; ++i) {
    uint q = (indices >> (8 * i)) & 0xFu;
    uint low = mix(table.x, table.y, q >= 4), high = mix(table.z, table.w, q >= 12);
    uint word = mix(low, high, q >= 8);
    packed_values |= ((word >> (8 * (q & 3))) & 0xFFu) << (8 * i);
  }
  return packed_values;
}

uvec4 look_up16(uvec4 table, uvec4 indices) {
  return uvec4(look_up4(table, indices.x), look_up4(table, indices.y),
               look_up4(table, indices.z), look_up4(table, indices.w));
}

// -127 -104 -83 -65 | -49 -35 -22 -10 | 1 13 25 38 | 53 69 89 113
const uvec4 kIq4Table = uvec4(0xBFAD9881u, 0xF6EADDCFu, 0x26190D01u, 0x71594535u);
// E2M1 doubled: 0 1 2 3 | 4 6 8 12 | 0 -1 -2 -3 | -4 -6 -8 -12
const uvec4 kE2m1Table = uvec4(0x03020100u, 0x0C080604u, 0xFDFEFF00u, 0xF4F8FAFCu);
