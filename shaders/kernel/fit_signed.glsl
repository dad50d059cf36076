// The search for one scale: value = scale * level. Alone in its block a group stores it as f16, or
// as a power of two (E2M1); the groups of a super-block share d: value = d * scale code * level.
// The CPU's search is engine/quant/search_signed.h, fit_signed.h.
#include "lib/fit.glsl"

// The level nearest to t, a weight in units of the scale: ABOVE(middle, level) for each but the
// first, in rising order.
#if defined(IQ4)
precise float nearest_level(float t) {
  float level = -127.0;
#define ABOVE(middle, next) level = t > middle ? next : level;
  ABOVE(-115.5, -104.0) ABOVE(-93.5, -83.0) ABOVE(-74.0, -65.0) ABOVE(-57.0, -49.0)
  ABOVE(-42.0, -35.0) ABOVE(-28.5, -22.0) ABOVE(-16.0, -10.0) ABOVE(-4.5, 1.0)
  ABOVE(7.0, 13.0) ABOVE(19.0, 25.0) ABOVE(31.5, 38.0) ABOVE(45.5, 53.0)
  ABOVE(61.0, 69.0) ABOVE(79.0, 89.0) ABOVE(101.0, 113.0)
  return level;
}
#elif defined(E2M1)
precise float nearest_level(float t) {
  float level = 0.0;
#define ABOVE(middle, next) level = abs(t) > middle ? next : level;
  ABOVE(0.5, 1.0) ABOVE(1.5, 2.0) ABOVE(2.5, 3.0) ABOVE(3.5, 4.0)
  ABOVE(5.0, 6.0) ABOVE(7.0, 8.0) ABOVE(10.0, 12.0)
  return uintBitsToFloat(floatBitsToUint(level) | floatBitsToUint(t) & 0x80000000u);
}
#else
precise float nearest_level(float t) { return nearest_integer(t, p.low, p.high); }
#endif

struct Sums {  // weighted sums of q^2 and x q
  float qq, xq;
};

struct Scale {
  float scale, error;
};

precise float signed_error(float scale) {
  float inverse = reciprocal(scale);
  precise float error = 0.0;
  OVER_WEIGHTS(i) {
    precise float units = x[i] * inverse;
    precise float rest = x[i] - nearest_level(units) * scale;
    error += w[i] * (rest * rest);
  }
  return error;
}

Sums signed_sums(float scale) {
  float inverse = reciprocal(scale);
  precise Sums sums = Sums(0.0, 0.0);
  OVER_WEIGHTS(i) {
    precise float units = x[i] * inverse;
    precise float q = nearest_level(units);
    precise float wq = w[i] * q;
    sums.qq += wq * q;
    sums.xq += wq * x[i];
  }
  return sums;
}

// The best scale of one sign.
Scale search_scale(float side, float largest, float xx) {
  Scale best = Scale(0.0, xx);
  LOOP for (uint start = 0; start < STARTS; ++start) {
    precise float t = p.t_first + float(start) * p.t_step;
    precise float scale = largest * divide(side, t);
    LOOP for (uint pass = 0; pass < PASSES; ++pass) {
      precise Sums sums = signed_sums(scale);
      scale = ratio(sums.xq, sums.qq, scale);
      if (GROUPS == 1) scale = storable(scale);
      precise float error = xx - scale * (sums.xq + (sums.xq - scale * sums.qq));
      if (error < best.error) best = Scale(scale, error);
    }
  }
  return best;
}

// The best scale of either sign.
void search_both(out Scale up, out Scale down) {
  float largest = 0.0;
  OVER_WEIGHTS(i) largest = larger(largest, abs(x[i]));
  float xx = sum_of_squares();
  LOOP for (uint turn = 0; turn < 2; ++turn) {
    Scale found = search_scale(turn == 0 ? 1.0 : -1.0, largest, xx);
    if (turn == 0) up = found;
    down = found;
  }
}

struct Super {  // of the block: d and error; of the group: its integer
  float d, error, scale;
};

// The integer scale within the windows around the first `targets` of two, by the error that the
// decoder will see.
Super assign_super(float first, float second, uint targets, float d) {
  Super best = Super(d, kHuge, 0.0);
  float inverse = reciprocal(d);
  LOOP for (uint k = 0; k < targets; ++k) {
    precise float units = (k == 0 ? first : second) * inverse;
    float center = nearest_integer(units, p.scale_low, p.scale_high);
    LOOP for (int i = -int(SCALE_WINDOW); i <= int(SCALE_WINDOW); ++i) {
      float code = between(center + float(i), p.scale_low, p.scale_high);
      precise float scale = d * code;
      float tried = signed_error(scale);
      bool better = tried < best.error;
      best.error = better ? tried : best.error;
      best.scale = better ? code : best.scale;
    }
  }
  best.error = sum_over_groups(best.error);
  return best;
}

// The d of least squares for the codes that `now` gives.
precise float refit_super(Super now) {
  precise float scale = now.d * now.scale;
  precise Sums sums = signed_sums(scale);
  precise float of_qq = now.scale * now.scale * sums.qq, of_xq = now.scale * sums.xq;
  float qq = sum_over_groups(of_qq), xq = sum_over_groups(of_xq);
  return storable_step(ratio(xq, qq, now.d));
}

// The best of the segments' choices of d, then rounds of least squares.
Super fit_super() {
  Scale up, down;
  search_both(up, down);
  float alone = up.error <= down.error ? up.scale : down.scale;
  float weight = signed_sums(alone).qq;
  Super best;
  LOOP for (uint trial = 0; trial < SEGMENTS + ROUNDS; ++trial) {
    float first = up.scale, second = down.scale, d;
    uint targets = 2;
    if (trial < SEGMENTS) {
      precise float divisor = p.divisor_first - float(trial * DIVISORS);
      d = shared_step(alone, weight, p.scale_low, p.scale_high, divisor);
    } else {
      precise float now = best.d * best.scale;
      first = now;
      targets = 1;
      d = refit_super(best);
    }
    Super tried = assign_super(first, second, targets, d);
    if (trial == 0 || tried.error < best.error) best = tried;
  }
  return best;
}

// The power of two of least error among those near the largest weight's, as the stored byte.
int fit_exponent() {
  int best = 0;
  float least = kHuge;
  LOOP for (int step = -6; step <= -1; ++step) {
    int byte = clamp(exponent + 128 + step, 0, 252);
    float scale = uintBitsToFloat(uint(byte - 1 - exponent) << 23);
    float tried = signed_error(scale);
    best = tried < least ? byte : best;
    least = tried < least ? tried : least;
  }
  return best;
}

void main() {
  load_group();
#if defined(E2M1)
  store_fit(0.0, 0.0, fit_exponent(), 0);
#else
  if (GROUPS == 1) {
    Scale up, down;
    search_both(up, down);
    precise float d = (up.error <= down.error ? up.scale : down.scale) * unit;
    store_fit(d, 0.0, 0, 0);
    return;
  }
  Super best = fit_super();
  precise float d = best.d * unit;
  store_fit(d, 0.0, int(best.scale), 0);
#endif
}
