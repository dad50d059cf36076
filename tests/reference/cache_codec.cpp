// The codecs, as loops.
#include "tests/reference/cache_codec.h"

#include <algorithm>
#include <cmath>

#include "engine/base/half.h"
#include "shaders/shared/push.h"

namespace pumice::reference {
namespace {

double extreme_of(std::span<const double> block) {
  return *std::max_element(block.begin(), block.end(),
                           [](double a, double b) { return std::abs(a) < std::abs(b); });
}

double level(double x, double scale, double lowest, double highest) {
  return scale == 0.0 ? 0.0 : std::clamp(std::nearbyint(x / scale), lowest, highest);
}

void q8_0(std::span<double> block) {
  const double scale = rounded_scale(std::abs(extreme_of(block)) / 127.0);
  for (double& x : block) x = scale * level(x, scale, -127.0, 127.0);
}

/// The scale of the eight that captures most, fitted by least squares.
void q4_0(std::span<double> block) {
  const double extreme = extreme_of(block);
  double most = 0.0, best = 0.0;
  for (int i = 0; i < 8; ++i) {
    const double scale = extreme / (PUMICE_Q4_FIRST + PUMICE_Q4_STEP * i);
    double xq = 0.0, qq = 0.0;
    for (const double x : block) {
      const double q = level(x, scale, -8.0, 7.0);
      xq += x * q;
      qq += q * q;
    }
    if (qq == 0.0 || xq * xq / qq <= most) continue;
    most = xq * xq / qq;
    best = xq / qq;
  }
  round_q4(block, rounded_scale(best));
}

void round_trip(CacheType type, std::span<double> head) {
  if (type == CacheType::F16)
    for (double& x : head) x = double(half_to_float(float_to_half(float(x))));
  if (type <= CacheType::F16) return;
  for (size_t at = 0; at < head.size(); at += 32)
    type == CacheType::Q8_0 ? q8_0(head.subspan(at, 32)) : q4_0(head.subspan(at, 32));
}

}  // namespace

void hadamard(std::span<double> head) {
  const size_t block = head.size() & (~head.size() + 1);
  for (size_t stride = 1; stride < block; stride *= 2)
    for (size_t i = 0; i < head.size(); ++i) {
      if ((i & stride) != 0) continue;
      const double x = head[i], y = head[i + stride];
      head[i] = x + y;
      head[i + stride] = x - y;
    }
  for (double& x : head) x /= std::sqrt(double(block));
}

double rounded_scale(double scale) {
  return double(half_to_float(float_to_half(float(scale))));
}

double round_q4(std::span<double> block, double scale) {
  double lost = 0.0;
  for (double& x : block) {
    const double kept = scale * level(x, scale, -8.0, 7.0);
    lost += (x - kept) * (x - kept);
    x = kept;
  }
  return lost;
}

HeadCodec head_codec(CacheType type, bool rotate) {
  return [type, rotate](std::span<double> head) {
    if (rotate) hadamard(head);
    round_trip(type, head);
    if (rotate) hadamard(head);
  };
}

}  // namespace pumice::reference
