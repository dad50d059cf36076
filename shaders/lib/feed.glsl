// A run of 32 values, lane l holding elements l, 8 + l, 16 + l and 24 + l, as a lane kernel reads
// its x.
#include "lib/int8_block.glsl"
layout(set = 0, binding = 7, std430) writeonly buffer FeedUnits { uint feed_units[]; };
layout(set = 0, binding = 8, std430) writeonly buffer FeedScales { float feed_scales[]; };
layout(set = 0, binding = 9, rgba32f) uniform readonly restrict imageBuffer feed_norm;  // weights of the RMS norm of the run

// `group` of 32 of a column with `groups` of them. With `norm` the values are multiplied by the
// norm's weights and the squares of what they were are left for who divides by the RMS.
void feed_rows(float v[4], uint group, uint column, uint groups, uint lane, bool norm) {
  float squared = 0.0;
  if (norm) {
    UNROLL for (uint i = 0; i < 4; ++i) {
      squared += v[i] * v[i];
      vec4 quad = imageLoad(feed_norm, int(group * 8 + 2 * i + lane / 4));
      v[i] *= quad[lane & 3];
    }
    squared = sum8(squared);
  }
  vec2 scale = int8_scales(max8(max(max(abs(v[0]), abs(v[1])), max(abs(v[2]), abs(v[3])))));
  int q[4];
  UNROLL for (uint i = 0; i < 4; ++i) q[i] = int(roundEven(v[i] * scale.y));
  vec2 total = vec2(sum8(float(q[0] + q[1])), sum8(float(q[2] + q[3])));  // exact: small integers

  uint block = column * groups + group;
  // Word 2 i + odd of a run of 8 holds elements 4 i + odd and 4 i + 2 + odd, which lanes l and l ^ 2
  // have. The lower of the two stores the word of an even run, the other that of the run behind it.
  bool upper = (lane & 2) != 0;
  UNROLL for (uint i = 0; i < 4; i += 2) {
    int own = upper ? q[i + 1] : q[i];
    int other = subgroupShuffleXor(upper ? q[i] : q[i + 1], 2);
    uint word = upper ? int8_pair(other, own) : int8_pair(own, other);
    feed_units[block * 16 + 4 * (i + (upper ? 1 : 0)) + 2 * (lane >> 2) + (lane & 1)] = word;
  }
  float stored = lane == 0 ? scale.x : lane == 3 ? squared : scale.x * (lane == 1 ? total.x : total.y);
  if (lane < 4) feed_scales[block * 4 + lane] = stored;
}
