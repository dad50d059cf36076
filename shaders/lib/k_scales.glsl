// The 12 bytes that Q4_K and Q5_K share: eight 6-bit scales and eight 6-bit minimums,
// unpacked four at a time into bytes.
struct Head {
  vec2 dm;
  uint scale_lo, scale_hi, min_lo, min_hi;  // groups 0..3 and 4..7
};
Head unpack_head(uvec4 u) {
  return Head(unpackHalf2x16(u.x), u.y & 0x3F3F3F3Fu,
              (u.w & 0x0F0F0F0Fu) | ((u.y >> 2) & 0x30303030u), u.z & 0x3F3F3F3Fu,
              ((u.w >> 4) & 0x0F0F0F0Fu) | ((u.z >> 2) & 0x30303030u));
}
vec2 affine(Head h, uint g, uint side) {
  uint shift = 8 * (g & 3);
  uint s = ((g < 4 ? h.scale_lo : h.scale_hi) >> shift) & 0xFFu;
  uint m = ((g < 4 ? h.min_lo : h.min_hi) >> shift) & 0xFFu;
  return vec2(h.dm.x * float(s), -h.dm.y * float(m));
}
