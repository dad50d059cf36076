// Loss and gradients of the model in one call, for x86-64 processors with AMX: what train.py uses
// on the CPU instead of torch, several times faster. The rows of a batch are dealt to `lanes`; each
// lane runs its rows through the whole model, one at a time so that it stays in the cache, and
// adds up its own gradients, so lanes meet only at the end. Results depend on the number of lanes,
// not on timing.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "attention.h"
#include "buffer.h"
#include "optimizer.h"
#include "pointwise.h"
#include "tiles.h"
#include "weights.h"

namespace pumice::train {
namespace {

constexpr ptrdiff_t kPad = 32;        // rows behind the last: attention reads whole blocks
constexpr ptrdiff_t kLogitRows = 64;  // logits live for so many positions at a time

struct BatchView {
  const int32_t *tokens, *targets, *positions;  // [rows][context]; target -1: nothing to say
  ptrdiff_t rows;
};

/// What a layer keeps for the way back.
struct Kept {
  Buffer<float> in, middle, level, in_factor, middle_factor;
  Buffer<Bf16> qkv, mixed, gate_up;
};

/// One thread's memory and passes.
class Lane {
 public:
  Lane(const Shape& s, const Layout& layout, const PackedWeights& packed_weights, const float* cos,
       const float* sin);
  bool ok() const { return gradients_.data() != nullptr; }

  /// Rows [first, end) of the batch; returns the sum of losses, adds to gradients() if `backward`.
  double run(const float* weights, const BatchView& batch, ptrdiff_t first, ptrdiff_t end,
             bool backward);
  float* gradients() { return gradients_.data(); }

 private:
  void forward();
  void forward_layer(size_t i);
  double head(bool backward);
  void backward();
  void backward_layer(size_t i);
  void documents(auto&& each) const;
  void add_weight_gradient(const Bf16* d_out, ptrdiff_t out, const Bf16* in_tiles, ptrdiff_t in,
                           ptrdiff_t rows, float* to);

  const Shape s_;
  const HeadShape heads_;
  const Layout& layout_;
  const PackedWeights& packed_;
  const float *cos_, *sin_, *w_ = nullptr;
  const int32_t *tokens_ = nullptr, *targets_ = nullptr, *positions_ = nullptr;
  ptrdiff_t n_ = 0;  // positions at once, now
  std::vector<Kept> kept_;
  AttentionScratch attention_;
  Buffer<float> last_, last_factor_, d_x_, d_normed_, logits_, row_, gradients_;
  Buffer<Bf16> normed_, d_low_, d_mixed_, d_qkv_, act_, d_act_, columns_, pairs_, said_, slopes_;
};

Lane::Lane(const Shape& s, const Layout& layout, const PackedWeights& packed_weights,
           const float* cos, const float* sin)
    : s_(s),
      heads_(s.attention()),
      layout_(layout),
      packed_(packed_weights),
      cos_(cos),
      sin_(sin),
      kept_(size_t(s.layers)),
      attention_(heads_) {
  const ptrdiff_t n = s.context + kPad, d = s.width, ff = s.ff;
  const ptrdiff_t widest = std::max<ptrdiff_t>({2 * ff, s.vocabulary, heads_.row()});
  for (Kept& k : kept_) {
    for (Buffer<float>* b : {&k.in, &k.middle}) b->resize(n * d);
    for (Buffer<float>* b : {&k.in_factor, &k.middle_factor}) b->resize(n);
    k.level.resize(n * s.heads);
    k.qkv.resize(n * heads_.row());
    k.mixed.resize(n * d);
    k.gate_up.resize(n * 2 * ff);
  }
  for (Buffer<float>* b : {&last_, &d_x_, &d_normed_}) b->resize(n * d);
  last_factor_.resize(n);
  logits_.resize(kLogitRows * s.vocabulary);
  row_.resize(s.vocabulary);
  for (Buffer<Bf16>* b : {&normed_, &d_low_, &d_mixed_, &said_}) b->resize(n * d);
  d_qkv_.resize(n * heads_.row());
  for (Buffer<Bf16>* b : {&act_, &d_act_}) b->resize(n * ff);
  columns_.resize(n * widest);
  pairs_.resize(n * std::max(d, ff));
  slopes_.resize(n * s.vocabulary);
  gradients_.resize(layout.total);
}

/// Calls each(first position, count) for the documents among the positions of now.
void Lane::documents(auto&& each) const {
  for (ptrdiff_t at = 0, end; at < n_; at = end) {
    for (end = at + 1; end < n_ && positions_[end] != 0; ++end) {
    }
    each(at, end - at);
  }
}

void Lane::forward_layer(size_t i) {
  const Layout::Layer& at = layout_.layers[i];
  const PackedLayer& w = packed_.layers[i];
  Kept& k = kept_[i];
  const ptrdiff_t d = s_.width, row = heads_.row();
  float* next = i + 1 < kept_.size() ? kept_[i + 1].in.data() : last_.data();

  norm_forward(k.in.data(), w_ + at.attn_norm, n_, d, s_.norm_eps, k.in_factor.data(),
               normed_.data());
  multiply<Out::AsBf16>(rows_a(normed_.data(), d), w.qkv.forward(), n_, row, d, k.qkv.data(), row);
  rotate(k.qkv.data(), row, n_, d + heads_.kv_width(), heads_.head, cos_, sin_, positions_, 1.0f);
  documents([&](ptrdiff_t first, ptrdiff_t count) {
    attention_forward(heads_, attention_, k.qkv.data() + first * row, k.mixed.data() + first * d,
                      k.level.data() + first, n_, count);
  });
  std::memcpy(k.middle.data(), k.in.data(), size_t(n_ * d) * sizeof(float));
  multiply<Out::AddF32>(rows_a(k.mixed.data(), d), w.output.forward(), n_, d, d, k.middle.data(),
                        d);

  norm_forward(k.middle.data(), w_ + at.ffn_norm, n_, d, s_.norm_eps, k.middle_factor.data(),
               normed_.data());
  multiply<Out::AsBf16>(rows_a(normed_.data(), d), w.gate_up.forward(), n_, 2 * s_.ff, d,
                        k.gate_up.data(), 2 * s_.ff);
  gate_forward(k.gate_up.data(), n_, s_.ff, act_.data());
  std::memcpy(next, k.middle.data(), size_t(n_ * d) * sizeof(float));
  multiply<Out::AddF32>(rows_a(act_.data(), s_.ff), w.down.forward(), n_, d, s_.ff, next, d);
}

void Lane::forward() {
  const ptrdiff_t d = s_.width;
  for (ptrdiff_t i = 0; i < n_; ++i)
    std::memcpy(kept_[0].in.data() + i * d, w_ + tokens_[i] * d, size_t(d) * sizeof(float));
  for (size_t i = 0; i < kept_.size(); ++i) forward_layer(i);
  norm_forward(last_.data(), w_ + layout_.last_norm, n_, d, s_.norm_eps, last_factor_.data(),
               normed_.data());
}

/// to [out][in] += d_out^T x, with x as pairs in `in_tiles`.
void Lane::add_weight_gradient(const Bf16* d_out, ptrdiff_t out, const Bf16* in_tiles, ptrdiff_t in,
                               ptrdiff_t rows, float* to) {
  pack_columns_a(d_out, out, rows, out, columns_.data());
  multiply<Out::AddF32>(packed(columns_.data(), rows), packed(in_tiles, rows), out, in, rows, to,
                        in);
}

/// Loss of the wanted positions; with `backward` also d_normed_ of all, and the embedding's
/// gradient.
double Lane::head(bool backward) {
  const ptrdiff_t d = s_.width, v = s_.vocabulary;
  std::vector<ptrdiff_t> wanted;
  for (ptrdiff_t i = 0; i < n_; ++i)
    if (targets_[i] >= 0) wanted.push_back(i);
  const ptrdiff_t count = ptrdiff_t(wanted.size()), whole = (count + 31) / 32 * 32;
  for (ptrdiff_t i = 0; i < count; ++i)
    std::memcpy(said_.data() + i * d, normed_.data() + wanted[size_t(i)] * d, size_t(d) * 2);
  std::memset(said_.data() + count * d, 0, size_t((whole - count) * d) * 2);

  double loss = 0;
  for (ptrdiff_t at = 0; at < whole; at += kLogitRows) {
    const ptrdiff_t rows = std::min(kLogitRows, whole - at);
    multiply<Out::F32>(rows_a(said_.data() + at * d, d), packed_.embedding.forward(), rows, v, d,
                       logits_.data(), v);
    for (ptrdiff_t i = 0; i < rows && at + i < count; ++i)
      loss += loss_row(logits_.data() + i * v, v, targets_[wanted[size_t(at + i)]],
                       backward ? slopes_.data() + (at + i) * v : nullptr, row_.data());
  }
  if (!backward) return loss;
  std::memset(slopes_.data() + count * v, 0, size_t((whole - count) * v) * 2);
  std::memset(d_normed_.data(), 0, size_t(n_ * d) * sizeof(float));
  multiply<Out::F32>(rows_a(slopes_.data(), v), packed_.embedding.backward(), whole, d, v,
                     d_x_.data(), d);
  for (ptrdiff_t i = 0; i < count; ++i)
    std::memcpy(d_normed_.data() + wanted[size_t(i)] * d, d_x_.data() + i * d,
                size_t(d) * sizeof(float));
  pack_columns_b(said_.data(), d, whole, d, pairs_.data());
  add_weight_gradient(slopes_.data(), v, pairs_.data(), d, whole, gradients_.data());
  return loss;
}

/// d_x_ from the layer's output to its input.
void Lane::backward_layer(size_t i) {
  const Layout::Layer& at = layout_.layers[i];
  const PackedLayer& w = packed_.layers[i];
  Kept& k = kept_[i];
  const ptrdiff_t d = s_.width, ff = s_.ff, row = heads_.row();
  float* g = gradients_.data();

  to_bf16(d_x_.data(), n_ * d, d_low_.data());
  multiply<Out::AsBf16>(rows_a(d_low_.data(), d), w.down.backward(), n_, ff, d, d_act_.data(), ff);
  gate_backward(k.gate_up.data(), d_act_.data(), n_, ff, act_.data());
  pack_columns_b(act_.data(), ff, n_, ff, pairs_.data());
  add_weight_gradient(d_low_.data(), d, pairs_.data(), ff, n_, g + at.down);
  norm_again(k.middle.data(), w_ + at.ffn_norm, n_, d, k.middle_factor.data(), normed_.data());
  pack_columns_b(normed_.data(), d, n_, d, pairs_.data());
  add_weight_gradient(k.gate_up.data(), 2 * ff, pairs_.data(), d, n_, g + at.gate_up);
  multiply<Out::F32>(rows_a(k.gate_up.data(), 2 * ff), w.gate_up.backward(), n_, d, 2 * ff,
                     d_normed_.data(), d);
  norm_backward(k.middle.data(), w_ + at.ffn_norm, k.middle_factor.data(), d_normed_.data(), n_, d,
                d_x_.data(), g + at.ffn_norm);

  to_bf16(d_x_.data(), n_ * d, d_low_.data());
  multiply<Out::AsBf16>(rows_a(d_low_.data(), d), w.output.backward(), n_, d, d, d_mixed_.data(),
                        d);
  pack_columns_b(k.mixed.data(), d, n_, d, pairs_.data());
  add_weight_gradient(d_low_.data(), d, pairs_.data(), d, n_, g + at.output);
  documents([&](ptrdiff_t first, ptrdiff_t count) {
    attention_backward(heads_, attention_, k.qkv.data() + first * row, k.mixed.data() + first * d,
                       k.level.data() + first, n_, d_mixed_.data() + first * d,
                       d_qkv_.data() + first * row, count);
  });
  rotate(d_qkv_.data(), row, n_, d + heads_.kv_width(), heads_.head, cos_, sin_, positions_, -1.0f);
  norm_again(k.in.data(), w_ + at.attn_norm, n_, d, k.in_factor.data(), normed_.data());
  pack_columns_b(normed_.data(), d, n_, d, pairs_.data());
  add_weight_gradient(d_qkv_.data(), row, pairs_.data(), d, n_, g + at.qkv);
  multiply<Out::F32>(rows_a(d_qkv_.data(), row), w.qkv.backward(), n_, d, row, d_normed_.data(), d);
  norm_backward(k.in.data(), w_ + at.attn_norm, k.in_factor.data(), d_normed_.data(), n_, d,
                d_x_.data(), g + at.attn_norm);
}

void Lane::backward() {
  const ptrdiff_t d = s_.width;
  float* g = gradients_.data();
  std::memset(d_x_.data(), 0, size_t(n_ * d) * sizeof(float));
  norm_backward(last_.data(), w_ + layout_.last_norm, last_factor_.data(), d_normed_.data(), n_, d,
                d_x_.data(), g + layout_.last_norm);
  for (size_t i = kept_.size(); i-- > 0;) backward_layer(i);
  for (ptrdiff_t i = 0; i < n_; ++i) {
    float* to = g + tokens_[i] * d;
    const float* from = d_x_.data() + i * d;
    for (ptrdiff_t j = 0; j < d; ++j) to[j] += from[j];
  }
}

double Lane::run(const float* weights, const BatchView& batch, ptrdiff_t first, ptrdiff_t end,
                 bool with_gradients) {
  configure_tiles();
  if (with_gradients) std::memset(gradients_.data(), 0, size_t(layout_.total) * sizeof(float));
  w_ = weights;
  double loss = 0;
  for (ptrdiff_t row = first; row < end; ++row) {
    const ptrdiff_t at = row * s_.context;
    tokens_ = batch.tokens + at, targets_ = batch.targets + at, positions_ = batch.positions + at;
    n_ = s_.context;
    forward();
    loss += head(with_gradients);
    if (with_gradients) backward();
  }
  _tile_release();
  return loss;
}

/// Runs job(lane) on one thread per lane.
void on_lanes(int lanes, auto&& job) {
  std::vector<std::thread> threads;
  for (int lane = 1; lane < lanes; ++lane) threads.emplace_back([&job, lane] { job(lane); });
  job(0);
  for (std::thread& thread : threads) thread.join();
}

struct Core {
  Core(const Shape& s, int count, const float* cos, const float* sin)
      : shape(s),
        layout(s),
        weights(s),
        cos_table(s.context * s.attention().head),
        sin_table(s.context * s.attention().head) {
    const size_t bytes = size_t(s.context * s.attention().head) * sizeof(float);
    std::memcpy(cos_table.data(), cos, bytes);
    std::memcpy(sin_table.data(), sin, bytes);
    for (int i = 0; i < count; ++i) {
      lanes.push_back(
          std::make_unique<Lane>(shape, layout, weights, cos_table.data(), sin_table.data()));
      orthogonal.push_back(std::make_unique<Orthogonal>(shape));
    }
  }
  bool ok() const {
    for (const auto& lane : lanes)
      if (!lane->ok()) return false;
    return weights.ok();
  }

  /// Sum of losses; with `gradients` also the sum of their squares.
  double run(const float* w, const BatchView& batch, float* gradients, double* squares) {
    const int count = int(lanes.size());
    on_lanes(count, [&](int lane) { weights.pack(w, layout, lane, count); });
    std::vector<double> losses(size_t(count), 0.0);
    on_lanes(count, [&](int lane) {
      const ptrdiff_t first = batch.rows * lane / count, end = batch.rows * (lane + 1) / count;
      losses[size_t(lane)] = lanes[size_t(lane)]->run(w, batch, first, end, gradients != nullptr);
    });
    double loss = 0;
    for (const double part : losses) loss += part;
    if (!gradients) return loss;
    on_lanes(count, [&](int lane) { losses[size_t(lane)] = add_up(gradients, lane, count); });
    *squares = 0;
    for (const double part : losses) *squares += part;
    return loss;
  }

  /// The lanes' gradients into `to`, this lane's share of the array; returns the sum of its
  /// squares.
  double add_up(float* to, int lane, int count) {
    const ptrdiff_t first = layout.total * lane / count, end = layout.total * (lane + 1) / count;
    std::memcpy(to + first, lanes[0]->gradients() + first, size_t(end - first) * sizeof(float));
    for (int other = 1; other < count; ++other) {
      const float* from = lanes[size_t(other)]->gradients();
      for (ptrdiff_t i = first; i < end; ++i) to[i] += from[i];
    }
    constexpr ptrdiff_t kRun = 16;  // squares are added in so many columns: vectors, fixed order
    double sums[kRun] = {}, sum = 0;
    for (ptrdiff_t i = first; i < end; ++i) sums[i % kRun] += double(to[i]) * to[i];
    for (const double part : sums) sum += part;
    return sum;
  }

  void step(const Arrays& arrays, const Rates& rates) {
    const int count = int(lanes.size());
    on_lanes(count, [&](int lane) {
      configure_tiles();
      optimize(shape, layout, arrays, rates, *orthogonal[size_t(lane)], lane, count);
      _tile_release();
    });
  }

  Shape shape;
  Layout layout;
  PackedWeights weights;
  Buffer<float> cos_table, sin_table;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<std::unique_ptr<Orthogonal>> orthogonal;
};

/// Linux gives tiles to a process that asks.
bool ask_for_tiles() {
  constexpr int kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

}  // namespace
}  // namespace pumice::train

using pumice::train::Arrays;
using pumice::train::BatchView;
using pumice::train::Core;
using pumice::train::Rates;
using pumice::train::Shape;

/// cos and sin as pointwise.h's rotate() wants them. Null without memory or permission for tiles.
extern "C" void* core_open(const Shape* shape, int lanes, const float* cos, const float* sin) {
  if (!pumice::train::ask_for_tiles()) return nullptr;
  auto core = std::unique_ptr<Core>(new (std::nothrow) Core(*shape, lanes, cos, sin));
  return core && core->ok() ? core.release() : nullptr;
}

extern "C" void core_close(void* core) {
  delete static_cast<Core*>(core);
}

/// Sum of the losses of the wanted targets. `gradients` (of that sum) are overwritten, and *squares
/// is the sum of their squares; null: only the loss.
extern "C" double core_run(void* core, const float* weights, const int32_t* tokens,
                           const int32_t* targets, const int32_t* positions, int rows,
                           float* gradients, double* squares) {
  return static_cast<Core*>(core)->run(weights, BatchView{tokens, targets, positions, rows},
                                       gradients, squares);
}

/// One step of both optimizers.
extern "C" void core_step(void* core, const Arrays* arrays, const Rates* rates) {
  static_cast<Core*>(core)->step(*arrays, *rates);
}
