// Loops shared by all instruction sets: norms, activations, softmax, conversions. Included inside
// the anonymous namespace of a kernel file, after its Vec.
#pragma once

float reduce_add(Vec value) {
  float lanes[kLanes];
  v_store(lanes, value);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// Calls body(i, n) for each 16 elements, the last time with n < 16 if n_total is no multiple.
template <typename Body>
inline void for_vectors(int64_t n_total, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= n_total; i += kLanes) body(i, kLanes);
  if (i < n_total) body(i, static_cast<int>(n_total - i));
}

inline Vec load_some(const float* from, int n) {
  return n == kLanes ? v_load(from) : v_load_n(from, n);
}

inline void store_some(float* to, Vec value, int n) {
  if (n == kLanes) {
    v_store(to, value);
  } else {
    v_store_n(to, value, n);
  }
}

// exp(x) = 2^n * exp(r), |r| <= ln(2) / 2. The degree-7 Taylor polynomial leaves r^8 / 8! < 6e-9;
// the rest of the error is rounding, below 3 units in the last place.
inline Vec v_exp(Vec x) {
  const Vec lowest = v_set1(-87.33F);
  const Vec limited = v_min(v_max(x, lowest), v_set1(88.72F));
  const Vec n = v_round(v_mul(limited, v_set1(1.44269504F)));
  // ln(2) in two parts, the first with trailing zeros so that n * part is exact.
  Vec r = v_fma(n, v_set1(-0.693359375F), limited);
  r = v_fma(n, v_set1(2.12194440e-4F), r);
  Vec sum = v_set1(1.0F / 5040.0F);
  sum = v_fma(sum, r, v_set1(1.0F / 720.0F));
  sum = v_fma(sum, r, v_set1(1.0F / 120.0F));
  sum = v_fma(sum, r, v_set1(1.0F / 24.0F));
  sum = v_fma(sum, r, v_set1(1.0F / 6.0F));
  sum = v_fma(sum, r, v_set1(0.5F));
  sum = v_fma(sum, r, v_set1(1.0F));
  sum = v_fma(sum, r, v_set1(1.0F));
  return v_zero_below(v_scale_by_pow2(sum, n), x, lowest);
}

void exp_all(const float* x, float* out, int64_t n) {
  for_vectors(n, [&](int64_t i, int m) { store_some(out + i, v_exp(load_some(x + i, m)), m); });
}

void rms_norm(const float* x, const float* weight, float* out, int64_t n, float eps) {
  Vec squares = v_zero();
  for_vectors(n, [&](int64_t i, int m) {
    const Vec value = load_some(x + i, m);
    squares = v_fma(value, value, squares);
  });
  const float mean = reduce_add(squares) / static_cast<float>(n);
  const Vec scale = v_set1(1.0F / __builtin_sqrtf(mean + eps));
  for_vectors(n, [&](int64_t i, int m) {
    const Vec normed = v_mul(load_some(x + i, m), scale);
    store_some(out + i, v_mul(normed, load_some(weight + i, m)), m);
  });
}

void add(const float* a, const float* b, float* out, int64_t n) {
  for_vectors(n, [&](int64_t i, int m) {
    store_some(out + i, v_add(load_some(a + i, m), load_some(b + i, m)), m);
  });
}

void silu_mul(const float* gate, const float* up, float* out, int64_t n) {
  const Vec one = v_set1(1.0F);
  for_vectors(n, [&](int64_t i, int m) {
    const Vec g = load_some(gate + i, m);
    const Vec denominator = v_add(one, v_exp(v_sub(v_zero(), g)));
    store_some(out + i, v_mul(v_div(g, denominator), load_some(up + i, m)), m);
  });
}

// x / 2 * (1 + tanh(u)) = x / (1 + exp(-2 u)) with u = sqrt(2 / pi) * (x + 0.044715 x^3).
void gelu_mul(const float* gate, const float* up, float* out, int64_t n) {
  const Vec one = v_set1(1.0F);
  for_vectors(n, [&](int64_t i, int m) {
    const Vec g = load_some(gate + i, m);
    const Vec cubic = v_fma(v_mul(v_mul(g, g), v_set1(0.044715F)), g, g);
    const Vec denominator = v_add(one, v_exp(v_mul(cubic, v_set1(-1.59576912F))));
    store_some(out + i, v_mul(v_div(g, denominator), load_some(up + i, m)), m);
  });
}

void scale(const float* x, float factor, float* out, int64_t n) {
  const Vec by = v_set1(factor);
  for_vectors(n, [&](int64_t i, int m) { store_some(out + i, v_mul(load_some(x + i, m), by), m); });
}

// (1 - t) / (1 + t) with t = exp(-2 |x|) and the sign of x; below 1/4, where that difference loses
// digits, the Taylor polynomial, whose next term is below 3e-9 there.
inline Vec v_tanh(Vec x) {
  const Vec quarter = v_set1(0.25F);
  // A NaN is the second operand and passes; beyond 20 the result is 1 anyway.
  const Vec y = v_min(v_set1(20.0F), v_max(v_set1(-20.0F), x));
  const Vec size = v_abs(y);
  const Vec t = v_exp(v_mul(size, v_set1(-2.0F)));
  const Vec sign = v_div(y, v_max(quarter, size));
  Vec large = v_div(v_sub(v_set1(1.0F), t), v_add(v_set1(1.0F), t));
  large = v_mul(v_zero_below(large, size, quarter), sign);
  const Vec near = v_min(quarter, v_max(v_set1(-0.25F), y));
  const Vec square = v_mul(near, near);
  Vec sum = v_set1(62.0F / 2835.0F);
  sum = v_fma(sum, square, v_set1(-17.0F / 315.0F));
  sum = v_fma(sum, square, v_set1(2.0F / 15.0F));
  sum = v_fma(sum, square, v_set1(-1.0F / 3.0F));
  const Vec small = v_fma(v_mul(sum, square), near, near);
  return v_add(large, v_sub(small, v_zero_below(small, size, quarter)));
}

void soft_cap(const float* x, float cap, float* out, int64_t n) {
  const Vec factor = v_set1(cap);
  for_vectors(n, [&](int64_t i, int m) {
    store_some(out + i, v_mul(v_tanh(v_div(load_some(x + i, m), factor)), factor), m);
  });
}

void clamped_swiglu(const float* gate, const float* up, float* out, int64_t n, float alpha,
                    float limit) {
  const Vec one = v_set1(1.0F);
  const Vec high = v_set1(limit);
  const Vec low = v_set1(-limit);
  const Vec slope = v_set1(-alpha);
  for_vectors(n, [&](int64_t i, int m) {
    // Limits first: a NaN is the second operand, and comes out.
    const Vec g = v_min(high, load_some(gate + i, m));
    const Vec u = v_max(low, v_min(high, load_some(up + i, m)));
    const Vec glu = v_div(g, v_add(one, v_exp(v_mul(slope, g))));
    store_some(out + i, v_mul(v_add(u, one), glu), m);
  });
}

void add_scaled(float factor, const float* x, float* sum, int64_t n) {
  const Vec f = v_set1(factor);
  for_vectors(n, [&](int64_t i, int m) {
    store_some(sum + i, v_fma(f, load_some(x + i, m), load_some(sum + i, m)), m);
  });
}

void rope(const float* x, const float* cos, const float* sin, float* out, int64_t n) {
  for_vectors(n, [&](int64_t i, int m) {
    const Vec low = load_some(x + i, m);
    const Vec high = load_some(x + i + n, m);
    const Vec c = load_some(cos + i, m);
    const Vec s = load_some(sin + i, m);
    store_some(out + i, v_sub(v_mul(low, c), v_mul(high, s)), m);
    store_some(out + i + n, v_add(v_mul(high, c), v_mul(low, s)), m);
  });
}

float softmax_chunk(float* scores, int32_t begin, int32_t end, float* max, float* sum) {
  if (begin >= end) {
    for (int i = 0; i < kChunkKeys; i += kLanes) v_store(scores + i, v_zero());
    return 1.0F;
  }
  // One that counts stands in for those that do not, so that the maximum ignores them.
  for (int i = 0; i < begin; ++i) scores[i] = scores[begin];
  for (int i = end; i < kChunkKeys; ++i) scores[i] = scores[begin];
  Vec largest = v_load(scores);
  for (int i = kLanes; i < kChunkKeys; i += kLanes) largest = v_max(largest, v_load(scores + i));
  const float chunk_max = v_reduce_max(largest);
  const float new_max = chunk_max > *max ? chunk_max : *max;
  const Vec shift = v_set1(new_max);
  Vec total = v_zero();
  for (int i = 0; i < kChunkKeys; i += kLanes) {
    Vec prob = v_exp(v_sub(v_load(scores + i), shift));
    v_store(scores + i, prob);
    if (i < begin || i + kLanes > end) {
      for (int j = i; j < i + kLanes; ++j) scores[j] = j < begin || j >= end ? 0.0F : scores[j];
      prob = v_load(scores + i);
    }
    total = v_add(total, prob);
  }
  float rescale[kLanes];
  v_store(rescale, v_exp(v_set1(*max - new_max)));
  *sum = *sum * rescale[0] + reduce_add(total);
  *max = new_max;
  return rescale[0];
}

void to_bf16(const float* x, uint16_t* out, int64_t n) {
  for_vectors(n, [&](int64_t i, int m) {
    if (m == kLanes) {
      v_store_bf16(out + i, v_load(x + i));
      return;
    }
    uint16_t rounded[kLanes];
    v_store_bf16(rounded, v_load_n(x + i, m));
    for (int j = 0; j < m; ++j) out[i + j] = rounded[j];
  });
}

void from_bf16(const uint16_t* x, float* out, int64_t n) {
  for_vectors(n, [&](int64_t i, int m) {
    if (m == kLanes) {
      v_store(out + i, v_load_bf16(x + i));
      return;
    }
    uint16_t bits[kLanes] = {};
    for (int j = 0; j < m; ++j) bits[j] = x[i + j];
    v_store_n(out + i, v_load_bf16(bits), m);
  });
}

void from_f16(const uint16_t* x, float* out, int64_t n) {
  for_vectors(n, [&](int64_t i, int m) {
    if (m == kLanes) {
      v_store(out + i, v_load_f16(x + i));
      return;
    }
    uint16_t bits[kLanes] = {};
    for (int j = 0; j < m; ++j) bits[j] = x[i + j];
    v_store_n(out + i, v_load_f16(bits), m);
  });
}

// One group: returns the scale and leaves the quants.
inline float quantize_group(const float* x, int8_t* quants) {
  const Vec low = v_load(x);
  const Vec high = v_load(x + kLanes);
  const float max_abs = v_reduce_max(v_max(v_abs(low), v_abs(high)));
  const float scale = max_abs / 127.0F;
  const Vec inverse = v_set1(scale > 0.0F ? 1.0F / scale : 0.0F);
  v_store_quants(quants, v_round_away(v_mul(low, inverse)));
  v_store_quants(quants + kLanes, v_round_away(v_mul(high, inverse)));
  return scale;
}

void quantize_q8(const float* x, int64_t n, uint8_t* quants, float* scales) {
  for (int64_t i = 0; i < n; i += kQ8GroupElements) {
    int8_t group[kQ8GroupElements];
    scales[i / kQ8GroupElements] = quantize_group(x + i, group);
    for (int j = 0; j < kQ8GroupElements; ++j) {
      quants[i + j] = static_cast<uint8_t>(static_cast<uint8_t>(group[j]) ^ 0x80U);
    }
  }
}
