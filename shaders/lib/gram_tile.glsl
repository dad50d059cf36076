// Block number to (row, column) of the lower triangle, rows first: 0 (0,0), 1 (1,0), 2 (1,1), ...
uvec2 gram_tile(uint index) {
  uint row = uint((sqrt(8.0 * float(index) + 1.0) - 1.0) * 0.5);
  if (row * (row + 1) / 2 > index) --row;  // the root may be off by a rounding
  if ((row + 1) * (row + 2) / 2 <= index) ++row;
  return uvec2(row, index - row * (row + 1) / 2);
}
