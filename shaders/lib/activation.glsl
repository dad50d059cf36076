// Gate functions. Inputs of exp and tanh are clamped: some drivers return NaN far out.
float activate(uint kind, float v) {
  if (kind == 1) return v / (1.0 + exp(clamp(-v, -88.0, 88.0)));
  // 0.5 v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))), the tanh through exp for equal bits everywhere
  float inner = 0.7978845608028654 * v * (1.0 + 0.044715 * v * v);
  float e = exp(clamp(2.0 * inner, -88.0, 88.0));
  return v * (1.0 - 1.0 / (e + 1.0));
}
