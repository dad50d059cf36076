// The Walsh-Hadamard transform of one head in shared memory: it spreads outliers over the head, is
// its own inverse, and leaves q.k unchanged when both are rotated. Blocks are the largest power of
// two that divides the head. The including kernel declares `row` and kRowLanes.

uint rotation_block(uint width) { return width & (~width + 1u); }

// row[0..width) in place, by kRowLanes invocations; not yet divided by sqrt(rotation_block).
void rotate_row(uint width, uint lane) {
  uint block = rotation_block(width);
  LOOP for (uint stride = 1; stride < block; stride *= 2) {
    barrier();
    LOOP for (uint i = lane; i < width / 2; i += kRowLanes) {
      uint a = 2 * i - (i & (stride - 1));
      float x = row[a], y = row[a + stride];
      row[a] = x + y;
      row[a + stride] = x - y;
    }
  }
  barrier();
}

float rotation_scale(uint width) { return 1.0 / sqrt(float(rotation_block(width))); }
