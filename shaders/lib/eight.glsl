// Sums and maxima over a subgroup of eight, in every lane, in one order.
float sum8(float v) {
  v += subgroupShuffleXor(v, 1);
  v += subgroupShuffleXor(v, 2);
  return v + subgroupShuffleXor(v, 4);
}
float max8(float v) {
  v = max(v, subgroupShuffleXor(v, 1));
  v = max(v, subgroupShuffleXor(v, 2));
  return max(v, subgroupShuffleXor(v, 4));
}
