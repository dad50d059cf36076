// Push constants and buffer layouts that GLSL and C++ read from this one file.
// Widths, strides and offsets count 32-bit words unless a name says otherwise.
#ifndef PUMICE_SHADERS_SHARED_PUSH_H
#define PUMICE_SHADERS_SHARED_PUSH_H

#ifdef __cplusplus
#include <cstdint>
namespace pumice::shared {
using uint = uint32_t;
#endif

// Positions per page of the KV cache.
#define PUMICE_PAGE 256u
// Types of K and V in the cache: a 16-byte unit holds 4 << type elements.
#define PUMICE_CACHE_F32 0u
#define PUMICE_CACHE_F16 1u
#define PUMICE_CACHE_Q8_0 2u
#define PUMICE_CACHE_Q4_0 3u
// Eight scales are tried for a q4_0 block of the cache: they take its largest element to the level
// FIRST + i * STEP.
#define PUMICE_Q4_FIRST -8.8
#define PUMICE_Q4_STEP 0.4
// What a lane kernel leaves for the next one besides f32 rows, or in their place: nothing, its rows
// as int8 blocks, or those of its rows times a norm's weights (see lib/feed.glsl).
#define PUMICE_FEED_NOTHING 0u
#define PUMICE_FEED_ROWS 1u
#define PUMICE_FEED_NORM 2u
// Words of a SampleSettings and a SampleResult, and tokens that the repetition penalty can see.
#define PUMICE_SETTINGS_WORDS 10u
#define PUMICE_RESULT_WORDS 5u
#define PUMICE_HISTORY 64u
// Rows and columns of a block of a Gram matrix, and words in front of an expert's list.
#define PUMICE_GRAM_TILE 64u
#define PUMICE_LIST_HEAD 4u

// Matrix times columns: y[c] = epilogue(W x[c]).
struct MatPush {
  uint groups;        // groups of 32 weights along a row
  uint tiles;         // 8-row tiles of this dispatch (a gate/up pair counts as two)
  uint first_row;     // output row of the first tile
  uint rows;          // output rows that exist; later ones are padding
  uint columns;       // columns that exist (tiled kernels mask the rest)
  uint x_stride;      // words between columns of x (activations in f32)
  uint y_stride;      // words between columns of y
  uint y_at;          // first word of y inside its binding (views)
  uint residual_stride;
  uint expert_tiles;  // tiles of one expert's matrix
  uint n_used;        // expert slots per token; 1 for a dense matrix
  uint x_per_slot;    // 1 when every slot has an x of its own
  uint route_stride;  // words between columns of the route
  uint x_slot_stride; // words between slots of x and y inside a column
  uint y_slot_stride;
  uint x_width;       // of the RMS norm that is applied to the sums
  float x_eps;
  uint feed_groups;   // groups of 32 per column of what is left for the next matrix
  // Where the rows are those of q, k and v and are stored as such (lib/qkv_store.glsl):
  uint q_rows, k_rows, n_rot;
  uint page_words, v_at;                               // as RopePush
  uint positions_at, sequences_at, pages_at, page_stride;
};

struct EmbedPush {
  uint groups;        // groups of 32 weights along a row
  uint first_row;     // token id of the first row in this binding
  uint rows;          // rows in this binding
  uint y_stride;
  uint tokens_at;     // word of tokens[0] in the step buffer
  float scale;
};

// RMS norm and/or quantisation of columns.
struct PreparePush {
  uint width;         // elements that exist in a column
  uint x_stride;
  uint y_stride;      // f32 output
  uint group;         // elements normalised together
  uint groups32;      // 32-element groups per column of quantised output
  float eps;
};

struct RopePush {
  uint q_stride, k_stride, v_stride;  // words between columns
  uint q_at, k_at, v_from;            // first word inside the binding (views)
  uint q_out_stride;
  uint n_heads, kv_heads;
  uint head_k, head_v;
  uint n_rot;
  uint table_stride;  // words per position of the angle table
  uint page_words;    // words of one page of this layer
  uint v_at;          // word of V inside a page
  uint k_scales_at, v_scales_at;  // words of the scales of quantised types inside a page
  uint positions_at, sequences_at, pages_at, page_stride;  // in the step buffer
  float eps;
};

struct AttentionPush {
  uint q_stride, out_stride;
  uint n_heads, group;                // query heads per KV head
  uint head_k, head_v;
  uint page_words, v_at, k_scales_at, v_scales_at;
  uint positions_at, sequences_at, pages_at, page_stride;
  uint window;                        // visible positions, own included; 0 = all
  uint splits;                        // partial results per (token, head)
  uint columns;                       // tokens that exist
  uint feed_groups;                   // groups of 32 per column of the int8 form of the output
  float scale, softcap;
};

struct ColumnPush {   // element-wise ops
  uint width;
  uint a_stride, b_stride, y_stride;
  uint a_at, b_at;    // first word inside the binding (views)
  float scale;
  uint at;            // a word in the step buffer, where an op reads one
};

struct RoutePush {
  uint n_experts, n_used;
  uint x_stride, y_stride;
  uint normalise;
  float scale;
};

struct CombinePush {
  uint width, n_used;
  uint x_stride, route_stride, residual_stride, y_stride;
};

// Statistics of what a matrix multiplies. A step's first counted columns count; with experts each
// expert has a list of its own: its length, three unused words, then token * n_used + slot.
struct ObservePush {
  uint width;         // channels of one input
  uint x_stride;
  uint x_slot_stride; // words between slots inside a column; 0 when slots share it
  uint n_used;        // slots per token; 1 for a dense matrix
  uint matrices;      // or experts
  uint route_stride;
  uint list_stride;   // words from one expert's list to the next
  uint observed_at;   // word in the step buffer: columns that count, then 1 = start from zero
  uint first_tile;    // Gram: block of the first workgroup, over all matrices
  uint tiles;         // Gram: blocks of one matrix, (0,0) (1,0) (1,1) (2,0) ...
};

struct SamplePush {
  uint n_vocab;
  uint logits_stride;
  uint settings_at;   // word of SampleSettings of column 0 in the step buffer
  uint history_at;    // word of the recent-token ring of column 0
  uint history_stride;
  uint tokens_at, positions_at;
  uint result_at;     // word of column 0's SampleResult in the result buffer
  uint bias_words;    // words of the logit-bias buffer per column; 0 = none
  uint advance;       // 1: write the token as the next step's input
};

// Per column, in the step buffer.
struct SampleSettings {
  float temperature;  // 0 = greedy
  uint top_k;         // 0 = off
  float top_p;        // 1 = off
  float min_p;        // 0 = off
  float repeat_penalty;  // 1 = off
  uint repeat_last;   // tokens of history that count
  uint history_length;
  uint seed_lo, seed_hi;
  uint counter;       // draws made so far
};

// Per column, in the result buffer: what the host checks before it believes a token.
struct SampleResult {
  uint sequence;      // submission number
  uint finite;        // 1 when every logit was finite
  uint token;
  uint hash;          // of the logits' bits, order independent of the driver
  float best_logit;   // after bias and penalty
};

#ifdef __cplusplus
static_assert(sizeof(SampleSettings) == 4 * PUMICE_SETTINGS_WORDS);
static_assert(sizeof(SampleResult) == 4 * PUMICE_RESULT_WORDS);
static_assert(sizeof(RopePush) <= 128 && sizeof(AttentionPush) <= 128 && sizeof(MatPush) <= 128);
}  // namespace pumice::shared
#endif
#endif
