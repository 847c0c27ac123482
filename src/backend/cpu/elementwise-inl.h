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

float softmax_chunk(float* scores, int32_t num_valid, float* max, float* sum) {
  if (num_valid <= 0) {
    for (int i = 0; i < kChunkKeys; i += kLanes) v_store(scores + i, v_zero());
    return 1.0F;
  }
  // The first key stands in for those that do not count, so that the maximum ignores them.
  for (int i = num_valid; i < kChunkKeys; ++i) scores[i] = scores[0];
  Vec largest = v_load(scores);
  for (int i = kLanes; i < kChunkKeys; i += kLanes) largest = v_max(largest, v_load(scores + i));
  const float chunk_max = v_reduce_max(largest);
  const float new_max = chunk_max > *max ? chunk_max : *max;
  const Vec shift = v_set1(new_max);
  Vec total = v_zero();
  for (int i = 0; i < kChunkKeys; i += kLanes) {
    Vec prob = v_exp(v_sub(v_load(scores + i), shift));
    v_store(scores + i, prob);
    const int rest = num_valid - i;
    if (rest < kLanes) {
      prob = rest <= 0 ? v_zero() : v_load_n(scores + i, rest);
      v_store(scores + i, prob);
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
