// What attention_lane.glsl leaves of a query's output: f32, or int8 as the next matrix reads it.
#include "lib/int8_block.glsl"
layout(set = 0, binding = 4, std430) writeonly buffer FeedUnits { uint feed_units[]; };
layout(set = 0, binding = 5, std430) writeonly buffer FeedScales { float feed_scales[]; };

const uint kBlockLanes = 32 / kPiece;  // 4 or 8: lanes whose pieces make a block of 32

// Of the elements of total_out from `at` on, times `inverse`. A half of a block is two lanes' or
// four's. Loops over doubling distances would stay loops, and the arrays go to memory.
void feed_query(uint at, uint column, uint head, float inverse, uint lane) {
  UNROLL for (uint u = 0; u < kPieces; ++u) {
    vec4 v[kPieceQuads];
    float largest = 0.0;
    UNROLL for (uint i = 0; i < kPieceQuads; ++i) {
      v[i] = total_out[at + u * kPieceQuads + i] * inverse;
      vec4 a = abs(v[i]);
      largest = max(largest, max(max(a.x, a.y), max(a.z, a.w)));
    }
    largest = max(largest, subgroupShuffleXor(largest, 1));
    largest = max(largest, subgroupShuffleXor(largest, 2));
    if (kBlockLanes == 8) largest = max(largest, subgroupShuffleXor(largest, 4));
    vec2 scale = int8_scales(largest);

    uint piece = u * 8 + lane;
    bool mine = piece < HEAD_V / kPiece;
    uint element = head * HEAD_V + piece * kPiece;
    uint block = column * p.feed_groups + element / 32;
    float half_sum = 0.0;
    UNROLL for (uint i = 0; i < kPieceQuads; ++i) {
      ivec4 q = ivec4(roundEven(v[i] * scale.y));
      half_sum += float((q.x + q.y) + (q.z + q.w));
      uint word = block * 16 + (element % 32) / 2 + 2 * i;
      if (mine) {
        feed_units[word] = int8_pair(q.x, q.z);
        feed_units[word + 1] = int8_pair(q.y, q.w);
      }
    }
    half_sum += subgroupShuffleXor(half_sum, 1);
    if (kBlockLanes == 8) half_sum += subgroupShuffleXor(half_sum, 2);
    // The first four lanes of a block store its scale, both scaled sums and nothing.
    float first = subgroupShuffle(half_sum, lane & ~(kBlockLanes - 1));
    float second = subgroupShuffle(half_sum, lane | (kBlockLanes - 1));
    uint place = lane & (kBlockLanes - 1);
    float stored = place == 0 ? scale.x : place == 3 ? 0.0 : scale.x * (place == 1 ? first : second);
    if (mine && place < 4) feed_scales[block * 4 + place] = stored;
  }
}
