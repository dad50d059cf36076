// How 32 activations become int8: matrices of one model read blocks that several kernels made.

// The scale of a block with this largest magnitude, and its inverse. Below any use the block becomes
// zeros: the inverse would not be finite.
vec2 int8_scales(float largest) {
  return largest > 1.0e-30 ? vec2(largest / 127.0, 127.0 / largest) : vec2(0.0);
}

// What the lane kernels read: x_b + (x_a << 16), for a and b two elements apart.
uint int8_pair(int x_a, int x_b) {
  return uint(x_b) + (uint(x_a) << 16);
}
