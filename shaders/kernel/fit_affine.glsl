// The search for (scale, offset), jointly over both: value = scale * code + offset. Alone in its
// block a group stores both as f16; the groups of a super-block share d and dmin: value = d * scale
// code - dmin * minimum code. The CPU's search is engine/quant/search_affine.h, fit_minimum.h.
#include "lib/fit.glsl"

struct Affine {
  float scale, offset, error;
};

struct Sums {  // weighted sums of q, q^2, x q
  float q, qq, xq;
};

// Of the group; they do not depend on codes.
float sum_w, sum_x, sum_xx;
float lowest, highest;  // lowest <= 0 where offsets may not be positive

precise float affine_error(float scale, float inverse, float offset) {
  precise float error = 0.0;
  OVER_WEIGHTS(i) {
    precise float above = x[i] - offset;
    precise float units = above * inverse;
    precise float rest = above - nearest_integer(units, 0.0, p.high) * scale;
    error += w[i] * (rest * rest);
  }
  return error;
}

Sums affine_sums(float scale, float offset) {
  float inverse = reciprocal(scale);
  precise Sums sums = Sums(0.0, 0.0, 0.0);
  OVER_WEIGHTS(i) {
    precise float units = (x[i] - offset) * inverse;
    precise float q = nearest_integer(units, 0.0, p.high);
    precise float wq = w[i] * q;
    sums.q += wq;
    sums.qq += wq * q;
    sums.xq += wq * x[i];
  }
  return sums;
}

void sum_group() {
  precise float of_w = 0.0, of_x = 0.0, of_xx = 0.0;
  lowest = x[0];
  highest = x[0];
  OVER_WEIGHTS(i) {
    of_w += w[i];
    of_x += w[i] * x[i];
    of_xx += w[i] * x[i] * x[i];
    lowest = smaller(lowest, x[i]);
    highest = larger(highest, x[i]);
  }
  if (GROUPS > 1) lowest = smaller(lowest, 0.0);
  sum_w = of_w;
  sum_x = of_x;
  sum_xx = of_xx;
}

// Least squares over (scale, offset) for the codes behind `sums`; offsets at most 0 where the
// format stores minimums.
void solve_affine(Sums sums, inout float scale, inout float offset) {
  precise float determinant = sum_w * sums.qq - sums.q * sums.q;
  precise float least = 1e-6 * sum_w * sums.qq;
  precise float top = sum_w * sums.xq - sum_x * sums.q;
  if (determinant > least) scale = divide(top, determinant);
  precise float rest = sum_x - scale * sums.q;
  offset = divide(rest, sum_w);
  if (GROUPS > 1 && offset > 0.0) {
    offset = 0.0;
    scale = ratio(sums.xq, sums.qq, scale);
  }
}

// The squared error of (scale, offset) with the codes behind `sums`.
precise float error_of(Sums sums, float scale, float offset) {
  precise float of_scale = scale * (scale * sums.qq - 2.0 * sums.xq);
  precise float of_offset = offset * (offset * sum_w - 2.0 * sum_x);
  precise float joint = 2.0 * scale * offset * sums.q;
  return sum_xx + of_scale + of_offset + joint;
}

// The squared error with a scale of zero.
precise float flat_error(float offset) {
  precise float error = 0.0;
  OVER_WEIGHTS(i) {
    precise float rest = x[i] - offset;
    error += w[i] * (rest * rest);
  }
  return error;
}

Affine search_affine() {
  precise float range = highest - lowest;
  float flat_offset = GROUPS > 1 ? lowest : storable(lowest);
  Affine best = Affine(0.0, flat_offset, flat_error(flat_offset));
  LOOP for (uint start = 0; start < STARTS * STARTS; ++start) {
    precise float bottom = p.t_first + float(start / STARTS) * p.t_step;
    precise float top = p.t_first + float(start % STARTS) * p.t_step;
    precise float left = 1.0 - bottom - top;
    precise float scale = range * divide(left, p.high);
    precise float offset = lowest + range * bottom;
    LOOP for (uint pass = 0; pass < PASSES; ++pass) {
      Sums sums = affine_sums(scale, offset);
      solve_affine(sums, scale, offset);
      float error;
      if (GROUPS > 1) {
        error = error_of(sums, scale, offset);
      } else {
        scale = storable(scale);
        offset = storable(offset);
        error = affine_error(scale, reciprocal(scale), offset);
      }
      if (error < best.error) best = Affine(scale, offset, error);
    }
  }
  return best;
}

// What a group aims at: its (scale, offset), and its mean code, around which a change of scale
// turns.
struct Target {
  float scale, offset, mean_code;
};

struct Super {  // of the block: d, dmin and error; of the group: its integers
  float d, dmin, error, scale, minimum;
};

// The integer pair within the windows around the target, by the error that the decoder will see.
Super assign_super(Target target, float d, float dmin) {
  Super best = Super(d, dmin, kHuge, 0.0, 0.0);
  precise float target_units = target.scale * reciprocal(d);
  float center = nearest_integer(target_units, 0.0, p.scale_high);
  float inverse_min = reciprocal(dmin);
  LOOP for (int i = -int(SCALE_WINDOW); i <= int(SCALE_WINDOW); ++i) {
    float scale_code = between(center + float(i), 0.0, p.scale_high);
    precise float scale = d * scale_code;
    float inverse = reciprocal(scale);
    precise float offset = target.offset + (target.scale - scale) * target.mean_code;
    precise float min_units = -offset * inverse_min;
    float min_center = nearest_integer(min_units, 0.0, p.minimum_high);
    LOOP for (int j = -int(MINIMUM_WINDOW); j <= int(MINIMUM_WINDOW); ++j) {
      float min_code = between(min_center + float(j), 0.0, p.minimum_high);
      precise float minimum = dmin * min_code;
      float tried = affine_error(scale, inverse, -minimum);
      bool better = tried < best.error;
      best.error = better ? tried : best.error;
      best.scale = better ? scale_code : best.scale;
      best.minimum = better ? min_code : best.minimum;
    }
  }
  best.error = sum_over_groups(best.error);
  return best;
}

// Least squares over (d, dmin) for the codes that `now` gives; also what the group aims at next.
void refit_super(Super now, out float d, out float dmin, out Target target) {
  precise float s = now.scale, m = now.minimum;
  precise float scale = now.d * s, minimum = now.dmin * m;
  precise Sums sums = affine_sums(scale, -minimum);
  precise float of_a = s * s * sums.qq, of_b = s * m * sums.q, of_c = m * m * sum_w;
  precise float of_x = s * sums.xq, of_y = m * sum_x;
  precise float a = sum_over_groups(of_a), b = sum_over_groups(of_b), c = sum_over_groups(of_c);
  precise float x_sum = sum_over_groups(of_x), y_sum = sum_over_groups(of_y);
  target = Target(scale, -minimum, divide(sums.q, sum_w));
  precise float determinant = a * c - b * b;
  precise float least = 1e-6 * a * c;
  precise float top_d = x_sum * c - y_sum * b, top_min = x_sum * b - y_sum * a;
  bool joint = determinant > least;
  d = storable_step(joint ? divide(top_d, determinant) : ratio(x_sum, a, now.d));
  dmin = storable_step(joint ? divide(top_min, determinant) : now.dmin);
}

// The best of the segments' choices of d and dmin, then rounds of least squares.
Super fit_super() {
  Affine alone = search_affine();
  precise Sums sums = affine_sums(alone.scale, alone.offset);
  precise float mean_code = divide(sums.q, sum_w);
  precise float scale_weight = sums.qq - mean_code * sums.q;
  Target target = Target(alone.scale, alone.offset, mean_code);
  Super best;
  const uint segments = SEGMENTS * SEGMENTS;
  LOOP for (uint trial = 0; trial < segments + ROUNDS; ++trial) {
    float d, dmin;
    if (trial < segments) {
      precise float of_d = p.divisor_first - float(trial / SEGMENTS * DIVISORS);
      precise float of_min = p.divisor_first - float(trial % SEGMENTS * DIVISORS);
      d = shared_step(alone.scale, scale_weight, 0.0, p.scale_high, of_d);
      precise float alone_minimum = -alone.offset;
      dmin = shared_step(alone_minimum, sum_w, 0.0, p.minimum_high, of_min);
    } else {
      refit_super(best, d, dmin, target);
    }
    Super tried = assign_super(target, d, dmin);
    if (trial == 0 || tried.error < best.error) best = tried;
  }
  return best;
}

void main() {
  load_group();
  sum_group();
  if (GROUPS == 1) {
    Affine alone = search_affine();
    precise float d = alone.scale * unit, dmin = alone.offset * unit;
    store_fit(d, dmin, 0, 0);
    return;
  }
  Super best;
  float side = 1.0;
  LOOP for (uint turn = 0; turn <= MIRRORED; ++turn) {
    if (turn == 1) {
      OVER_WEIGHTS(i) x[i] = -x[i];
      sum_group();
    }
    Super tried = fit_super();
    if (turn == 0 || tried.error < best.error) {
      best = tried;
      side = turn == 0 ? 1.0 : -1.0;
    }
  }
  precise float d = side * best.d * unit, dmin = side * best.dmin * unit;
  store_fit(d, dmin, int(best.scale), int(best.minimum));
}
