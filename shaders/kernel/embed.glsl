// Embedding rows: y[:, t] = scale * row(tokens[t]). One invocation decodes 32 weights.
// A table larger than one binding comes as row ranges; each dispatch serves the tokens in its own.
layout(local_size_x = 32) in;
layout(set = 0, binding = 1, std430) readonly buffer Step { uint step_words[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { vec4 y[]; };

void main() {
  uint group = gl_GlobalInvocationID.x;
  if (group >= p.groups) return;
  uint token = step_words[p.tokens_at + gl_WorkGroupID.y];
  uint row = token - p.first_row;
  if (token < p.first_row || row >= p.rows) return;

  const uint groups_per_block = CODEC_BLOCK / 32;
  uint blocks = p.groups / groups_per_block;
  uint tile = ((row >> 3) * blocks + group / groups_per_block) * CODEC_UNITS;
  uint g = group % groups_per_block;
  Head head = load_head(tile, row & 7);
  Q32 w = load32(tile, row & 7, g / CODEC_SPAN, g % CODEC_SPAN);
  uint out_quad = (gl_WorkGroupID.y * p.y_stride + group * 32) / 4;
  UNROLL for (uint i = 0; i < 8; ++i) {
    vec2 ab = affine(head, g, i >> 2);
    y[out_quad + i] = p.scale * (ab.x * quad(w, i) + ab.y);
  }
}
