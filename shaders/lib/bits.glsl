// Small fields spread into bytes, four at a time.

// Bits 0..3 of b -> bit 0 of bytes 0..3.
uint spread_bits4(uint b) { return ((b & 0xFu) * 0x00204081u) & 0x01010101u; }

// Four 2-bit fields of byte b -> bytes 0..3.
uint spread_pairs4(uint b) {
  return (b & 0x3u) | ((b & 0xCu) << 6) | ((b & 0x30u) << 12) | ((b & 0xC0u) << 18);
}

// The fifth bits of 16 weights: bits 16 * side .. of `high` -> bit 4 of every byte.
uvec4 fifth_bits(uint high, uint side) {
  uint h = high >> (16 * side);
  return uvec4(spread_bits4(h), spread_bits4(h >> 4), spread_bits4(h >> 8), spread_bits4(h >> 12))
         << 4;
}

// The low bytes of four integers.
uint pack_bytes(ivec4 q) {
  return (uint(q.x) & 0xFFu) | ((uint(q.y) & 0xFFu) << 8) | ((uint(q.z) & 0xFFu) << 16) |
         (uint(q.w) << 24);
}
