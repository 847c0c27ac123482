// Products of bf16 as products of floats. Included inside the anonymous namespace of a kernel file,
// after matmul-inl.h.
#pragma once

// A unit is two k; x holds them as floats already rounded to bf16.
struct Bf16Tile {
  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[2][T];
    load_sums<T>(tile, sums);
    const std::byte* w = tile.weights;
    const std::byte* x = tile.x;
    for (int64_t unit = 0; unit < tile.num_units; ++unit, w += 4 * kPanelRows, x += 8) {
      prefetch_step(tile, unit);
      for (int half = 0; half < 2; ++half) {
        Vec even;
        Vec odd;
        v_load_bf16_pairs(w + half * 4 * kLanes, &even, &odd);
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) {
          const std::byte* pair = x + t * tile.x_stride;
          sums[half][t] = v_fma(v_set1(load_float(pair)), even, sums[half][t]);
          sums[half][t] = v_fma(v_set1(load_float(pair + 4)), odd, sums[half][t]);
        }
      }
    }
    store_sums<T>(tile, sums);
  }
};

void convert_bf16_as_f32(const float* x, int64_t num_elements, std::byte* out) {
  auto* values = reinterpret_cast<float*>(out);
  for_vectors(num_elements, [&](int64_t i, int m) {
    uint16_t rounded[kLanes];
    v_store_bf16(rounded, load_some(x + i, m));
    store_some(values + i, v_load_bf16(rounded), m);
  });
  if (num_elements % 2 != 0) values[num_elements] = 0.0F;
}

template <int kMaxTokens>
constexpr MatmulKernel bf16_kernel() {
  return {.unit_elements = 2,
          .unit_bytes = 128,
          .x_unit_bytes = 8,
          .max_tokens = kMaxTokens,
          .any_tokens = true,
          .convert = convert_bf16_as_f32,
          .tile = run_tile<Bf16Tile, kMaxTokens>};
}
